"""Make the service's login in a Cassandra that requires one: ``python -m db.cassandra.login``.

A new Cassandra has a superuser ``cassandra`` with the password ``cassandra``. This program runs
``login.cql`` as that user: it makes the role CASSANDRA_USERNAME, and changes the password of
``cassandra`` to CASSANDRA_ADMIN_PASSWORD. It may run at any time, and several times at once. Exit
status 1: not done, so run it again.
"""

import asyncio
import dataclasses
import os
import sys
from contextlib import suppress
from typing import Any

from acsylla import errors as driver

from config import Config, ConfigError, lookup
from db.cassandra import schema
from db.cassandra.session import make_cluster

ADMIN = DEFAULT_PASSWORD = "cassandra"  # noqa: S105 - Cassandra's own, which is closed here


async def admin_session(config: Config, password: str) -> Any:
    """Return a session of the superuser. Raise the driver's error if ``password`` is wrong."""
    admin = dataclasses.replace(config, cassandra_username=ADMIN, cassandra_password=password)
    return await make_cluster(admin, None).create_session()


async def ensure(config: Config, admin_password: str) -> None:
    """Run ``login.cql``. Raise the driver's errors.

    If the superuser has neither password, an operator has changed it. The service's own login will
    do then.
    """
    for password in (admin_password, DEFAULT_PASSWORD):
        with suppress(driver.CassErrorServerBadCredentials):
            session = await admin_session(config, password)
            break
    else:
        session = await make_cluster(config, None).create_session()
        await session.close()
        print("the superuser has another password: no login was changed", file=sys.stderr)
        return
    try:
        local = await schema.local_datacenter(session, config)
        copies = await schema.replication(session, config, local)
        spread, *others = schema.statements(
            "login.cql",
            config,
            local,
            copies,
            role='"' + (config.cassandra_username or "").replace('"', '""') + '"',
            password=schema.quoted(config.cassandra_password or ""),
            admin_password=schema.quoted(admin_password),
        )
        if copies > 1:  # else an operator may have set more by hand
            await session.query(spread)
        for statement in others:
            await session.query(statement)
    finally:
        await session.close()


def main() -> int:
    """Make the login, and return the status of the process."""
    try:
        config = Config.from_env(os.environ)
        admin_password = lookup(os.environ, "CASSANDRA_ADMIN_PASSWORD")
        if not (config.cassandra_username and admin_password):
            raise ConfigError("CASSANDRA_USERNAME and CASSANDRA_ADMIN_PASSWORD have to be set")
        if config.cassandra_username == ADMIN:
            raise ConfigError("CASSANDRA_USERNAME is the superuser: choose another name")
        asyncio.run(ensure(config, admin_password))
    except Exception as error:  # noqa: BLE001 - any error: Cassandra is not there yet
        print(f"no login yet: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"{config.cassandra_username} may log in")
    return 0


if __name__ == "__main__":
    sys.exit(main())
