"""Mutants of the product: each breaks one rule that keeps the promise, and has to be found out."""

from __future__ import annotations

from tests.simulation.mutation import Mutant, Patch

FENCE, SCRIPTS, REDIS = "cache/fence.py", "cache/scripts.py", "cache/redis.py"
READS, NEAR, TRACKING = "cache/reads.py", "cache/near.py", "cache/tracking.py"
STORE, WRITES, LINES = "cache/store.py", "db/cassandra_writes.py", "db/cassandra_lines.py"


def _mutant(name: str, rule: str, *patches: tuple[str, str, str]) -> Mutant:
    return Mutant(name, rule, tuple(Patch(*each) for each in patches))


MUTANTS = (
    _mutant(
        "no intent",
        "a write places its intent before it asks the store",
        (
            FENCE,
            "intent = await self._redis.intend(sorted(keys)) if self._redis else None",
            'intent = Intent("none", "") if self._redis else None',
        ),
    ),
    _mutant(
        "no settlement",
        "a write deletes value and lease once more after the store has answered",
        (FENCE, "if self._redis is None or intent is None:", "if True:"),
    ),
    _mutant(
        "settlement not waited for",
        "a write that could not settle is not acknowledged",
        (
            FENCE,
            "if not await self._end(keys, intent):",
            "if await self._end(keys, intent) is None:",
        ),
    ),
    _mutant(
        "settled while unknown",
        "an intent stays while the outcome of its write is unknown",
        (
            FENCE,
            "self._spawn(self._end_later(keys, intent, unknown.settled))",
            "self._spawn(self._end_later(keys, intent, None))",
        ),
    ),
    _mutant(
        "a stop settles",
        "an orderly stop leaves the intents of unfinished writes",
        (
            FENCE,
            "        except BaseException:\n            await self._leave(keys)",
            "        except BaseException:\n            await self._end(keys, intent)",
        ),
    ),
    _mutant(
        "touched lists forgotten",
        "a write fences the lists that it turned out to touch",
        (FENCE, "keys |= set(touched(written))", "touched(written)"),
    ),
    _mutant(
        "fill without lease",
        "a value is stored only under the lease that was granted for it",
        (
            SCRIPTS,
            "~= ARGV[1] then return 0 end\nredis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])",
            "== 1 then return 0 end\nredis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])",
        ),
    ),
    _mutant(
        "one token for all",
        "a lease and an intent have a token of their own",
        (
            REDIS,
            'f"{process}-{number}" for number in itertools.count()',
            '"token" for _ in itertools.count()',
        ),
    ),
    _mutant(
        "lease over an intent",
        "no lease is granted while an intent lives",
        (SCRIPTS, "'+inf') > 0 then return 2 end", "'+inf') > 99 then return 2 end"),
    ),
    _mutant(
        "intent without lifetime",
        "an intent lives until it is lifted or expires",
        (SCRIPTS, "string.format('%.0f', now + ms)", "string.format('%.0f', now)"),
    ),
    _mutant(
        "intent keeps the value",
        "an intent deletes the value",
        (
            SCRIPTS,
            "PEXPIRE', KEYS[i + 2], ms) end\n  redis.call('DEL', KEYS[i], KEYS[i + 1])",
            "PEXPIRE', KEYS[i + 2], ms) end\n  redis.call('DEL', KEYS[i + 1])",
        ),
    ),
    _mutant(
        "intent keeps the lease",
        "an intent deletes the lease",
        (
            SCRIPTS,
            "PEXPIRE', KEYS[i + 2], ms) end\n  redis.call('DEL', KEYS[i], KEYS[i + 1])",
            "PEXPIRE', KEYS[i + 2], ms) end\n  redis.call('DEL', KEYS[i])",
        ),
    ),
    _mutant(
        "settlement keeps the value",
        "a settlement deletes the value",
        (
            SCRIPTS,
            "redis.call('ZREM', KEYS[i + 2], ARGV[1])\n  redis.call('DEL', KEYS[i], KEYS[i + 1])",
            "redis.call('ZREM', KEYS[i + 2], ARGV[1])\n  redis.call('DEL', KEYS[i + 1])",
        ),
    ),
    _mutant(
        "settlement keeps the lease",
        "a settlement deletes the lease",
        (
            SCRIPTS,
            "redis.call('ZREM', KEYS[i + 2], ARGV[1])\n  redis.call('DEL', KEYS[i], KEYS[i + 1])",
            "redis.call('ZREM', KEYS[i + 2], ARGV[1])\n  redis.call('DEL', KEYS[i])",
        ),
    ),
    _mutant(
        "settlement lifts all intents",
        "a settlement lifts its own intent alone",
        (SCRIPTS, "redis.call('ZREM', KEYS[i + 2], ARGV[1])", "redis.call('DEL', KEYS[i + 2])"),
    ),
    _mutant(
        "keys without their run",
        "keys are named after the run of Redis that holds them",
        (
            "cache/handshake.py",
            'session.prefix = f"content:{FORMAT}:{identity}:{session.run}:"',
            'session.prefix = f"content:{FORMAT}:{identity}:one:"',
        ),
    ),
    _mutant(
        "near kept without connection",
        "the near cache is emptied when the connection is lost",
        (TRACKING, "            self._near.disable()", "            pass"),
    ),
    _mutant(
        "replies after pushes",
        "a value is put near before a later invalidation of it is seen",
        (
            "cache/connection.py",
            "                self._pending.popleft()[1](reply)\n",
            "                self._loop.call_soon(self._pending.popleft()[1], reply)\n",
        ),
    ),
    _mutant(
        "flush not heard",
        "a FLUSHALL empties the near cache",
        (TRACKING, "            self._near.clear()", "            pass"),
    ),
    _mutant(
        "invalidation not heard",
        "an invalidation removes a key from near",
        (TRACKING, "            self._near.remove(key)", "            pass"),
    ),
    _mutant(
        "near without end",
        "an entry is near for no longer than its TTL",
        (
            NEAR,
            "        if entry.expires_at > now:\n            entry.visited",
            "        if True:\n            entry.visited",
        ),
    ),
    _mutant(
        "near not forgotten by the writer",
        "the worker that wrote sees its write at once",
        (READS, "        self._near.remove(key)\n        self._flights", "        self._flights"),
        (
            REDIS,
            "            self._on_invalidate(key)\n\n    def _pushed",
            "            pass\n\n    def _pushed",
        ),
    ),
    _mutant(
        "old load joined",
        "nobody joins a load that may be older than a write",
        (READS, "        self._flights.forget(key)\n", ""),
    ),
    _mutant(
        "POST leaves absence",
        "a POST clears the negative entry of its row",
        (
            STORE,
            "keys = [row_key(video_id), *map(genre_key, values",
            "keys = [*map(genre_key, values",
        ),
        (
            STORE,
            'return {row_key(row["id"]), *map(genre_key, gone)',
            "return {*map(genre_key, gone)",
        ),
    ),
    _mutant(
        "UPDATE not repeated",
        "an UPDATE of unknown outcome is run again, so that a late copy of it is refused",
        (WRITES, "        if cql != CREATE:\n", "        if cql is None:\n"),
    ),
    _mutant(
        "unknown is refused",
        "a write whose outcome is unknown is not called refused",
        (
            WRITES,
            "                raise OutcomeUnknown(settled) from None",
            '                raise Unavailable("no") from None',
        ),
    ),
    _mutant(
        "any row is mine",
        "a creation of unknown outcome holds only if the row is its own",
        (
            WRITES,
            "return found is not None and found.stored.created == stored.created",
            "return found is not None",
        ),
    ),
    _mutant(
        "any version is mine",
        "an update of unknown outcome holds only if the version is its own",
        (
            WRITES,
            'return found is not None and found.row["lastupdated"] == after["lastupdated"]',
            "return found is not None",
        ),
    ),
    _mutant(
        "UPDATE of any version",
        "an UPDATE replaces the version that it was made from, and no other",
        (WRITES, "listed = ? WHERE id = ? IF lastupdated = ?", "listed = ? WHERE id = ? IF EXISTS"),
        (WRITES, 'row["id"], row["lastupdated"]]', 'row["id"]]'),
    ),
    _mutant(
        "DELETE of any version",
        "a DELETE removes the version that was looked at, and no other",
        (
            WRITES,
            "DELETE FROM video WHERE id = ? IF lastupdated = ?",
            "DELETE FROM video WHERE id = ? IF EXISTS",
        ),
        (WRITES, 'values = [life.video_id, before.row["lastupdated"]]', "values = [life.video_id]"),
    ),
    _mutant(
        "lines without timestamps",
        "a line's timestamp is that of the row version that caused it",
        (LINES, "(*entry, version_us(entry.version))", "(*entry, version_us(next_version()))"),
        (LINES, "(version_us(version), genre,", "(version_us(next_version()), genre,"),
        (
            LINES,
            "from db.version import version_us",
            "from db.version import next_version, version_us",
        ),
    ),
    _mutant(
        "lists not written",
        "a write brings the genres' lists up to the row",
        (LINES, "await _all(self._put, entries)", "await _all(self._put, ())"),
    ),
    _mutant(
        "old lines left",
        "a write drops the lines of genres that the row has no more",
        (LINES, "await self.drop(life.lines(gone))", "pass"),
    ),
    _mutant(
        "earlier genres forgotten",
        "a row knows every genre that it may have lines in",
        (WRITES, "listed=life.listed | genres\n        )", "listed=genres\n        )"),
    ),
    _mutant(
        "earlier lives forgotten",
        "a new life of a row drops the lines of its earlier lives",
        (
            "db/cassandra_store.py",
            "over = (life for life in earlier if life.created != stored.created)",
            "over = ()",
        ),
    ),
    _mutant(
        "versions by the clock",
        "a version is later than the one before it, whatever the clock says",
        ("db/version.py", "max(now_us, version_us(after) + 1) if after else now_us", "now_us"),
    ),
    _mutant(
        "condition not checked",
        "a conditional write holds only on the version it names",
        (
            "db/version.py",
            "self.if_match is not None and not names",
            "self.if_match == 1 and not names",
        ),
    ),
    _mutant(
        "new reign not looked at",
        "a write is refused when its Redis has another replication id than its keys say",
        (SCRIPTS, "if reign ~= '' and not string.find(", "if reign == 'none' and not string.find("),
    ),
    _mutant(
        "reign not marked",
        "a write tells the readers of an earlier reign that another one has begun",
        (SCRIPTS, "redis.call('SET', KEYS[#KEYS], '1', 'NX', 'PX', 86400000)\n", ""),
    ),
    _mutant(
        "keys without replication id",
        "a master that was a replica meanwhile has other keys than before",
        ("cache/handshake.py", "        session.run += session.replication_id[:12]\n", ""),
    ),
)
