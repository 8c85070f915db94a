"""Requests, answers and routes, free of the ASGI server, so that services are tested without one."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl

from pal_components.sandbox.errors import ServiceError
from pal_components.sandbox.tokens import Caller


@dataclass
class Call:
    """One request as a service sees it; ``tenant`` and ``caller`` become known on the way, for the journal."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    tenant: str | None = None
    caller: Caller | None = None

    def form(self) -> dict[str, str]:
        """Return the fields of a form-encoded body."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def bearer(self) -> str | None:
        """Return the bearer token of the Authorization header, if there is one."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None


@dataclass(frozen=True)
class Answer:
    """What goes back: ``content`` is encoded as JSON, ``None`` means no body at all."""

    status: int = 200
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return the body's bytes."""
        return b"" if self.content is None else json.dumps(self.content).encode()


Handler = Callable[..., Answer]


@dataclass(frozen=True)
class Route:
    """A method and a path pattern that lead to a handler; placeholders become its keyword arguments."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler

    @classmethod
    def to(cls, method: str, template: str, handler: Handler) -> "Route":
        """Make a route of ``/a/{name}/b`` (one segment) and ``{name...}`` (any number of segments).

        As in Azure, letters' case does not matter and neither does a trailing slash.
        """
        pattern = ""
        for literal, name, many in re.findall(r"([^{]+)|\{(\w+)(\.\.\.)?\}", template):
            pattern += re.escape(literal) if literal else f"(?P<{name}>{'.*?' if many else '[^/]+'})"
        return cls(method, re.compile(pattern + "/?", re.IGNORECASE), handler)


class Service(Protocol):
    """One of Azure's services: it owns some paths and answers requests for them or raises a ServiceError."""

    def owns(self, path: str) -> bool:
        """Whether requests for this path are this service's."""

    def answer(self, call: Call) -> Answer:
        """Carry the request out."""

    def failure(self, status: int, code: str | None, message: str | None) -> ServiceError:
        """Return a refusal in this service's form, for what goes wrong around the service.

        Code and message are the service's usual ones for the status where they are ``None``.
        """


def dispatch(routes: Iterable[Route], call: Call, path: str | None = None) -> Answer | None:
    """Hand the request to the first route that fits its path (or the one named), or return ``None``."""
    for route in routes:
        if route.method == call.method and (match := route.pattern.fullmatch(path or call.path)):
            return route.handler(call, **match.groupdict())
    return None
