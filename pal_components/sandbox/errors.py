"""The refusals of the services, each of which knows its form on the wire."""

from typing import Any, ClassVar, TypeVar

from typing_extensions import Self

_Kind = TypeVar("_Kind")


class SandboxError(Exception):
    """The sandbox itself cannot do what was asked of it: a bad world file, a port in use, a state that is taken."""


class ServiceError(Exception):
    """A service refuses a request.

    ``status`` is the HTTP status, ``code`` the service's own word for the refusal, ``message`` its text.
    """

    USUAL: ClassVar[dict[int, tuple[str, str]]] = {
        400: ("BadRequest", "The request is not valid."),
        401: ("AuthenticationFailed", "Authentication failed."),
        403: ("AuthorizationFailed", "The client does not have authorization to perform the action."),
        404: ("ResourceNotFound", "The resource was not found."),
        409: ("Conflict", "The request conflicts with another one."),
        429: ("TooManyRequests", "The request was throttled."),
        500: ("InternalServerError", "The server failed."),
        502: ("BadGateway", "The server behind the gateway gave no valid answer."),
        503: ("ServiceUnavailable", "The service is not available at the moment."),
        504: ("GatewayTimeout", "The server behind the gateway gave no answer in time."),
    }

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    @classmethod
    def usual(cls, status: int, code: str | None, message: str | None) -> Self:
        """Return a refusal with the code and message that go with the status where they are ``None``."""
        usual_code, usual_message = cls.USUAL[status]
        return cls(status, code or usual_code, message or usual_message)

    def body(self, request_id: str, time: str) -> dict[str, Any]:  # noqa: ARG002
        """Return the JSON body; ``time`` is ISO 8601 to the second, in UTC."""
        return {"error": {"code": self.code, "message": self.message}}


class ArmError(ServiceError):
    """Azure Resource Manager and the resource providers behind it."""


class ManagementPartnerError(ServiceError):
    """Microsoft.ManagementPartner, which says everything twice: under ``error`` and beside it."""

    def body(self, request_id: str, time: str) -> dict[str, Any]:
        """Return the doubled JSON body."""
        return {**super().body(request_id, time), "code": self.code, "message": self.message}


class GraphError(ServiceError):
    """Microsoft Graph, which adds an ``innerError`` and sometimes ``details``."""

    USUAL: ClassVar[dict[int, tuple[str, str]]] = {
        **ServiceError.USUAL,
        400: ("Request_BadRequest", "The request is not valid."),
        401: ("InvalidAuthenticationToken", "Access token validation failure."),
        403: ("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
        404: ("Request_ResourceNotFound", "The resource does not exist."),
        409: ("Request_MultipleObjectsWithSameKeyValue", "The request conflicts with another one."),
    }

    def __init__(self, status: int, code: str, message: str, details: list[dict[str, str]] | None = None) -> None:
        super().__init__(status, code, message)
        self.details = details

    def body(self, request_id: str, time: str) -> dict[str, Any]:
        """Return the JSON body in Graph's form."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        error["innerError"] = {
            "date": time.removesuffix("Z"),
            "request-id": request_id,
            "client-request-id": request_id,
        }
        return {"error": error}


def expected(value: Any, kind: type[_Kind], name: str) -> _Kind | None:
    """Return a value from a request if it has the type that its property has, or is null.

    Raises:
        GraphError: it has another one.
    """
    if value is None or isinstance(value, kind):
        return value
    raise GraphError(400, "Request_BadRequest", f"Property '{name}' has a value of the wrong type.")


def invalid_property(key: str) -> GraphError:
    """Return the refusal of a property that an object does not have."""
    return GraphError(400, "Request_BadRequest", f"Invalid property '{key}'.")


class SignInError(ServiceError):
    """Microsoft Entra ID refuses a token; ``number`` is the AADSTS code, ``error`` the OAuth 2.0 one."""

    STATUS: ClassVar[dict[str, int]] = {"invalid_client": 401}
    _NUMBERS: ClassVar[dict[int, tuple[int, str, str]]] = {
        400: (9002313, "invalid_request", "Invalid request. Request is malformed or invalid."),
        401: (7000215, "invalid_client", "Invalid client secret provided."),
        403: (53003, "access_denied", "Access has been blocked by Conditional Access policies."),
        429: (90055, "temporarily_unavailable", "There are too many incoming requests. Try again in a few minutes."),
    }
    _TRANSIENT = (90033, "temporarily_unavailable", "A transient error has occurred. Please try again.")

    def __init__(self, number: int, error: str, message: str) -> None:
        super().__init__(self.STATUS.get(error, 400), error, message)
        self.number = number

    @classmethod
    def usual(cls, status: int, code: str | None, message: str | None) -> Self:
        """Return a refusal with this status; ``code`` is an AADSTS number or an OAuth 2.0 error."""
        number, error, text = cls._NUMBERS.get(status, cls._TRANSIENT)
        digits = (code or "").removeprefix("AADSTS")
        if digits.isdecimal():
            number = int(digits)
        elif code:
            error = code
        refusal = cls(number, error, message or text)
        refusal.status = status
        return refusal

    def body(self, request_id: str, time: str) -> dict[str, Any]:
        """Return the JSON body in the form of Entra's token endpoint."""
        stamp = time.replace("T", " ")
        return {
            "error": self.code,
            "error_description": f"AADSTS{self.number}: {self.message} Trace ID: {request_id} "
            f"Correlation ID: {request_id} Timestamp: {stamp}",
            "error_codes": [self.number],
            "timestamp": stamp,
            "trace_id": request_id,
            "correlation_id": request_id,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }
