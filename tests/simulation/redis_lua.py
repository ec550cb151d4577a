"""The service's Lua scripts, run by a real Lua 5.1 with ``redis.call`` over the simulated data.

One Lua state serves every schedule of a process, because compiling is what costs. Values cross as
Redis converts them: nil reply to false, integer to number, status and error to tables.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from lupa.lua51 import LuaError, LuaRuntime, lua_type

from tests.simulation.redis_data import OK, RedisError, Status

Command = Callable[[list[bytes]], Any]
_LUA = LuaRuntime(encoding=None, unpack_returned_tuples=True, register_eval=False)
_TABLE = _LUA.table_from
_PREFIX = b"return function(KEYS, ARGV)\n"
_STATUS_OK = _TABLE({b"ok": bytes(OK)})
_PRELUDE = b"""
local call = ...
local function checked(value)
  if type(value) == 'table' and value.err then error(value.err, 0) end
  return value
end
redis = {
  call = function(...) return checked(call(...)) end,
  error_reply = function(text) return {err = text} end,
  status_reply = function(text) return {ok = text} end,
}
"""
_commands: list[Command] = []


def _to_lua(value: Any) -> Any:
    if value is None:
        return False
    if value is OK:
        return _STATUS_OK
    if isinstance(value, Status):
        return _TABLE({b"ok": bytes(value)})
    if isinstance(value, list):
        return _TABLE([_to_lua(each) for each in value])
    return value


def _argument(value: object) -> bytes:
    if type(value) is bytes:
        return value
    if isinstance(value, int | float):  # as lua_tolstring writes numbers: %.14g
        return b"%.17g" % value
    raise RedisError("ERR Lua redis lib command arguments must be strings or integers")


def _call(*args: Any) -> Any:
    """``redis.call``; an error comes back as a table, which the prelude raises in Lua."""
    try:
        return _to_lua(_commands[-1]([a if type(a) is bytes else _argument(a) for a in args]))
    except RedisError as error:
        return _TABLE({b"err": str(error).encode()})


_LUA.execute(_PRELUDE, _call)


@lru_cache(256)
def _compiled(text: bytes) -> Any:
    return _LUA.execute(_PREFIX + text + b"\nend")


def _from_lua(value: Any) -> Any:
    if value is None or value is False:
        return None
    if value is True:
        return 1
    if lua_type(value) == "table":
        if (error := value[b"err"]) is not None:
            raise RedisError(error.decode())
        if (status := value[b"ok"]) is not None:
            return Status(status)
        return [_from_lua(each) for each in value.values()]
    return int(value) if isinstance(value, float) else value


def run_script(text: bytes, keys: list[bytes], args: list[bytes], command: Command) -> Any:
    """The reply of a script; ``command`` executes what it passes to ``redis.call``. Raises
    RedisError for an error reply."""
    _commands.append(command)
    try:
        return _from_lua(_compiled(text)(_TABLE(keys), _TABLE(args)))
    except LuaError as error:  # the error of a command, raised by ``redis.call``
        raise RedisError(str(error).partition("\nstack traceback")[0]) from None
    finally:
        _commands.pop()
