"""One request from end to end: its service, its transaction, its journal row, its headers."""

import asyncio
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

from pal_components.sandbox import faults, journal
from pal_components.sandbox.arm import ResourceManager
from pal_components.sandbox.entra import Entra
from pal_components.sandbox.errors import ServiceError
from pal_components.sandbox.faults import Fault
from pal_components.sandbox.graph import Graph
from pal_components.sandbox.issuers import Issuers
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
        issuers = Issuers(state, url, clock)
        # Resource Manager takes what nobody else does, so it is asked last.
        self._services: tuple[Service, ...] = (
            Entra(state, tokens, url, clock, issuers),
            issuers,
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
        fault = await run_in_threadpool(faults.take, self._state, call.method, call.path)
        if fault is not None and fault.seconds:
            await asyncio.sleep(fault.seconds)
        answer = await run_in_threadpool(self.handle, call, fault)
        status, content, content_type = answer.status, answer.encoded(), JSON
        if fault is not None:
            if fault.cuts:
                return await _cut(request)
            status, content, content_type = fault.spoiled(status, content, content_type)
        response = Response(content, status, dict(answer.headers))
        if content:
            response.headers["content-type"] = content_type
        for name in ("x-ms-request-id", "x-ms-correlation-request-id", "request-id"):
            response.headers[name] = call.request_id
        if client := call.headers.get("client-request-id"):
            response.headers["client-request-id"] = client
        return response

    def handle(self, call: Call, fault: Fault | None = None) -> Answer:
        """Answer a request; what it changed and its journal row are on disk before this returns.

        A fault may keep it from being carried out; what it does to the answer is the caller's.
        """
        service = next(service for service in self._services if service.owns(call.path))
        with self._state.transaction():
            answer = self._act(service, call) if fault is None or fault.acts else self._fail(service, call, fault)
            journal.record(
                self._state,
                call,
                time=self._now("milliseconds"),
                status=answer.status,
                fault=None if fault is None else fault.action,
            )
        return answer

    def _act(self, service: Service, call: Call) -> Answer:
        try:
            with self._state.attempt():
                return service.answer(call)
        except ServiceError as error:
            return self._refusal(call, error)
        except Exception as error:
            _LOGGER.exception("The sandbox failed at %s %s", call.method, call.path)
            text = f"The sandbox itself failed: {type(error).__name__}"
            return self._refusal(call, service.failure(500, None, text))

    def _fail(self, service: Service, call: Call, fault: Fault) -> Answer:
        if fault.status is None:
            return Answer(0 if fault.cuts else 200)
        error = service.failure(fault.status, fault.code, fault.message)
        if fault.retry_after is not None:
            error.headers["Retry-After"] = f"{fault.retry_after:g}"
        return self._refusal(call, error)

    def _refusal(self, call: Call, error: ServiceError) -> Answer:
        return Answer(error.status, error.body(call.request_id, self._now("seconds")), error.headers)

    def _now(self, precision: str) -> str:
        return self._clock().astimezone(timezone.utc).isoformat(timespec=precision).replace("+00:00", "Z")


async def _cut(request: Request) -> Response:
    """Close the connection without an answer; in process, where there is none, what a client would see is raised."""
    abort = request.scope.get("state", {}).get("abort")
    if abort is None:
        raise ConnectionResetError("The sandbox cut the connection.")
    abort()
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response()
