"""The grammar of a ``Host`` header; a request with an invalid one is refused (RFC 9112, 3.2)."""

from __future__ import annotations

import ipaddress
import re

_HOST = re.compile(
    rb"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|\[[vV][0-9A-Fa-f]+\.[\w.~!$&'()*+,;=:-]+\]"
    rb"|(?:[\w.~!$&'()*+,;=-]++|%[0-9A-Fa-f]{2})*+)(?::[0-9]*)?"
)
"""``uri-host [":" port]`` (RFC 9110, 7.2; RFC 3986, 3.2.2). An empty value is allowed."""


def is_host(value: bytes) -> bool:
    """Return whether ``value`` may stand in a ``Host`` header."""
    host = _HOST.fullmatch(value)
    if host is None or host["v6"] is None:
        return host is not None
    try:
        ipaddress.IPv6Address(host["v6"].decode())
    except ValueError:
        return False
    return True
