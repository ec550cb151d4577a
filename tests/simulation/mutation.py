"""Applies a mutant: the product's modules are compiled from patched text when they are imported.

A file of Lua or CQL is patched when its module reads it."""

import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]


class Patch(NamedTuple):
    """In ``path``, the text ``old`` becomes ``new``; it stands there once."""

    path: str
    old: str
    new: str


class Mutant(NamedTuple):
    """Breaks the ``rule``."""

    name: str
    rule: str
    patches: tuple[Patch, ...]


def mutant(name: str, rule: str, *patches: tuple[str, str, str]) -> Mutant:
    """A mutant, from (path, old, new) each."""
    return Mutant(name, rule, tuple(Patch(*each) for each in patches))


class PatchError(Exception):
    """A mutant does not fit the code any more."""


def patched(path: str, patches: Sequence[Patch]) -> str:
    """The text of a module with its patches; raises PatchError."""
    text = (ROOT / path).read_text()
    for patch in patches:
        if patch.path != path:
            continue
        if text.count(patch.old) != 1:
            raise PatchError(f"{path} has {text.count(patch.old)} times: {patch.old}")
        text = text.replace(patch.old, patch.new)
    return text


class _Loader(SourceFileLoader):
    """Compiles the patched text; never from or to a cached file."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, self.path, "exec")


class _Finder:
    def __init__(self, texts: dict[str, tuple[str, str]]) -> None:
        self._texts = texts

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._texts:
            return None
        file, text = self._texts[name]
        spec = importlib.machinery.ModuleSpec(name, _Loader(name, file, text), origin=file)
        spec.has_location = True  # so that the module has its ``__file__``
        return spec


def apply(mutant: Mutant) -> None:
    """From now on its modules are imported, and its scripts read, with its patches. No module of
    them may be imported before."""
    texts, scripts = {}, {}
    for path in {patch.path for patch in mutant.patches}:
        text = patched(path, mutant.patches)
        if path.endswith(".py"):
            name = path.removesuffix(".py").replace("/", ".")
            texts[name] = str(ROOT / path), text
        else:
            name = str(Path(path).parent).replace("/", ".")
            scripts[ROOT / path] = text
        assert name not in sys.modules, name
    sys.meta_path.insert(0, _Finder(texts))
    read_text = Path.read_text

    def read(path: Path, *args: Any) -> str:
        return scripts.get(path) or read_text(path, *args)

    setattr(Path, "read_text", read)  # noqa: B010 - mypy takes no assignment to a method
