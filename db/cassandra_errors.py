"""The driver's names for what outside conditions cause, sorted by what they mean for a caller.

Names alone: ``db/cassandra.py``, which knows the driver, makes its table of them.
"""

from __future__ import annotations

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
"""Not done: nobody was there to do it, or who was there would not."""

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
