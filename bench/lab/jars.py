"""Cassandra's jars, fetched from Maven Central once and kept in jgo's cache in the home folder.

Invariant: the folder that `cassandra_jars()` returns is complete.
"""

import fcntl
import logging
import os
import shutil
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.lab.spawn import ServerError

log = logging.getLogger("bench")

VERSION = "5.0.9"
COORDINATE = f"org.apache.cassandra:cassandra-all:{VERSION}"
ATTEMPTS = 3
DOWNLOADS_AT_ONCE = 4  # as Maven itself does, about: kind to a public server
LOGGED_EVERY = 20


def cassandra_jars() -> Path:
    """Return a folder with all jars of Cassandra and nothing else, downloaded once."""
    cache = Path(os.environ.get("JGO_CACHE_DIR") or Path.home() / ".cache" / "jgo")
    return completed(cache / f"cassandra-all-{VERSION}", download)


def completed(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return `folder`, once `fill` was run on an empty one, here or in another process.
    Raises ServerError if there is no network."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(folder.name + ".part")
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back by the kernel when we die with it
        if not folder.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            try:
                fill(unfinished)
            except OSError as error:  # requests' exceptions are OSErrors
                raise ServerError(f"Cassandra could not be downloaded: {error}") from error
            unfinished.rename(folder)
    return folder


def download(folder: Path) -> None:
    """Fill `folder` with Cassandra's jars; raises what jgo raises when the network fails."""
    # Imported here: it takes a third of a second, and later starts do without it.
    from jgo.maven import MavenContext

    log.info("downloading Cassandra %s from Maven Central, 70 MB, this once ...", VERSION)
    repository = folder / "repository"
    context = MavenContext(repo_cache=repository, timeout=60)
    # The resolver alone, not `jgo.build()`: that would look for a JDK, to sort jars into modules.
    inputs, transitive = context.resolver.resolve([context.create_dependency(COORDINATE)])
    needed = [each for each in transitive if each.scope in ("compile", "runtime")]
    artifacts = [each.artifact for each in (*inputs, *needed)]
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        for number, path in enumerate(pool.map(fetch, artifacts), start=1):
            path.rename(folder / path.name)
            if number % LOGGED_EVERY == 0:
                log.info("downloaded %d of %d files", number, len(artifacts))
    shutil.rmtree(repository)


def fetch(artifact: Any) -> Path:
    """Return the artifact's jar, whole: jgo takes a file that was cut short for a good one."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            path: Path = artifact.resolve()
            with zipfile.ZipFile(path) as jar:
                if jar.testzip() is None:
                    return path
        except (OSError, zipfile.BadZipFile) as error:  # requests' exceptions are OSErrors
            log.info("attempt %d at %s failed: %s", attempt, artifact.cached_path, error)
        if artifact.cached_path:
            artifact.cached_path.unlink(missing_ok=True)
    raise OSError(f"{artifact.cached_path} could not be downloaded, in {ATTEMPTS} attempts")
