"""Functions to declare, look up and parse settings. ``config.py`` has the settings themselves."""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
SENTINEL_PORT = "26379"


class ConfigError(ValueError):
    """A setting that cannot be used. The text has the variable's name, never its value."""


def setting(default: Any, parse: Callable[[str], Any], *, secret: bool = False) -> Any:
    """Return a field of Config. ``parse`` reads its value from text. The text of a ConfigError that
    ``parse`` raises goes on a sentence that begins with the variable's name."""
    return dataclasses.field(default=default, metadata={"parse": parse}, repr=not secret)


def parsed(variable: str, parse: Callable[[str], Any], text: str) -> Any:
    """Return the value that ``parse`` reads from ``text``. Raise ConfigError, which never shows
    ``text``, although an error of the standard library may have it."""
    try:
        return parse(text)
    except ValueError as error:
        why = error if isinstance(error, ConfigError) else "is malformed"
        raise ConfigError(f"{variable} {why}") from None


def lookup(environ: Mapping[str, str], variable: str) -> str | None:
    """Return the text of ``variable`` or of the file that ``variable_FILE`` names, None if neither
    is set. Raise ConfigError."""
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
    if text := re.sub(r"\r?\n\Z", "", text):
        return text
    raise ConfigError(f"{variable}_FILE is empty")


def whole(text: str) -> float:
    """Return the number that the ASCII digits of ``text`` make, else NaN."""
    return int(text.strip()) if re.fullmatch(r"\s*[0-9]+\s*", text) else math.nan


@dataclass(frozen=True)
class Number:
    """A parser of numbers of the kind ``noun``, from ``minimum`` to ``maximum``, both included."""

    minimum: float
    maximum: float
    noun: str = "a whole number"
    read: Callable[[str], float] = whole

    @property
    def bounds(self) -> str:
        return f"{self.minimum:,} to {self.maximum:,}"

    def __call__(self, text: str) -> Any:
        try:
            value = self.read(text)
        except ValueError:
            value = math.nan
        if self.minimum <= value <= self.maximum:
            return value
        raise ConfigError(f"has to be {self.noun} from {self.bounds}")


class Port(Number):
    """A parser of port numbers from ``minimum``."""

    def __init__(self, minimum: int = 1) -> None:
        super().__init__(minimum, 65_535)

    def __call__(self, text: str) -> Any:
        if "://" in text:  # REDIS_PORT=tcp://10.0.0.1:6379 if a service is named redis
            raise ConfigError(
                "is a URL, as Kubernetes sets it for a service of that name:"
                " rename the service, or set enableServiceLinks to false"
            )
        return super().__call__(text)


seconds = Number(0.001, 86_400, "a number of seconds", float)
seconds_or_none = dataclasses.replace(seconds, minimum=0)


def switch(text: str) -> bool:
    if text.strip() in ("0", "1"):
        return text.strip() == "1"
    raise ConfigError("has to be 0 or 1")


def filled(text: str) -> str:
    if text:
        return text
    raise ConfigError("is empty; leave it unset instead")


def token(text: str) -> str:
    """Return a token without blanks around it. No client could send blanks there in a header."""
    if text == text.strip():
        return filled(text)
    raise ConfigError("has a blank or a line end around it, which no client can send")


def identifier(text: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,47}", text):
        return text
    raise ConfigError("has to be a letter and then letters, digits and _, at most 48 in all")


def certificates(path: str) -> str:
    """Return the path of a PEM file. Read it now, as a wrong file would look like an outage."""
    try:
        ssl.create_default_context(cafile=filled(path))
    except OSError:  # also for a file without certificates: SSLError
        raise ConfigError("names no file of certificates (PEM) that can be read") from None
    return path


def each(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return a parser of lists, separated by commas, whose items ``parse`` reads."""

    def parse_each(text: str) -> tuple[Any, ...]:
        if found := tuple(parse(item.strip()) for item in text.split(",") if item.strip()):
            return found
        raise ConfigError("names nothing; leave it unset instead")

    return parse_each


def is_host(text: str) -> bool:
    """Return whether ``text`` is a host's name or address, without scheme, port or blanks."""
    try:
        ipaddress.ip_address(text)
    except ValueError:  # a name may not look like an IPv4 address
        return bool(re.fullmatch(r"(?![0-9]+(\.[0-9]+)+\Z)[\w.-]+", text))
    return True


def host_name(text: str) -> str:
    """Return a host's name or address, without the brackets of an IPv6 address."""
    name = re.sub(r"^\[(.*)\]$", r"\1", filled(text).strip())
    if is_host(name):
        return name
    raise ConfigError("has to be the name or address of a host, without a scheme or a port")


def sentinel(text: str) -> tuple[str, int]:
    """Return the host and port of ``host``, ``host:port`` or ``[v6]:port``."""
    name, separator, number = text.rpartition(":")
    if not separator or text.endswith("]"):
        name, number = text, SENTINEL_PORT
    if not name or "/" in text:
        raise ConfigError("has to be hosts, with or without a port, separated by commas")
    return host_name(name), Port()(number)


def origin(text: str) -> str:
    """Return an origin ``scheme://host[:port]``, as browsers send it, or ``*``. Refuse a spelling
    that would match no request."""
    found = ORIGIN.fullmatch(text)
    if text == "*" or (found and found[3] != DEFAULT_PORTS.get(found[1], "")):
        return text
    raise ConfigError(
        "has to be origins as browsers send them, like https://site.example: in lower case,"
        " without a path, a default port or a wildcard"
    )


def url_of_redis(text: str) -> str:
    """Return a URL ``redis://[user[:password]@][host][:port][/db]``, with ``rediss://`` for TLS, or
    ``unix://[user[:password]@]/path``. The database may be ``?db=N`` instead. Refuse any part that
    a client would ignore in silence."""
    url = urlsplit(text)
    is_unix = url.scheme == "unix"
    if url.scheme not in ("redis", "rediss", "unix") or not text.partition("://")[2]:
        raise ConfigError("has to be a redis://, rediss:// or unix:// URL")
    rest = url.netloc.rpartition("@")[0] + url.path + url.query
    if "@" in rest or re.search(r"[#\s]|%(?![0-9a-fA-F]{2})", text):
        raise ConfigError(
            "has a blank, or one of @ / ? # % that has to be %40 %2F %3F %23 %25 in a password"
        )
    if not re.fullmatch(r"(db=[0-9]{1,9})?", url.query):
        raise ConfigError("has a query other than ?db=NUMBER, which names the database")
    if not is_unix and not re.fullmatch(r"/?|/[0-9]{1,9}/?", url.path):
        raise ConfigError("names a database that is not a number")
    if not is_unix and url.query and url.path.strip("/"):
        raise ConfigError("names the database twice, in its path and by ?db=")
    if is_unix and (url.hostname or not url.path.strip("/")):
        raise ConfigError("names no socket: unix:///path/of/redis.sock")
    if url.port == 0 or not is_host(url.hostname or "localhost"):
        raise ConfigError("has a host or a port that is none")
    return text
