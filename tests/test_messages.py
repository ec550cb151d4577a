"""No 5xx tells a client what a dependency said: its message is written in the source, as it is."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import errors
from tests.each import each
from tests.test_imports import sources

PRODUCT = {"api", "cache", "db", "middleware", "wire", "service.py", "errors.py"}
SERVER_ERRORS = {
    name
    for name, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, errors.ServiceError) and found.status >= 500
}


def raised(path: Path) -> Iterator[ast.Call]:
    """Every call that makes an error of the server."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in SERVER_ERRORS:
                yield node


def is_written(message: ast.expr) -> bool:
    """Whether a message is a literal, or the name of one."""
    if isinstance(message, ast.Constant):
        return True
    name = message.attr if isinstance(message, ast.Attribute) else getattr(message, "id", "")
    return name.isupper() or name == "message"  # the class's own


def files() -> list[Path]:
    root = Path(errors.__file__).parent
    return [path for path in sources() if path.relative_to(root).parts[0] in PRODUCT]


@each("path", files())
def test_no_message_of_the_server_is_made_of_an_error(path: Path) -> None:
    for call in raised(path):
        if call.func.id in ("OutcomeUnknown", "Shed"):  # type: ignore[attr-defined]
            continue  # whose arguments are no message
        assert all(map(is_written, call.args)), f"{path}:{call.lineno}"


def test_an_error_that_nobody_foresaw_keeps_its_text() -> None:
    assert errors.ServiceError().message == "Internal Server Error"
