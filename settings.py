"""How a setting is declared, parsed and looked up; ``config.py`` has the settings themselves."""

from __future__ import annotations

import dataclasses
import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@A-Z]+")


class ConfigError(ValueError):
    """A setting that cannot be used; names the variable, never its value."""


def whole(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text.strip()
        value = int(digits) if digits.isascii() and digits.isdecimal() else minimum - 1
        if not minimum <= value <= maximum:
            raise ValueError(f"has to be a whole number from {minimum:,} to {maximum:,}")
        return value

    return parse


def switch(text: str) -> bool:
    if text.strip() not in ("0", "1"):
        raise ValueError("has to be 0 or 1")
    return text.strip() == "1"


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86_400:
        raise ValueError("has to be a number of seconds above 0, at most 86,400")
    return value


def seconds_or_none(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 86_400:
        raise ValueError("has to be a number of seconds from 0 to 86,400")
    return value


def url_of_redis(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme not in ("redis", "rediss", "unix") or not separator or not rest:
        raise ValueError("has to be a redis://, rediss:// or unix:// URL")
    _ = urlsplit(text).port  # raises ValueError for one that is no number
    return text


def names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def some_names(text: str) -> tuple[str, ...]:
    if found := names(text):
        return found
    raise ValueError("names nothing; leave it unset instead")


def origins(text: str) -> tuple[str, ...]:
    """Of ``scheme://host[:port]``, as browsers send them, or ``*``: others would match none."""
    found = some_names(text)
    if not all(each == "*" or ORIGIN.fullmatch(each) for each in found):
        raise ValueError("has to be origins like https://site.example, without a path")
    return found


def hosts_and_ports(default: int) -> Callable[[str], tuple[tuple[str, int], ...]]:
    """Of ``host``, ``host:port`` or ``[v6]:port``, comma-separated."""

    def parse(text: str) -> tuple[tuple[str, int], ...]:
        return tuple(_host_and_port(each, default) for each in some_names(text))

    return parse


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]"):
        host, port = text, str(default)
    host = host.removeprefix("[").removesuffix("]")
    if not host or "/" in host:
        raise ValueError("has to be hosts, with or without a port, separated by commas")
    return host, whole(1, 65_535)(port)


def certificates(path: str) -> str:
    """The path of a PEM file that has some; read here, as a wrong one would look like an outage."""
    try:
        ssl.create_default_context(cafile=filled(path))
    except OSError:  # what is in it, too: SSLError is one
        raise ValueError("names no file of certificates (PEM) that can be read") from None
    return path


def filled(text: str) -> str:
    if text:
        return text
    raise ValueError("is empty; leave it unset instead")


def identifier(text: str) -> str:
    if text.isidentifier() and text.isascii() and text[0] != "_" and len(text) <= 48:
        return text
    raise ValueError("has to be a letter and then letters, digits and _, at most 48 in all")


def setting(
    variable: str, default: Any, parse: Callable[[str], Any], reason: str, *, secret: bool = False
) -> Any:
    """A field of Config: where it comes from, how it is read, and why its default is what it is."""
    metadata = {"variable": variable, "parse": parse, "reason": reason, "secret": secret}
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def lookup(environ: Mapping[str, str], variable: str) -> str | None:
    path = environ.get(f"{variable}_FILE")
    if path is None:
        return environ.get(variable)
    if variable in environ:
        raise ConfigError(f"{variable} and {variable}_FILE are both set")
    try:
        text = Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable}_FILE cannot be read: {type(error).__name__}") from None
    # one line end is the editor's; every other blank may be part of the secret
    text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not text:
        raise ConfigError(f"{variable}_FILE is empty")
    return text
