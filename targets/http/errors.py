"""The errors that become replies, each with its HTTP status."""

from typing import ClassVar


class HttpError(Exception):
    """An error that becomes a reply; ``message`` is the ``error`` of its JSON body."""

    status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequestError(HttpError):
    """The service does not understand the request; nothing was applied."""

    status = 400


class UnauthorizedError(HttpError):
    """The credential is not accepted, such as a token that is signed with another key."""

    status = 401


class NotFoundError(HttpError):
    """No such path."""

    status = 404


class MethodNotAllowedError(HttpError):
    """The path exists, but not with this method."""

    status = 405


class ConflictError(HttpError):
    """The stored state is not the one that the write started from; nothing was applied."""

    status = 409


class UnavailableError(HttpError):
    """The store cannot be reached; whether a write was applied is not known."""

    status = 503
