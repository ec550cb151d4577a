"""Parsers of the values of settings.

Each reads the text of a variable, and returns the value or raises ConfigError. The text of that
error goes on a sentence that begins with the variable's name.
"""

import ipaddress
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit


class ConfigError(ValueError):
    """A setting that cannot be used. The text has the variable's name, never its value."""


@dataclass(frozen=True)
class Number:
    """A parser of numbers of the type ``kind``, from ``minimum`` to ``maximum``, both included."""

    minimum: float
    maximum: float
    kind: type[int] | type[float] = int

    @property
    def bounds(self) -> str:
        return f"{self.minimum:,} to {self.maximum:,}"

    def __call__(self, text: str) -> Any:
        if "://" in text:  # REDIS_PORT=tcp://10.0.0.1:6379 if a service is named redis
            raise ConfigError("is Kubernetes' URL of a service: set enableServiceLinks to false")
        with suppress(ValueError):
            value = self.kind(text)
            if self.minimum <= value <= self.maximum and text.isascii():
                return value
        noun = "a whole number" if self.kind is int else "a number"
        raise ConfigError(f"has to be {noun} from {self.bounds}")


def matching(pattern: str, complaint: str) -> Callable[[str], str]:
    """Return a parser of texts that match ``pattern``, which refuses others with ``complaint``."""

    def parse(text: str) -> str:
        if re.fullmatch(pattern, text):
            return text
        raise ConfigError(complaint)

    return parse


def each(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return a parser of lists, separated by commas, whose items ``parse`` reads."""

    def parse_each(text: str) -> tuple[Any, ...]:
        if found := tuple(parse(item.strip()) for item in text.split(",") if item.strip()):
            return found
        raise ConfigError("names nothing; leave it unset instead")

    return parse_each


def switch(text: str) -> bool:
    """Return whether a switch is on."""
    if text.strip() in ("0", "1"):
        return text.strip() == "1"
    raise ConfigError("has to be 0 or 1")


def collector(text: str) -> str:
    """Return the URL of an OTLP collector. Refuse it if OpenTelemetry is not installed."""
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", text):
        raise ConfigError("has to be the URL of a collector, like http://collector:4318")
    with suppress(metadata.PackageNotFoundError):
        metadata.version("opentelemetry-exporter-otlp-proto-http")
        return text
    raise ConfigError("takes the extra otel: pip install 'content[otel]'")


def certificates(path: str) -> str:
    """Return the path of a PEM file. Read it now, as a wrong file would look like an outage."""
    filled(path)
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError):  # SSLError for a file without certificates
        raise ConfigError("names no file of certificates (PEM) that can be read") from None
    return path


def host_name(text: str) -> str:
    """Return a host's name or address, without the brackets of an IPv6 address."""
    name = re.sub(r"^\[(.*)\]$", r"\1", text.strip())
    with suppress(ValueError):
        ipaddress.ip_address(name)
        return name
    # a name may not look like an IPv4 address
    if re.fullmatch(r"(?![0-9]+(\.[0-9]+)+\Z)[\w.-]+", name):
        return name
    raise ConfigError("has to be the name or address of a host, without a scheme or a port")


def sentinel(text: str) -> tuple[str, int]:
    """Return the host and port of ``host``, ``host:port`` or ``[v6]:port``."""
    name, separator, number = text.rpartition(":")
    if not separator or text.endswith("]"):
        name, number = text, "26379"
    return host_name(name), port_number(number)


def url_of_redis(text: str) -> str:
    """Return a URL of Redis. Refuse any part that a client would ignore in silence."""
    quoted, database = r"(?:[^@/?#%\s]|%[0-9a-fA-F]{2})+", r"(?:\?db=[0-9]{1,9})?"
    server = rf"rediss?://(?=.)(({quoted})?@)?[^@/?#%\s]*(/[0-9]{{1,9}}/?|/?{database})"
    path = rf"unix://(({quoted})?@)?(/+{quoted})+/*{database}"
    with suppress(ValueError):  # of ``urlsplit`` and ``host_name``
        url = urlsplit(text)
        host_name(url.hostname or "localhost")
        if url.port != 0 and re.fullmatch(f"{server}|{path}", text):
            return text
    raise ConfigError(
        "has to be redis[s]://[user:password@]host[:port][/database] or unix://[user:password@]/path"
        "[?db=database]; in a password @ / ? # % are %40 %2F %3F %23 %25"
    )


port_number = Number(1, 65_535)
seconds = Number(0.001, 86_400, float)
deadline = Number(0.01, 86_400, float)
seconds_or_none = Number(0, 86_400, float)
filled = matching(r"(?s).+", "is empty; leave it unset instead")
identifier = matching(
    r"(?a)[A-Za-z]\w{0,47}", "has to be a letter and then letters, digits and _, at most 48"
)
token = matching(
    r"(?=\S)[^\x00-\x1f\x7f\ufeff]+(?<=\S)",
    "is empty, or has a blank around it or a control character in it, which no client can send",
)
origin = matching(
    r"\*|(?!http:.*:80\Z|https:.*:443\Z)"
    r"[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?",
    "has to be origins as browsers send them, like https://site.example: in lower case,"
    " without a path, a default port or a wildcard",
)
