"""Every failure that the service reports to a caller, each with its HTTP status.

    ServiceError 500
      BadRequest 400            the request cannot be read
      Unauthorized 401          a write without credentials
      Forbidden 403             a write with wrong credentials, or of another site
      NotFound 404              no such row, genre or page
      MethodNotAllowed 405      the path is there, the method is not
      Conflict 409              lost the race against other writers
      PreconditionFailed 412    If-Match, If-None-Match or lastUpdated does not hold
      TooLarge 413              the body is above the limit
      UnsupportedMediaType 415  the body is not JSON
      Invalid 422               readable, but not a video; names every wrong field
      Unavailable 503           a dependency is away; try again
        Shed 503                more is asked than can be answered in time
      Late 504                  a dependency did not answer in time
        OutcomeUnknown 504      a write was sent and its outcome is unknown

The text of such an error is for the caller. Any other exception is a 500 whose text stays here.
"""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

ERRORS_MAX = 20
REFUSALS = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read",
    HTTPStatus.REQUEST_TIMEOUT: "The request took too long to arrive",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The request target is too long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The request's head is too large",
    HTTPStatus.NOT_IMPLEMENTED: "This is no proxy",
    HTTPStatus.SERVICE_UNAVAILABLE: "Too many connections or unfinished requests; try again",
}
"""The texts of refusals on the wire. Such a refusal ends its connection, and no handler runs."""


class FieldError(NamedTuple):
    """One wrong field of a request body, spelled as the caller spelled it."""

    field: str
    message: str


class ServiceError(Exception):
    """The base class.

    The caller gets ``status`` and ``headers``, and an envelope with ``message`` and the fields of
    ``details``.
    """

    status = 500
    message = "Internal Server Error"
    headers: Mapping[str, str] = {}
    details: Mapping[str, object] = {}

    def __init__(self, message: str | None = None, headers: Mapping[str, str] | None = None):
        self.message = message or self.message
        self.headers = headers or self.headers
        super().__init__(self.message)


class BadRequest(ServiceError):
    status = 400
    message = "Bad Request"


class Unauthorized(ServiceError):
    status = 401
    message = "This needs a token"
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class Forbidden(ServiceError):
    status = 403
    message = "The token is not the right one"


class NotFound(ServiceError):
    status = 404
    message = "Not Found"


class MethodNotAllowed(ServiceError):
    status = 405
    message = "Method Not Allowed"


class Conflict(ServiceError):
    status = 409
    message = "Other writers were faster; try again"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class PreconditionFailed(ServiceError):
    """``current`` is the version (timeuuid) of the row now; None if the resource is no row."""

    status = 412
    message = "The condition does not hold; ETag names the current version"

    def __init__(self, current: str | None, etag: str | None, message: str | None = None):
        super().__init__(message, {"ETag": etag} if etag else None)
        self.details = {"lastupdated": current} if current else {}


class TooLarge(ServiceError):
    status = 413
    message = "The body is too large"


class UnsupportedMediaType(ServiceError):
    status = 415
    message = "The body has to be application/json"


class Invalid(ServiceError):
    """``errors`` names the wrong fields. The caller gets ERRORS_MAX of them, and how many more."""

    status = 422
    message = "Invalid request"

    def __init__(self, message: str | None = None, errors: Sequence[FieldError] = ()):
        super().__init__(message)
        self.errors = errors
        told = [error._asdict() for error in errors[:ERRORS_MAX]]
        more = len(errors) - len(told)
        self.details = ({"errors": told} if told else {}) | ({"more": more} if more else {})


class Unavailable(ServiceError):
    status = 503
    message = "A dependency is away; try again"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class Shed(Unavailable):
    """A request is refused so that other requests are answered in time.

    It is counted but not logged, because overload makes thousands a second. ``was_urgent``: a click
    waited in vain.
    """

    message = "Too much is asked at the moment; try again"

    def __init__(self, was_urgent: bool = True):
        super().__init__()
        self.was_urgent = was_urgent


class Late(ServiceError):
    status = 504
    message = "A dependency did not answer in time"


class OutcomeUnknown(Late):
    """A write may or may not hold.

    ``settled`` ends when the store knows the outcome, and fails or is cancelled when the store
    gives up.
    """

    message = "The write was sent, but its outcome is unknown"

    def __init__(self, settled: asyncio.Future[None]):
        super().__init__()
        self.settled = settled
        # retrieve its error, which is logged elsewhere, because the waiting task may have ended
        settled.add_done_callback(lambda done: done.cancelled() or done.exception())
