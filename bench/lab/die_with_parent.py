"""Becomes the program named on its command line, one that the kernel kills when its parent dies.

Usage: `python die_with_parent.py PARENT_PID PROGRAM [ARGUMENT ...]`

A parent that is killed hard runs no clean-up, and a Cassandra that nobody owns eats a gigabyte
until the machine is restarted. The request for the signal outlives the exec, so the process keeps
one id. A small program and not a `preexec_fn`: that runs Python between fork and exec of a process
with threads, which may deadlock and is warned about from Python 3.12 on.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(arguments: list[str]) -> None:
    """Become the program, unless the parent is gone."""
    parent_pid, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before the request was made: no signal would come
        raise SystemExit("the parent is gone")
    os.execv(command[0], command)  # noqa: S606 - to become a program, by its path, is the job


if __name__ == "__main__":
    main(sys.argv[1:])
