"""The driver's errors, by what they mean for a caller; every one crosses the border as ours."""

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
"""Not done: nobody was there to do it, or who was there would not. A statement that was prepared is
invalid when its table is gone."""

LATE = (
    "CassErrorLibRequestTimedOut",
    "CassErrorLibWriteError",
    "CassErrorServerReadFailure",
    "CassErrorServerReadTimeout",
    "CassErrorServerServerError",
    "CassErrorServerWriteFailure",
    "CassErrorServerWriteTimeout",
)
"""Sent, and perhaps done: a write that ends like this has an unknown outcome."""
AGAIN = (
    driver.CassErrorLibRequestTimedOut,
    driver.CassErrorLibWriteError,
    driver.CassErrorServerReadFailure,
)
"""Reads are tried again after these, which the driver does not do: a connection broke under the
request, or nodes disagreed on the columns while a table was altered. (Its speculative executions
are no help: where no other host is left, the request never ends, not even by its timeout.)"""
GONE = (
    driver.CassErrorServerInvalidQuery,
    driver.CassErrorLibUnableToSetKeyspace,
    driver.CassErrorLibNoHostsAvailable,  # no host could prepare it anew
)
"""A statement that was prepared is wrong now, although Cassandra answers: the keyspace was
dropped."""
MEANINGS: dict[type[BaseException], type[ServiceError]] = {
    **{getattr(driver, name): Unavailable for name in AWAY},
    **{getattr(driver, name): Late for name in LATE},
}
"""Driver errors that outside conditions cause. All others are mistakes of ours: a plain 500."""


def translate(error: Exception) -> Exception:
    """Our error for one of the driver's; the driver's own text goes to the log, not to callers."""
    if type(error) is RuntimeError:  # what a closed session raises
        return Unavailable("The store is closed")
    meaning = MEANINGS.get(type(error))
    if meaning is Unavailable:
        return Unavailable(AWAY_MESSAGE)
    if meaning is Late:
        return Late("The store did not answer in time")
    return error
