"""The refusals of the services, each of which knows its form on the wire."""

from typing import Any, ClassVar


class SandboxError(Exception):
    """The sandbox itself cannot do what was asked of it: a bad world file, a port in use, a state that is taken."""


class ServiceError(Exception):
    """A service refuses a request.

    ``status`` is the HTTP status, ``code`` the service's own word for the refusal, ``message`` its text.
    """

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

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


class SignInError(ServiceError):
    """Microsoft Entra ID refuses a token; ``number`` is the AADSTS code, ``error`` the OAuth 2.0 one."""

    STATUS: ClassVar[dict[str, int]] = {"invalid_client": 401}

    def __init__(self, number: int, error: str, message: str) -> None:
        super().__init__(self.STATUS.get(error, 400), error, message)
        self.number = number

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
