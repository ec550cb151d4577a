"""Starts child processes that cannot outlive this interpreter.

Invariant: a child is the leader of its own session, so the terminal's Ctrl-C reaches us alone and
we stop the children in order; and the kernel of Linux kills it when this interpreter dies.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

Child = subprocess.Popen[bytes]


class ServerError(RuntimeError):
    """A server that did not start or died, or a program that is missing."""


def spawn(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    log_path: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start `command`, an absolute path first; its output is appended to `log_path`, or ours."""
    # a program, because `preexec_fn` may deadlock in a process with threads
    setpriv = shutil.which("setpriv")
    dying = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    with log_path.open("ab") if log_path else nullcontext() as output:
        started = _spawner(os.getpid()).submit(
            subprocess.Popen,
            [*dying, *command],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        return started.result()


@functools.cache
def _spawner(pid: int) -> ThreadPoolExecutor:
    """Return the one thread that starts every child of process `pid`. Linux sends the parent-death
    signal when the *thread* that forked ends, and this one lives as long as the interpreter."""
    return ThreadPoolExecutor(1, f"spawner-{pid}")
