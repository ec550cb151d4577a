"""Functions to declare, parse and look up settings. ``config.py`` has the settings themselves."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_NAME = re.compile(r"[\w.-]+")
_BAD_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+)+")
_BAD_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")


class ConfigError(ValueError):
    """A setting that cannot be used. The text has the variable's name, never its value."""


@dataclass(frozen=True)
class Number:
    """A parser of numbers of the kind ``noun``, from ``minimum`` to ``maximum``, both included."""

    minimum: float
    maximum: float
    noun: str
    read: Callable[[str], float]

    @property
    def bounds(self) -> str:
        return f"{self.minimum:,} to {self.maximum:,}"

    def __call__(self, text: str) -> Any:
        try:
            value = self.read(text)
        except ValueError:
            value = self.minimum - 1
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"has to be {self.noun} from {self.bounds}")
        return value


def _digits(text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError
    return int(digits)


def whole(minimum: int, maximum: int) -> Number:
    return Number(minimum, maximum, "a whole number", _digits)


class _Port(Number):
    def __call__(self, text: str) -> Any:
        if "://" in text:  # REDIS_PORT=tcp://10.0.0.1:6379 if a service is named redis
            raise ValueError(
                "is a URL, as Kubernetes sets it for a service of that name:"
                " rename the service, or set enableServiceLinks to false"
            )
        return super().__call__(text)


def port_number(minimum: int = 1) -> Number:
    return _Port(minimum, 65_535, "a whole number", _digits)


def switch(text: str) -> bool:
    if text.strip() not in ("0", "1"):
        raise ValueError("has to be 0 or 1")
    return text.strip() == "1"


seconds = Number(0.001, 86_400, "a number of seconds", float)
seconds_or_none = Number(0, 86_400, "a number of seconds", float)


def is_host(text: str) -> bool:
    """Return whether ``text`` is a host's name or address, without scheme, port or blanks."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_NAME.fullmatch(text)) and not _BAD_ADDRESS.fullmatch(text)
    return True


def host_name(text: str) -> str:
    """Return a host's name or address, without the brackets of an IPv6 address."""
    name = filled(text).strip()
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if is_host(bare):
        return bare
    raise ValueError("has to be the name or address of a host, without a scheme or a port")


def url_of_redis(text: str) -> str:
    """Return a URL ``redis://[user[:password]@][host][:port][/db]``, with ``rediss://`` for TLS, or
    ``unix://[user[:password]@]/path``. The database may be ``?db=N`` instead. Refuse any part that
    a client would ignore in silence."""
    url = urlsplit(text)
    is_unix = url.scheme == "unix"
    if url.scheme not in ("redis", "rediss", "unix") or not text.partition("://")[2]:
        raise ValueError("has to be a redis://, rediss:// or unix:// URL")
    rest = url.netloc.rpartition("@")[0] + url.path + url.query
    if "#" in text or "@" in rest or _BAD_PERCENT.search(text) or re.search(r"\s", text):
        raise ValueError(
            "has a blank, or one of @ / ? # % that has to be %40 %2F %3F %23 %25 in a password"
        )
    if not re.fullmatch(r"(db=[0-9]{1,9})?", url.query):
        raise ValueError("has a query other than ?db=NUMBER, which names the database")
    if not is_unix and not re.fullmatch(r"/?|/[0-9]{1,9}/?", url.path):
        raise ValueError("names a database that is not a number")
    if not is_unix and url.query and url.path.strip("/"):
        raise ValueError("names the database twice, in its path and by ?db=")
    if is_unix and (url.hostname or not url.path.strip("/")):
        raise ValueError("names no socket: unix:///path/of/redis.sock")
    if url.port == 0 or not is_host(url.hostname or "localhost"):
        raise ValueError("has a host or a port that is none")
    return text


def names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def some_names(text: str) -> tuple[str, ...]:
    if found := names(text):
        return found
    raise ValueError("names nothing; leave it unset instead")


def host_names(text: str) -> tuple[str, ...]:
    return tuple(host_name(each) for each in some_names(text))


def origins(text: str) -> tuple[str, ...]:
    """Return origins ``scheme://host[:port]``, as browsers send them, or ``*``. Refuse a spelling
    that would match no request."""
    found = some_names(text)
    for each in found:
        origin = ORIGIN.fullmatch(each)
        if each != "*" and (origin is None or origin[3] == DEFAULT_PORTS.get(origin[1], "")):
            raise ValueError(
                "has to be origins as browsers send them, like https://site.example: in lower case,"
                " without a path, a default port or a wildcard"
            )
    return found


def hosts_and_ports(default: int) -> Callable[[str], tuple[tuple[str, int], ...]]:
    """Return a parser of ``host``, ``host:port`` or ``[v6]:port``, comma-separated."""

    def parse(text: str) -> tuple[tuple[str, int], ...]:
        return tuple(_host_and_port(each, default) for each in some_names(text))

    return parse


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    name, separator, number = text.rpartition(":")
    if not separator or text.endswith("]"):
        name, number = text, str(default)
    if not name or "/" in text:
        raise ValueError("has to be hosts, with or without a port, separated by commas")
    return host_name(name), port_number()(number)


def certificates(path: str) -> str:
    """Return the path of a PEM file. Read it now, as a wrong file would look like an outage."""
    try:
        ssl.create_default_context(cafile=filled(path))
    except OSError:  # also for a file without certificates: SSLError
        raise ValueError("names no file of certificates (PEM) that can be read") from None
    return path


def filled(text: str) -> str:
    if text:
        return text
    raise ValueError("is empty; leave it unset instead")


def token(text: str) -> str:
    """Return a token without blanks around it. No client could send blanks there in a header."""
    if text != text.strip():
        raise ValueError("has a blank or a line end around it, which no client can send")
    return filled(text)


def identifier(text: str) -> str:
    if text.isidentifier() and text.isascii() and text[0] != "_" and len(text) <= 48:
        return text
    raise ValueError("has to be a letter and then letters, digits and _, at most 48 in all")


def parsed(metadata: Mapping[str, Any], text: str) -> Any:
    """Return the value of ``text`` for a setting. Raise ConfigError, which never shows ``text``."""
    try:
        return metadata["parse"](text)
    except ValueError as error:
        ours = str(error).startswith(("has", "is", "names"))
        raise ConfigError(f"{metadata['variable']} {error if ours else 'is malformed'}") from None


def setting(
    variable: str, default: Any, parse: Callable[[str], Any], reason: str, *, secret: bool = False
) -> Any:
    """Return a field of Config, which ``parse`` reads from ``variable``. ``reason`` explains the
    default."""
    metadata = {"variable": variable, "parse": parse, "reason": reason, "secret": secret}
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def lookup(environ: Mapping[str, str], variable: str) -> str | None:
    path = environ.get(f"{variable}_FILE")
    if path is None:
        return environ.get(variable)
    if variable in environ:
        raise ConfigError(f"{variable} and {variable}_FILE are both set")
    if not path:
        raise ConfigError(f"{variable}_FILE is empty; leave it unset instead")
    try:
        text = Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable}_FILE cannot be read: {type(error).__name__}") from None
    # editors add one line end; every other blank may be part of the secret
    text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not text:
        raise ConfigError(f"{variable}_FILE is empty")
    return text
