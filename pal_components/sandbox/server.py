"""The running sandbox: one HTTPS port on loopback, in a thread of this process."""

import asyncio
import fcntl
import json
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn
from typing_extensions import Self
from uvicorn.protocols.http.h11_impl import H11Protocol

from pal_components.sandbox import admin, certificates, faults, journal, propagation, world
from pal_components.sandbox.errors import SandboxError
from pal_components.sandbox.gateway import Gateway, utc_now
from pal_components.sandbox.issuers import AUDIENCE, Issuers
from pal_components.sandbox.state import FILE_NAME, State

HOST = "127.0.0.1"
LOCK_FILE = "serving.lock"

# Below what systems hand out for outgoing connections, so that a port kept for a state directory stays free.
_PORTS = range(20000, 32000)
_START_TIMEOUT = 30.0
_STEP = 0.01

# Variables of other ways to sign in. They have no place beside those of `client_environment`: a client that found
# them might use them instead.
FOREIGN_SIGN_IN = (
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ARM_ACTIVE_DIRECTORY_AUTHORITY_HOST",
    "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID",
    "ARM_CLIENT_CERTIFICATE",
    "ARM_CLIENT_CERTIFICATE_PASSWORD",
    "ARM_CLIENT_CERTIFICATE_PATH",
    "ARM_CLIENT_ID_FILE_PATH",
    "ARM_CLIENT_SECRET_FILE_PATH",
    "ARM_ENVIRONMENT",
    "ARM_OIDC_AZURE_SERVICE_CONNECTION_ID",
    "ARM_OIDC_REQUEST_TOKEN",
    "ARM_OIDC_REQUEST_URL",
    "ARM_OIDC_TOKEN",
    "ARM_OIDC_TOKEN_FILE_PATH",
    "ARM_RESOURCE_MANAGER_AUDIENCE",
    "ARM_RESOURCE_MANAGER_ENDPOINT",
    "AZURESUBSCRIPTION_CLIENT_ID",
    "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
    "AZURESUBSCRIPTION_TENANT_ID",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_ENVIRONMENT",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_PASSWORD",
    "AZURE_TOKEN_CREDENTIALS",
    "AZURE_USERNAME",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "MSI_ENDPOINT",
    "MSI_SECRET",
    "PULUMI_OIDC_TOKEN",
    "SYSTEM_ACCESSTOKEN",
    "SYSTEM_OIDCREQUESTURI",
)


class Sandbox:
    """A local Azure whose state lives in a directory.

    ``state_dir`` is created where it is missing. ``world`` is the file that a new state starts from (the built-in
    world where it is ``None``); a state that exists keeps its own. ``port`` 0 means the port that the state directory
    had before, so that URLs that clients kept stay valid, or a free one.

    Raises:
        SandboxError: on entering; the world file says something impossible, the port is taken, or another process
            serves from this state directory.
    """

    def __init__(
        self,
        state_dir: Path,
        world: Path | None = None,
        port: int = 0,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.state_dir = Path(state_dir).absolute()
        self.port = 0
        self._world = world
        self._wanted_port = port
        self._clock = clock
        self._lock = -1
        self._state: State | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start serving; returns when requests are answered."""
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _take_lock(self.state_dir)
        try:
            self._state = State(self.state_dir)
            world.seed(self._state, self._world)
            listener = self._listen(self._state)
            self.port = int(listener.getsockname()[1])
            self._state.keep("port", str(self.port))
            config = uvicorn.Config(
                Gateway(self._state, self.url, self._clock).application(),
                ssl_certfile=str(certificates.server_certificate(self.state_dir)),
                http=_Protocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=90,
                timeout_graceful_shutdown=1,
            )
            certificates.trust_bundle(self.state_dir)
            self._server = _Server(config)
            self._thread = threading.Thread(
                target=self._server.run, kwargs={"sockets": [listener]}, name="pal-sandbox", daemon=True
            )
            self._thread.start()
            _wait_for(self._server, self._thread)
            _say_port(self._lock, self.port)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop serving; the state stays."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        if self._state is not None:
            self._state.close()
        if self._lock >= 0:
            os.close(self._lock)
        self._server, self._thread, self._state, self._lock = None, None, None, -1

    @property
    def url(self) -> str:
        """The one URL of everything: metadata, sign-in and ARM at its root, Microsoft Graph below ``/graph``."""
        return f"https://localhost:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the variables that send clients here, as the world's deploying identity in its first customer."""
        return client_environment(self._need_state(), self.port)

    def show(self, *, seeded: bool = False) -> dict[str, list[dict[str, Any]]]:
        """Return what stands in the world; what it started with is left out unless ``seeded``."""
        return world.show(self._need_state(), seeded=seeded)

    def journal(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the requests numbered above ``since``, oldest first."""
        return journal.rows(self._need_state(), since)

    def fault(
        self,
        action: str,
        *,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        skip: int = 0,
        seconds: float | None = None,
        status: int | None = None,
        code: str | None = None,
        message: str | None = None,
        retry_after: float | None = None,
    ) -> int:
        """Make requests meet a fault, as :func:`pal_components.sandbox.faults.add` says, and return its number."""
        return faults.add(
            self._need_state(),
            action,
            method=method,
            path=path,
            times=times,
            skip=skip,
            seconds=seconds,
            status=status,
            code=code,
            message=message,
            retry_after=retry_after,
        )

    def delay(self, what: str, *, requests: int | None = None, seconds: float | None = None) -> None:
        """Let new things be unknown for a while, as :func:`pal_components.sandbox.propagation.delay` says."""
        propagation.delay(self._need_state(), what, requests=requests, seconds=seconds)

    def clear_faults(self) -> None:
        """Behave again: no faults, no delays, also none that have begun, and PUT on an existing link is a conflict."""
        faults.clear(self._need_state())

    def put_on_existing(self, mode: str) -> None:
        """Say what a PUT does where the caller is linked already: ``conflict``, ``overwrite`` or ``ignore``."""
        admin.put_on_existing(self._need_state(), mode)

    def policy(self, tenant_id: str, *, secrets: str | None) -> None:
        """Let a tenant's policy say that client secrets are ``forbidden`` or ``short``, or nothing (``None``)."""
        admin.policy(self._need_state(), tenant_id, secrets=secrets)

    def remove_tenant(self, tenant_id: str) -> None:
        """Remove a tenant with all that is in it."""
        admin.remove_tenant(self._need_state(), tenant_id)

    def set_link_state(self, tenant_id: str, object_id: str, link_state: str) -> None:
        """Set the state of a principal's link, such as ``Suspended``."""
        admin.set_link_state(self._need_state(), tenant_id, object_id, link_state)

    def expire_secrets(self, object_id: str) -> None:
        """Let every client secret of an application or service principal be expired, by its object id."""
        admin.expire_secrets(self._need_state(), object_id, self._clock())

    def issuer(self, name: str) -> str:
        """Return the URL of an issuer: ``github``, ``azure-pipelines``, ``pulumi`` or ``kubernetes``."""
        return self._issuers().url(name)

    def issuer_environment(self, name: str, subject: str | None = None, audience: str = AUDIENCE) -> dict[str, str]:
        """Return the variables that a job of an issuer finds, as :meth:`Issuers.environment` says."""
        return self._issuers().environment(name, subject, audience)

    def _issuers(self) -> Issuers:
        return Issuers(self._need_state(), self.url, self._clock)

    def _need_state(self) -> State:
        if self._state is None:
            raise SandboxError("The sandbox is not running.")
        return self._state

    def _listen(self, state: State) -> socket.socket:
        if self._wanted_port:
            try:
                return _bind(self._wanted_port)
            except OSError as error:
                raise SandboxError(f"Port {self._wanted_port} cannot be used: {error.strerror}.") from None
        before = state.setting("port")
        candidates = random.sample(_PORTS, 50)
        for port in [int(before), *candidates] if before else candidates:
            try:
                return _bind(port)
            except OSError:
                continue
        raise SandboxError(f"No free port was found between {_PORTS.start} and {_PORTS.stop}.")


def client_environment(state: State, port: int) -> dict[str, str]:
    """Return the variables of :meth:`Sandbox.environment` for a sandbox that serves ``state`` on ``port``."""
    deployer = json.loads(state.setting("deployer") or "{}")
    bundle = str(state.directory / certificates.BUNDLE_FILE)
    local = ",".join(dict.fromkeys([*filter(None, os.environ.get("NO_PROXY", "").split(",")), "localhost", HOST]))
    return {
        "ARM_CLIENT_ID": deployer["clientId"],
        "ARM_CLIENT_SECRET": deployer["clientSecret"],
        "ARM_DISABLE_INSTANCE_DISCOVERY": "true",
        "ARM_METADATA_HOSTNAME": f"localhost:{port}",
        "ARM_SUBSCRIPTION_ID": deployer["subscriptionId"],
        "ARM_TENANT_ID": deployer["tenantId"],
        "ARM_USE_AKS_WORKLOAD_IDENTITY": "false",
        "ARM_USE_CLI": "false",
        "ARM_USE_DEFAULT_AZURE_CREDENTIAL": "false",
        "ARM_USE_MSI": "false",
        "ARM_USE_OIDC": "false",
        "AZURE_AUTHORITY_HOST": f"https://localhost:{port}",
        "AZURE_CLIENT_ID": deployer["clientId"],
        "AZURE_CLIENT_SECRET": deployer["clientSecret"],
        "AZURE_SUBSCRIPTION_ID": deployer["subscriptionId"],
        "AZURE_TENANT_ID": deployer["tenantId"],
        "CURL_CA_BUNDLE": bundle,
        "NO_PROXY": local,
        "REQUESTS_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
        "no_proxy": local,
    }


def serving_port(state_dir: Path) -> int | None:
    """Return the port on which a process serves from this state directory now, or ``None``.

    Waits for a process that is just starting.
    """
    waiter = threading.Event()
    for _ in range(int(_START_TIMEOUT / _STEP)):
        try:
            descriptor = os.open(state_dir / LOCK_FILE, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Whoever holds the lock writes its port when it answers requests.
            if text := os.read(descriptor, 1000):
                return int(json.loads(text)["port"])
        else:
            return None
        finally:
            os.close(descriptor)
        waiter.wait(_STEP)
    raise SandboxError(f"Another process holds {state_dir} but does not serve it.")


@contextmanager
def opened(state_dir: Path) -> Iterator[State]:
    """Open the state of a directory, whether or not it is being served, to read it or to change how it behaves."""
    if not (state_dir / FILE_NAME).exists():
        raise SandboxError(f"There is no sandbox in {state_dir}: start one with `pal sandbox run` or `serve`.")
    state = State(state_dir.absolute())
    try:
        yield state
    finally:
        state.close()


def served_environment(
    state_dir: Path, world_file: Path | None, port: int, issuer: tuple[str, str | None] | None = None
) -> dict[str, str]:
    """Return the variables of a sandbox that another process serves on ``port``.

    ``issuer`` is the name of one with a subject: the variables of its job are added.

    Raises:
        SandboxError: its world is another one than ``world_file``, or there is no such issuer.
    """
    with opened(state_dir) as state:
        world.seed(state, world_file)
        variables = client_environment(state, port)
        if issuer is not None:
            variables |= Issuers(state, f"https://localhost:{port}", utc_now).environment(*issuer)
        return variables


def shown(state_dir: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what :meth:`Sandbox.show` does, whether or not the state is being served."""
    with opened(state_dir) as state:
        return world.show(state)


def requests_of(state_dir: Path) -> list[dict[str, Any]]:
    """Return what :meth:`Sandbox.journal` does, whether or not the state is being served."""
    with opened(state_dir) as state:
        return journal.rows(state)


class _Protocol(H11Protocol):
    """HTTP/1.1 whose requests find how to close their connection in their state: ``abort``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the way to close it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": transport.abort}


class _Server(uvicorn.Server):
    """A server that does not wait at its end for clients that keep idle connections open."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what is idle at once, then end as usual."""
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if (cycle is None or cycle.response_complete) and connection.transport is not None:
                connection.transport.abort()
        await super().shutdown(sockets)


def _bind(port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it every answer takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _wait_for(server: uvicorn.Server, thread: threading.Thread) -> None:
    waiter = threading.Event()
    for _ in range(int(_START_TIMEOUT / _STEP)):
        if server.started:
            return
        if not thread.is_alive():
            break
        waiter.wait(_STEP)
    raise SandboxError("The sandbox's server did not start.")


def _take_lock(state_dir: Path) -> int:
    """Take the state directory for this process; a lock dies with its process, so none is ever stale."""
    descriptor = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SandboxError(f"Another process serves a sandbox from {state_dir} already.") from None
    os.ftruncate(descriptor, 0)
    return descriptor


def _say_port(descriptor: int, port: int) -> None:
    os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "port": port}).encode(), 0)
