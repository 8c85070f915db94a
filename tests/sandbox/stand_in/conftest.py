"""The stand-in plugins as processes, talked to as the engine talks to them, and a service that does as it is told."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from pal_components.sandbox.server import Sandbox
from pal_components.sandbox.stand_in import cloud
from pal_components.sandbox.stand_in.plugin import from_struct, to_struct

Properties = dict[str, Any]


class Refused(Exception):
    """The plugin answered with an error: its text, and the object that it says exists all the same."""

    def __init__(self, error: grpc.RpcError) -> None:
        super().__init__(error.details())
        self.existing: Any = None
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                self.existing = provider_pb2.ErrorResourceInitFailed()
                status_pb2.Status.FromString(value).details[0].Unpack(self.existing)


class Plugin:
    """A running plugin process behind plain values."""

    Refused = Refused

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"pal_components.sandbox.stand_in.{module}", "127.0.0.1:1"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._channel = grpc.insecure_channel(f"127.0.0.1:{int(self._process.stdout.readline())}")
        self._service = provider_pb2_grpc.ResourceProviderStub(self._channel)

    def stop(self) -> str:
        """Stop the process and return what it wrote to stderr."""
        self._channel.close()
        self._process.terminate()
        return self._process.communicate(timeout=10)[1]

    def call(self, method: str, request: Any) -> Any:
        """Call the service; an error answer raises Refused."""
        try:
            return getattr(self._service, method)(request)
        except grpc.RpcError as error:
            raise Refused(error) from None

    def configure(self, **settings: str) -> None:
        """Configure it with these settings on top of its environment."""
        variables = {f"package:config:{name}": value for name, value in settings.items()}
        self.call("Configure", provider_pb2.ConfigureRequest(variables=variables))

    def examine(self, token: str, news: Properties, olds: Properties | None = None) -> tuple[Properties, list[str]]:
        """Return the checked inputs and what is wrong with them."""
        request = provider_pb2.CheckRequest(
            urn=_urn(token), news=to_struct(news), olds=to_struct(olds or {}), randomSeed=os.urandom(32)
        )
        answer = self.call("Check", request)
        return from_struct(answer.inputs), [failure.reason for failure in answer.failures]

    def check(self, token: str, news: Properties, olds: Properties | None = None) -> Properties:
        """Return the checked inputs of correct ones."""
        inputs, failures = self.examine(token, news, olds)
        assert failures == []
        return inputs

    def diff(self, token: str, old_inputs: Properties, olds: Properties, news: Properties) -> Any:
        """Return the answer to a comparison with checked new inputs."""
        request = provider_pb2.DiffRequest(
            urn=_urn(token), old_inputs=to_struct(old_inputs), olds=to_struct(olds), news=to_struct(news)
        )
        return self.call("Diff", request)

    def raw_create(self, token: str, inputs: Properties, *, preview: bool = False) -> Any:
        """Return the answer to a creation with checked inputs."""
        request = provider_pb2.CreateRequest(urn=_urn(token), properties=to_struct(inputs), preview=preview)
        return self.call("Create", request)

    def create(self, token: str, news: Properties) -> tuple[str, Properties]:
        """Check and create; return id and outputs."""
        answer = self.raw_create(token, self.check(token, news))
        return answer.id, from_struct(answer.properties)

    def preview(self, token: str, news: Properties) -> Properties:
        """Check and preview a creation; return the planned outputs."""
        return from_struct(self.raw_create(token, self.check(token, news), preview=True).properties)

    def read(
        self, token: str, resource_id: str, olds: Properties, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        """Return outputs and inputs, or None where the resource is gone."""
        request = provider_pb2.ReadRequest(
            urn=_urn(token), id=resource_id, properties=to_struct(olds), inputs=to_struct(inputs)
        )
        answer = self.call("Read", request)
        return (from_struct(answer.properties), from_struct(answer.inputs)) if answer.id else None

    def update(
        self, token: str, resource_id: str, olds: Properties, news: Properties, *, preview: bool = False
    ) -> Properties:
        """Check and update; return the outputs."""
        request = provider_pb2.UpdateRequest(
            urn=_urn(token),
            id=resource_id,
            olds=to_struct(olds),
            news=to_struct(self.check(token, news, olds)),
            preview=preview,
        )
        return from_struct(self.call("Update", request).properties)

    def delete(self, token: str, resource_id: str, olds: Properties) -> None:
        """Delete the resource."""
        self.call("Delete", provider_pb2.DeleteRequest(urn=_urn(token), id=resource_id, properties=to_struct(olds)))

    def invoke(self, token: str, **args: Any) -> Properties:
        """Call a function."""
        answer = self.call("Invoke", provider_pb2.InvokeRequest(tok=token, args=to_struct(args)))
        return from_struct(getattr(answer, "return"))


def _urn(token: str) -> str:
    return f"urn:pulumi:test::customer::parent:index:Type${token}::name"


@pytest.fixture(scope="module")
def azuread(module_sandbox: Sandbox) -> Iterator[Plugin]:
    """The azuread stand-in, configured for the deploying identity in Contoso."""
    yield from _running("azuread", module_sandbox)


@pytest.fixture(scope="module")
def azure_native(module_sandbox: Sandbox) -> Iterator[Plugin]:
    """The azure-native stand-in, configured for the deploying identity in Contoso."""
    yield from _running("azure_native", module_sandbox)


@pytest.fixture
def unconfigured_azuread() -> Iterator[Plugin]:
    """The azuread stand-in, not configured."""
    yield from _started(Plugin("azuread", {}))


def _running(module: str, sandbox: Sandbox) -> Iterator[Plugin]:
    plugin = Plugin(module, sandbox.environment())
    plugin.configure()
    yield from _started(plugin)


def _started(plugin: Plugin) -> Iterator[Plugin]:
    yield plugin
    assert plugin.stop() == "", "whatever a plugin writes to stderr appears in the user's terminal"


@dataclass
class Service:
    """A cloud on one HTTP port that signs everybody in and otherwise answers what a test lines up.

    `answers` holds, by method and path, the answers to give one after the other, the last one for ever; each is a
    status, a body and headers. `requests` is what arrived: method, path and body.
    """

    url: str
    answers: dict[tuple[str, str], list[tuple[int, Any, dict[str, str]]]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)

    def answer(self, method: str, path: str, status: int, body: Any = None, **headers: str) -> None:
        """Line up another answer."""
        self.answers.setdefault((method, path), []).append((status, body, headers))

    def settings(self) -> dict[str, str]:
        """Return a plugin's settings for it."""
        return {
            "metadataHost": self.url,
            "tenantId": "tenant",
            "clientId": "client",
            "clientSecret": "not-to-be-seen",
            "subscriptionId": "subscription",
        }

    def seen(self, *methods: str) -> list[str]:
        """Return the paths of the requests that arrived with one of these methods, sign-in apart."""
        return [path for method, path, _ in self.requests if method in methods and "/v1.0/" in path]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service that does as it is told, and plugins that do not wait for it."""
    monkeypatch.setattr(cloud, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(cloud, "_RETRY_SECONDS", (0, 0, 0))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length).decode()
            path = self.path.partition("?")[0]
            made.requests.append((self.command, path, json.loads(text) if text.startswith(("{", "[")) else text))
            lined_up = made.answers.get((self.command, path), [(404, {"error": {"code": "NotFound"}}, {})])
            status, body, headers = lined_up.pop(0) if len(lined_up) > 1 else lined_up[0]
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Service(f"http://127.0.0.1:{server.server_port}")
    made.answer(
        "GET",
        "/metadata/endpoints",
        200,
        {
            "name": "Fake",
            "resourceManager": f"{made.url}/v1.0/arm/",
            "microsoftGraphResourceId": f"{made.url}/",
            "authentication": {"loginEndpoint": made.url, "audiences": ["https://arm"]},
        },
    )
    claims = base64.urlsafe_b64encode(json.dumps({"oid": "caller"}).encode()).decode().rstrip("=")
    made.answer("POST", "/tenant/oauth2/v2.0/token", 200, {"access_token": f"a.{claims}.c", "expires_in": 3599})
    made.answer(
        "GET",
        "/tenant/v2.0/.well-known/openid-configuration",
        200,
        {"token_endpoint": f"{made.url}/tenant/oauth2/v2.0/token"},
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()
