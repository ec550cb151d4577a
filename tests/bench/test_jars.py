"""Cassandra's jars are there whole or not at all."""

import os
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.lab import jars
from bench.lab.spawn import ServerError


def test_folder_of_jars_is_filled_again_after_a_failure(tmp_path: Path) -> None:
    def cut_off(folder: Path) -> None:
        (folder / "half.jar").touch()
        raise OSError("the network is gone")

    target = tmp_path / "cache" / "jars"
    with pytest.raises(ServerError, match="gone"):
        jars.completed(target, cut_off)
    assert not target.exists()
    jars.completed(target, lambda folder: (folder / "whole.jar").touch())
    assert [each.name for each in target.iterdir()] == ["whole.jar"]


def test_folder_of_jars_is_filled_once_by_many_at_once(tmp_path: Path) -> None:
    fills: list[Path] = []

    def fill(folder: Path) -> None:
        time.sleep(0.05)
        fills.append(folder)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: jars.completed(tmp_path / "jars", fill), range(8)))
    assert found == [tmp_path / "jars"] * 8
    assert len(fills) == 1


class CutShort:
    """An artifact whose first `failures` downloads leave half a file, as jgo's do."""

    def __init__(self, folder: Path, failures: int) -> None:
        self.cached_path, self.failures, self.downloads = folder / "some.jar", failures, 0

    def resolve(self) -> Path:
        if not self.cached_path.exists():
            self.downloads += 1
            with zipfile.ZipFile(self.cached_path, "w") as jar:
                jar.writestr("Some.class", b"code" * 100)
            if self.downloads <= self.failures:
                os.truncate(self.cached_path, 100)
        return self.cached_path


def test_jar_cut_short_is_downloaded_again(tmp_path: Path) -> None:
    artifact = CutShort(tmp_path, failures=1)
    path = jars.fetch(artifact)
    with zipfile.ZipFile(path) as jar:
        assert jar.testzip() is None
    assert artifact.downloads == 2


def test_jar_that_stays_short_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="attempts"):
        jars.fetch(CutShort(tmp_path, failures=99))
