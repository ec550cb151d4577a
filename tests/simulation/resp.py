"""How the simulated Redis writes its replies (RESP3), and how a trace tells its commands."""

import hashlib
import re
from functools import cache
from typing import Any

from cache.redis import scripts
from tests.simulation.redis_data import Args, RedisError, Status

UNSAID = frozenset((b"HELLO", b"INFO", b"CONFIG", b"CLIENT"))
"""What a trace leaves out: handshakes and heartbeats."""


def encode(value: Any) -> bytes:
    """A reply in RESP3."""
    if value is None:
        return b"_\r\n"
    if type(value) is int:
        return b":%d\r\n" % value
    if type(value) is bytes:
        return b"$%d\r\n%b\r\n" % (len(value), value)
    if isinstance(value, Status):
        return b"+%b\r\n" % bytes(value)
    if isinstance(value, float):
        return b",%.17g\r\n" % value
    if isinstance(value, dict):
        pairs = [encode(key) + encode(each) for key, each in value.items()]
        return b"%%%d\r\n%b" % (len(pairs), b"".join(pairs))
    if isinstance(value, RedisError):
        return b"-%b\r\n" % str(value).encode()
    return b"*%d\r\n%b" % (len(value), b"".join(map(encode, value)))


@cache
def sha_of(text: bytes) -> bytes:
    """The name of a script."""
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


@cache
def title_of(sha: bytes) -> str:
    """The constant of ``cache.redis.scripts`` that holds the script of this digest."""
    for name, value in vars(scripts).items():
        if isinstance(value, scripts.Script) and value.sha.encode() == sha:
            return name
    return "script"


_UNTOLD = re.compile(rb":[li]:/|:reign:|^[0-9a-f]{40}$")
"""Arguments of scripts that a step leaves out: they follow from the others."""
_KEY = re.compile(r"content:\d+:[\w-]+:(\w{6})\w*:v:")
_UUID = re.compile(r"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def short(value: Any) -> str:
    """A value as a step shows it: keys without their prefix but for the reign's first digits."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    text = _UUID.sub(r"\1", _KEY.sub(r"\1:", text)).replace("\n", " ")
    return text if len(text) <= 72 else f"{text[:34]}...{text[-34:]}"


def told_of(name: bytes, command: Args) -> str:
    """A command as a step shows it; empty for those that a trace leaves out."""
    if name in UNSAID or (name == b"MGET" and command[1].endswith(b":v:")):
        return ""
    if name not in (b"EVALSHA", b"EVAL"):
        return " ".join(map(short, command))
    sha = command[1] if name == b"EVALSHA" else sha_of(command[1])
    keys = [key for key in command[3:] if not _UNTOLD.search(key)]
    return f"{title_of(sha)} {' '.join(map(short, keys))}"
