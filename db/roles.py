"""Make the service's role in a Cassandra that requires a login: ``python -m db.roles``.

A new Cassandra has a superuser ``cassandra`` with the password ``cassandra``. This program does:

1. make the role CASSANDRA_USERNAME and the keyspace, in which the role may make, read and write
   tables, and nothing else;
2. change the password of ``cassandra`` to CASSANDRA_ADMIN_PASSWORD.

It may run at any time, several times at once, and again after it was cut short. A finished step is
left alone. It tries again until both steps are done, and prints each new reason why they are not.
Exit status 1: a setting is wrong.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from acsylla import errors as driver

from config import Config, ConfigError, lookup
from db.cassandra import schema
from db.cassandra.session import make_cluster

RETRY_S = 2.0
PERMISSIONS = ("CREATE", "SELECT", "MODIFY")
ADMIN = DEFAULT_PASSWORD = "cassandra"  # noqa: S105 - Cassandra's own, which is closed here


@asynccontextmanager
async def visiting(config: Config, username: str, password: str) -> AsyncIterator[Any]:
    """Yield a session, or None if Cassandra refuses the login."""
    as_user = dataclasses.replace(config, cassandra_username=username, cassandra_password=password)
    try:
        session = await make_cluster(as_user, None).create_session()
    except driver.CassErrorServerBadCredentials:
        yield None
        return
    try:
        yield session
    finally:
        await session.close()


async def ensure(config: Config, admin_password: str) -> str:
    """Do both steps, and return the result in words. After an error they must be tried again."""
    username, password = config.cassandra_username or "", config.cassandra_password or ""
    async with (
        visiting(config, username, password) as service,
        visiting(config, ADMIN, DEFAULT_PASSWORD) as default,
    ):
        if service and not default and await _may_write(service, config):
            return f"{username} may log in already"
        if default:
            await _make(default, config)
            secret = _quoted(admin_password)
            await default.query(f"ALTER ROLE {ADMIN} WITH PASSWORD = {secret}")
            return f"{username} made, the default password closed"
    async with visiting(config, ADMIN, admin_password) as admin:
        if admin is None:
            raise PermissionError(f"neither {username} nor {ADMIN} may log in")
        await _make(admin, config)
    return f"{username} made"


async def _may_write(session: Any, config: Config) -> bool:
    """Return whether the role of ``session`` has its rights in the keyspace.

    Cassandra revokes them when the keyspace is dropped, and another CASSANDRA_KEYSPACE never had
    them.
    """
    keyspace, role = config.cassandra_keyspace, f'"{config.cassandra_username}"'
    try:
        found = await session.query(f"LIST ALL PERMISSIONS ON KEYSPACE {keyspace} OF {role}")
    except driver.CassErrorServerInvalidQuery:  # there is no such keyspace
        return False
    return {row.column_value("permission") for row in found.all()} >= set(PERMISSIONS)


async def _make(session: Any, config: Config) -> None:
    """Make the role and the keyspace.

    The default password is closed afterwards, because a run that was cut short is recognised by the
    default password, and finished.
    """
    await _spread(session, config.cassandra_replication)
    role, secret = f'"{config.cassandra_username}"', _quoted(config.cassandra_password or "")
    name = _quoted(config.cassandra_username or "")
    found = await session.query(f"SELECT role FROM system_auth.roles WHERE role = {name}")
    verb = "ALTER" if found.first() else "CREATE"  # not both: a password may change once in 5 s
    await session.query(f"{verb} ROLE {role} WITH LOGIN = true AND PASSWORD = {secret}")
    await schema.make_keyspace(session, config, await schema.local_datacenter(session, config))
    for permission in PERMISSIONS:
        await session.query(f"GRANT {permission} ON KEYSPACE {config.cassandra_keyspace} TO {role}")


async def _spread(session: Any, replication: int | None) -> None:
    """Keep logins on three nodes of a ring, because the loss of a single copy locks everybody out.

    Set ``replication`` before the ring is complete, so that joining nodes receive the logins.
    """
    local = (await schema.nodes(session))[0].datacenter
    is_ring = await schema.is_ring(session, local)
    if copies := replication or (schema.RING if is_ring else 0):
        options = f"{{'class': 'NetworkTopologyStrategy', {_quoted(local)}: {copies}}}"
        await session.query(f"ALTER KEYSPACE system_auth WITH replication = {options}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def patiently(config: Config, admin_password: str) -> str:
    """Call ``ensure`` until it succeeds, and print each new reason why it does not."""
    told = ""
    while True:
        try:
            return await ensure(config, admin_password)
        except ConfigError:
            raise
        except Exception as error:  # noqa: BLE001 - any error: Cassandra is not there yet
            if (reason := f"{type(error).__name__}: {error}") != told:
                print(f"waiting for Cassandra: {reason}", file=sys.stderr)
                told = reason
        await asyncio.sleep(RETRY_S)


def main() -> int:
    """Make the login and its rights, and return the status of the process."""
    try:
        config = Config.from_env(os.environ)
        admin_password = lookup(os.environ, "CASSANDRA_ADMIN_PASSWORD")
        if not (config.cassandra_username and config.cassandra_password and admin_password):
            names = "CASSANDRA_USERNAME, CASSANDRA_PASSWORD and CASSANDRA_ADMIN_PASSWORD"
            raise ConfigError(f"{names} have to be set")
        print(asyncio.run(patiently(config, admin_password)))
    except ConfigError as error:
        print(f"python -m db.roles: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
