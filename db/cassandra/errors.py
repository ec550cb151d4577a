"""The translation of the driver's errors into ours, by their meaning for a caller."""

from __future__ import annotations

from acsylla import errors as driver

from errors import Late, ServiceError, Unavailable

AWAY_MESSAGE = "The store is away; try again"

AWAY = (
    "CassErrorLibHostResolution",
    "CassErrorLibNoHostsAvailable",
    "CassErrorLibNoStreams",
    "CassErrorLibRequestQueueFull",
    "CassErrorLibUnableToClose",
    "CassErrorLibUnableToConnect",
    "CassErrorLibUnableToDetermineProtocol",
    "CassErrorLibUnableToSetKeyspace",
    "CassErrorServerBadCredentials",
    "CassErrorServerInvalidQuery",
    "CassErrorServerIsBootstrapping",
    "CassErrorServerOverloaded",
    "CassErrorServerTruncateError",
    "CassErrorServerUnauthorized",
    "CassErrorServerUnavailable",
    "CassErrorServerUnprepared",
    "CassErrorSourceSsl",
    "CassErrorSslClosed",
    "CassErrorSslIdentityMismatch",
    "CassErrorSslInvalidCert",
    "CassErrorSslInvalidPeerCert",
    "CassErrorSslInvalidPrivateKey",
    "CassErrorSslNoPeerCert",
    "CassErrorSslProtocolError",
    "CassExceptionConnectionError",
)
"""The request was not done: no node could be reached, or the node refused. A prepared statement is
invalid once its table is gone."""

LATE = (
    "CassErrorLibRequestTimedOut",
    "CassErrorLibWriteError",
    "CassErrorServerReadFailure",
    "CassErrorServerReadTimeout",
    "CassErrorServerServerError",
    "CassErrorServerWriteFailure",
    "CassErrorServerWriteTimeout",
)
"""The request was sent and may have been done, so the outcome of a write is unknown."""
AGAIN = (
    driver.CassErrorLibRequestTimedOut,
    driver.CassErrorLibWriteError,
    driver.CassErrorServerReadFailure,
)
"""Reads are repeated after these errors, which the driver does not do. A connection broke under the
request, or nodes disagreed on the columns while a table was altered. The driver's speculative
executions are no help. If no other host is left, the request never ends, even by its timeout."""
GONE = (
    driver.CassErrorServerInvalidQuery,
    driver.CassErrorLibUnableToSetKeyspace,
    driver.CassErrorLibNoHostsAvailable,  # no host could prepare it anew
)
"""A prepared statement became invalid although Cassandra answers, because the keyspace was
dropped."""
MEANINGS: dict[type[BaseException], type[ServiceError]] = {
    **{getattr(driver, name): Unavailable for name in AWAY},
    **{getattr(driver, name): Late for name in LATE},
}
"""The driver's errors with an outside cause. All others are mistakes of ours: a plain 500."""


def translate(error: Exception) -> Exception:
    """Return our error for the driver's ``error``, whose text is for the log, not for callers."""
    if type(error) is RuntimeError:  # a closed session raises this
        return Unavailable("The store is closed")
    meaning = MEANINGS.get(type(error))
    if meaning is Unavailable:
        return Unavailable(AWAY_MESSAGE)
    if meaning is Late:
        return Late("The store did not answer in time")
    return error
