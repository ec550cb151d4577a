"""Mutants of the caches: the fence, the scripts in Redis, the near cache and the reads."""

from tests.simulation.mutation import mutant

FENCE, REDIS = "cache/fence.py", "cache/redis/rows.py"
LEASE, FILL = "cache/redis/lease.lua", "cache/redis/fill.lua"
INTEND, SETTLE = "cache/redis/intend.lua", "cache/redis/settle.lua"
READS, NEAR = "cache/reads.py", "cache/near.py"
HANDSHAKE = "cache/redis/handshake.py"

MUTANTS = (
    mutant(
        "no intent",
        "a write places its intent before it asks the store",
        (
            FENCE,
            "intent = await self._redis.intend(sorted(keys))",
            'intent = "none"',
        ),
    ),
    mutant(
        "no settlement",
        "a write deletes value and lease once more after the store has answered",
        (FENCE, "while not await self._redis.settle(sorted(keys), intent):", "while False:"),
    ),
    mutant(
        "settlement not waited for",
        "a write that could not settle is not acknowledged",
        (
            FENCE,
            "if not await self._end(keys, intent, END_S):",
            "if await self._end(keys, intent, END_S) is None:",
        ),
    ),
    mutant(
        "settled while unknown",
        "an intent stays while the outcome of its write is unknown",
        (
            FENCE,
            "self._background.spawn(self._end_later(keys, intent, unknown.settled))",
            "self._background.spawn(self._end_later(keys, intent, None))",
        ),
    ),
    mutant(
        "a stop settles",
        "an orderly stop leaves the intents of unfinished writes",
        (
            FENCE,
            "        except BaseException:\n            await self._leave(keys)",
            "        except BaseException:\n            await self._end(keys, intent, END_S)",
        ),
    ),
    mutant(
        "a stop settles unknown writes",
        "an orderly stop leaves the intents of writes of unknown outcome",
        (
            FENCE,
            "asyncio.CancelledError:\n                await self._leave(keys)",
            "asyncio.CancelledError:\n                await self._end(keys, intent, END_S)",
        ),
    ),
    mutant(
        "touched lists forgotten",
        "a write fences the lists that it turned out to touch",
        (FENCE, "keys |= set(map(genre_key, before ^ after))", ""),
    ),
    mutant(
        "fill without lease",
        "a value is stored only under the lease that was granted for it",
        (
            FILL,
            "~= ARGV[1] then return 0 end",
            "== 1 then return 0 end",
        ),
    ),
    mutant(
        "one token for all",
        "a lease and an intent have a token of their own",
        (
            REDIS,
            'f"{secrets.token_hex(8)}-{{}}".format',
            '"token".format',
        ),
    ),
    mutant(
        "lease over an intent",
        "no lease is granted while an intent lives",
        (LEASE, "'+inf') > 0 then return 2 end", "'+inf') > 99 then return 2 end"),
    ),
    mutant(
        "intent without lifetime",
        "an intent lives until it is lifted or expires",
        (INTEND, "string.format('%.0f', now + ms)", "string.format('%.0f', now)"),
    ),
    mutant(
        "intent keeps the value",
        "an intent deletes the value",
        (
            INTEND,
            "redis.call('DEL', KEYS[i], KEYS[i + 1])",
            "redis.call('DEL', KEYS[i + 1])",
        ),
    ),
    mutant(
        "intent keeps the lease",
        "an intent deletes the lease",
        (
            INTEND,
            "redis.call('DEL', KEYS[i], KEYS[i + 1])",
            "redis.call('DEL', KEYS[i])",
        ),
    ),
    mutant(
        "settlement keeps the value",
        "a settlement deletes the value",
        (
            SETTLE,
            "redis.call('DEL', KEYS[i], KEYS[i + 1])",
            "redis.call('DEL', KEYS[i + 1])",
        ),
    ),
    mutant(
        "settlement keeps the lease",
        "a settlement deletes the lease",
        (
            SETTLE,
            "redis.call('DEL', KEYS[i], KEYS[i + 1])",
            "redis.call('DEL', KEYS[i])",
        ),
    ),
    mutant(
        "settlement lifts all intents",
        "a settlement lifts its own intent alone",
        (SETTLE, "redis.call('ZREM', KEYS[i + 2], ARGV[1])", "redis.call('DEL', KEYS[i + 2])"),
    ),
    mutant(
        "keys without their run",
        "keys are named after the run of Redis that holds them",
        (
            HANDSHAKE,
            'prefix = f"content:{FORMAT}:{identity}:{run}:"',
            'prefix = f"content:{FORMAT}:{identity}:one:"',
        ),
    ),
    mutant(
        "near kept without connection",
        "the near cache is emptied when the connection is lost",
        (REDIS, "            self.near.disable()\n", ""),
    ),
    mutant(
        "replies after pushes",
        "a value is put near before a later invalidation of it is seen",
        (
            "cache/redis/connection.py",
            "self._pending.popleft()(reply)",
            "asyncio.get_running_loop().call_soon(self._pending.popleft(), reply)",
        ),
    ),
    mutant(
        "flush not heard",
        "a FLUSHALL empties the near cache",
        (REDIS, "            self.near.clear()\n", ""),
    ),
    mutant(
        "invalidation not heard",
        "an invalidation removes a key from near",
        (REDIS, "                self.near.remove(name", "                str(name"),
    ),
    mutant(
        "near without end",
        "an entry is near for no longer than its TTL",
        (
            NEAR,
            "        if entry.expires_at > self.clock():",
            "        if True:",
        ),
    ),
    mutant(
        "near not forgotten by the writer",
        "the worker that wrote sees its write at once",
        (READS, "        self.near.remove(key)\n        self._flights", "        self._flights"),
    ),
    mutant(
        "old load joined",
        "nobody joins a load that may be older than a write",
        (READS, "        self._flights.forget(key)\n", ""),
    ),
    mutant(
        "POST leaves absence",
        "a POST clears the negative entry of its row",
        (
            "cache/store.py",
            'self._fence.around(video_id, values["genres"], write)',
            'self._fence.around("", values["genres"], write)',
        ),
    ),
    mutant(
        "new reign not looked at",
        "a write is refused when its Redis has another replication id than its keys say",
        *[
            (path, "if reign ~= '' and not string.find(", "if reign == 'none' and not string.find(")
            for path in (INTEND, SETTLE)
        ],
    ),
    mutant(
        "reign not marked",
        "a write tells the readers of an earlier reign that another one has begun",
        *[(path, "redis.call('SET', KEYS[#KEYS], '1', 'NX')\n", "") for path in (INTEND, SETTLE)],
    ),
    mutant(
        "keys without replication id",
        "a master that was a replica meanwhile has other keys than before",
        (HANDSHAKE, "run[:12] + replication_id[:12]", "run[:12]"),
    ),
    mutant(
        "near without invalidations",
        "the near cache is off while Redis refuses to send invalidations",
        (REDIS, "        if session.tracking:\n", "        if True:\n"),
        (REDIS, "session.tracking and entry.is_fresh()", "entry.is_fresh()"),
    ),
    mutant(
        "doubtful load kept",
        "without Redis, a load that a write overtook is not kept near",
        (READS, "if flight.current:", "if True:"),
    ),
    mutant(
        "any sentinel will do",
        "a master is believed if most sentinels name it",
        ("cache/redis/sentinel.py", "2 * count > number", "count > 0"),
    ),
    mutant(
        "sentinels not asked again",
        "a master that most sentinels have not confirmed for seconds is left",
        (
            "cache/redis/sentinel.py",
            "loop.time() - self._confirmed_at > UNCONFIRMED_S",
            "loop.time() - self._confirmed_at > 1e9",
        ),
    ),
)
