"""One request from end to end: its service, its transaction, its journal row, its headers."""

import logging
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timezone

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pal_components.sandbox import journal
from pal_components.sandbox.arm import ResourceManager
from pal_components.sandbox.entra import Entra
from pal_components.sandbox.errors import ServiceError
from pal_components.sandbox.graph import Graph
from pal_components.sandbox.management_partner import ManagementPartner
from pal_components.sandbox.state import State
from pal_components.sandbox.tokens import Tokens
from pal_components.sandbox.wire import Answer, Call, Service

_LOGGER = logging.getLogger(__name__)
_METHODS = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]
JSON = "application/json; charset=utf-8"


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(timezone.utc)


class Gateway:
    """All services of one world at one URL (``https://localhost:PORT``, without a slash at the end)."""

    def __init__(self, state: State, url: str, clock: Callable[[], datetime] = utc_now) -> None:
        self._state = state
        self._clock = clock
        tokens = Tokens(state, url, clock)
        # Resource Manager takes what nobody else does, so it is asked last.
        self._services: tuple[Service, ...] = (
            Entra(state, tokens, url, clock),
            Graph(state, tokens, url, clock),
            ManagementPartner(state, tokens, url, clock),
            ResourceManager(state, tokens, url, clock),
        )

    def application(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(routes=[Route("/{path:path}", self._endpoint, methods=_METHODS)])

    async def _endpoint(self, request: Request) -> Response:
        call = Call(
            method=request.method,
            # Clients join scopes that begin with a slash to paths that end with one; ARM does not mind.
            path=re.sub("/{2,}", "/", request.scope["path"]),
            query=dict(request.query_params),
            headers=dict(request.headers),
            body=await request.body(),
            request_id=str(uuid.uuid4()),
        )
        answer = await run_in_threadpool(self.handle, call)
        content = answer.encoded()
        response = Response(content, answer.status, dict(answer.headers))
        if content:
            response.headers["content-type"] = JSON
        for name in ("x-ms-request-id", "x-ms-correlation-request-id", "request-id"):
            response.headers[name] = call.request_id
        if client := call.headers.get("client-request-id"):
            response.headers["client-request-id"] = client
        return response

    def handle(self, call: Call) -> Answer:
        """Answer a request; what it changed and its journal row are on disk before this returns."""
        service = next(service for service in self._services if service.owns(call.path))
        with self._state.transaction():
            try:
                with self._state.attempt():
                    answer = service.answer(call)
            except ServiceError as error:
                answer = self._refusal(call, error)
            except Exception as fault:
                _LOGGER.exception("The sandbox failed at %s %s", call.method, call.path)
                text = f"The sandbox itself failed: {type(fault).__name__}"
                answer = self._refusal(call, service.failure(500, "InternalServerError", text))
            journal.record(self._state, call, time=self._now("milliseconds"), status=answer.status)
        return answer

    def _refusal(self, call: Call, error: ServiceError) -> Answer:
        return Answer(error.status, error.body(call.request_id, self._now("seconds")), error.headers)

    def _now(self, precision: str) -> str:
        return self._clock().astimezone(timezone.utc).isoformat(timespec=precision).replace("+00:00", "Z")
