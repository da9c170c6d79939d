"""What a request can meet, each with the HTTP status that tells it."""

from typing import ClassVar


class HttpError(Exception):
    """A reply other than the one asked for; ``message`` goes into its JSON body as ``error``."""

    status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequestError(HttpError):
    """The request says something that the service does not understand; nothing was applied."""

    status = 400


class UnauthorizedError(HttpError):
    """The session's proof is not accepted, such as a token signed with another key."""

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
