"""The data of a simulated Redis: the commands that the service and its Lua use, and no other.

``tests/simulation/test_conformance.py`` runs the same commands here and in a real Redis. Keys and
values are bytes. Sorted sets are dictionaries from member to score.
"""

from collections.abc import Callable
from typing import Any

Args = list[bytes]


class RedisError(Exception):
    """An error reply; the text begins with its code."""


class Status(bytes):
    """A status reply, such as OK."""


OK = Status(b"OK")
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_INTEGER = "ERR value is not an integer or out of range"
NOT_FLOAT = "ERR min or max is not a float"
SYNTAX = "ERR syntax error"


def _integer(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise RedisError(NOT_INTEGER) from None


def _bound(text: bytes) -> tuple[float, bool]:
    """A bound of a range of scores, and whether it is exclusive."""
    exclusive = text[:1] == b"("
    try:
        return float(text[exclusive:]), exclusive
    except ValueError:
        raise RedisError(NOT_FLOAT) from None


class Data:
    """Keys with an optional expiry. ``modified`` is told each key that was changed or expired.

    ``now_ms`` is the server's clock. It stands still while a script runs, as Redis' does.
    """

    def __init__(self, now_ms: Callable[[], float], modified: Callable[[bytes], None]) -> None:
        self.now_ms, self.modified = now_ms, modified
        self.values: dict[bytes, Any] = {}
        self.expires_ms: dict[bytes, float] = {}
        self.commands: dict[bytes, Callable[[Args], Any]] = {
            b"GET": self.get,
            b"MGET": self.mget,
            b"SET": self.set,
            b"DEL": self.delete,
            b"UNLINK": self.delete,
            b"EXISTS": self.exists,
            b"PTTL": self.pttl,
            b"PEXPIRE": self.pexpire,
            b"ZADD": self.zadd,
            b"ZREM": self.zrem,
            b"ZCARD": self.zcard,
            b"ZCOUNT": self.zcount,
            b"ZSCORE": self.zscore,
            b"ZREMRANGEBYSCORE": self.zremrangebyscore,
            b"TIME": self.time,
        }

    def copy(self) -> tuple[dict[bytes, Any], dict[bytes, float]]:
        """A snapshot of the keys, for ``load``."""
        values = {k: dict(v) if isinstance(v, dict) else v for k, v in self.values.items()}
        return values, dict(self.expires_ms)

    def load(self, snapshot: tuple[dict[bytes, Any], dict[bytes, float]]) -> None:
        self.values, self.expires_ms = dict(snapshot[0]), dict(snapshot[1])

    def find(self, key: bytes) -> Any:
        """The value of a key that has not expired; None if there is none."""
        found = self.values.get(key)
        if found is None:
            return None
        expires_ms = self.expires_ms.get(key)
        if expires_ms is not None and expires_ms <= self.now_ms():
            self.drop(key)
            return None
        return found

    def drop(self, key: bytes) -> bool:
        """Remove a key, whether deleted, expired or evicted."""
        self.expires_ms.pop(key, None)
        if self.values.pop(key, None) is None:
            return False
        self.modified(key)
        return True

    def expire(self) -> None:
        """Remove what has expired, as the server does from time to time."""
        now_ms = self.now_ms()
        for key in [key for key, at_ms in self.expires_ms.items() if at_ms <= now_ms]:
            self.drop(key)

    def get(self, args: Args) -> bytes | None:
        (key,) = args
        found = self.find(key)
        if isinstance(found, dict):
            raise RedisError(WRONG_TYPE)
        return found  # type: ignore[no-any-return]

    def mget(self, args: Args) -> list[bytes | None]:
        found = [self.find(key) for key in args]
        return [None if isinstance(each, dict) else each for each in found]

    def set(self, args: Args) -> Status | None:
        key, value, *options = args
        only_new, life_ms, at = False, None, 0
        while at < len(options):
            option = options[at].upper()
            if option == b"NX":
                only_new = True
            elif option == b"PX" and at + 1 < len(options):
                at += 1
                life_ms = _integer(options[at])
                if life_ms <= 0:
                    raise RedisError("ERR invalid expire time in 'set' command")
            else:
                raise RedisError(SYNTAX)
            at += 1
        if only_new and self.find(key) is not None:
            return None
        self.values[key] = value
        self.expires_ms.pop(key, None)
        if life_ms is not None:
            self.expires_ms[key] = self.now_ms() + life_ms
        self.modified(key)
        return OK

    def delete(self, args: Args) -> int:
        return sum(self.find(key) is not None and self.drop(key) for key in args)

    def exists(self, args: Args) -> int:
        return sum(self.find(key) is not None for key in args)

    def pttl(self, args: Args) -> int:
        (key,) = args
        if self.find(key) is None:
            return -2
        expires_ms = self.expires_ms.get(key)
        return -1 if expires_ms is None else round(expires_ms - self.now_ms())

    def pexpire(self, args: Args) -> int:
        key, life_ms = args[0], _integer(args[1])
        if self.find(key) is None:
            return 0
        if life_ms <= 0:
            self.drop(key)
        else:
            self.expires_ms[key] = self.now_ms() + life_ms
            self.modified(key)
        return 1

    def time(self, args: Args) -> list[bytes]:
        micros = int(self.now_ms() * 1000)
        return [b"%d" % (micros // 1_000_000), b"%d" % (micros % 1_000_000)]

    def _sorted_set(self, key: bytes) -> dict[bytes, float]:
        found = self.find(key)
        if found is not None and not isinstance(found, dict):
            raise RedisError(WRONG_TYPE)
        return found or {}

    def zadd(self, args: Args) -> int:
        key, *pairs = args
        if not pairs or len(pairs) % 2:
            raise RedisError(SYNTAX)
        try:
            scores = [float(text) for text in pairs[::2]]
        except ValueError:
            raise RedisError("ERR value is not a valid float") from None
        members = self._sorted_set(key)
        before = len(members)
        members.update(zip(pairs[1::2], scores, strict=True))
        self.values[key] = members
        self.modified(key)
        return len(members) - before

    def zrem(self, args: Args) -> int:
        members = self._sorted_set(args[0])
        removed = sum(members.pop(member, None) is not None for member in args[1:])
        self._shrunk(args[0], members, removed)
        return removed

    def _shrunk(self, key: bytes, members: dict[bytes, float], removed: int) -> None:
        if removed and not members:
            self.drop(key)
        elif removed:
            self.modified(key)

    def zcard(self, args: Args) -> int:
        return len(self._sorted_set(args[0]))

    def zscore(self, args: Args) -> float | None:
        return self._sorted_set(args[0]).get(args[1])

    def _in_range(self, args: Args) -> list[bytes]:
        (low, above), (high, below) = _bound(args[1]), _bound(args[2])
        return [
            member
            for member, score in self._sorted_set(args[0]).items()
            if (score > low if above else score >= low)
            and (score < high if below else score <= high)
        ]

    def zcount(self, args: Args) -> int:
        return len(self._in_range(args))

    def zremrangebyscore(self, args: Args) -> int:
        found = self._in_range(args)
        members = self._sorted_set(args[0])
        for member in found:
            del members[member]
        self._shrunk(args[0], members, len(found))
        return len(found)
