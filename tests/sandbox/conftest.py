"""A world without a server: the sandbox's services called in process, on a clock that the test moves."""

import asyncio
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from pal_components.sandbox import journal, world
from pal_components.sandbox.gateway import Gateway, utc_now
from pal_components.sandbox.issuers import ISSUERS, Issuers
from pal_components.sandbox.state import State

URL = "https://localhost:8443"
HOME = "99999999-9999-4999-8999-999999999999"
CONTOSO = "c0000000-0000-4000-8000-000000000001"
FABRIKAM = "f0000000-0000-4000-8000-000000000002"
DEPLOYER = "d0000000-0000-4000-8000-00000000000d"
DEPLOYER_SECRET = "sandbox-deployer-secret"
ARM = "https://management.azure.com"
GRAPH = f"{URL}/graph"


class Azure:
    """The sandbox in process. ``now`` is its clock; requests go out as whoever ``sign_in`` was called for."""

    def __init__(self, directory: Path) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
        self.state = State(directory)
        gateway = Gateway(self.state, URL, lambda: self.now)
        self._transport = httpx.ASGITransport(gateway.application())

    def later(self, **spans: float) -> None:
        """Move the clock forward by a timedelta's keywords."""
        self.now += timedelta(**spans)

    def call(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        """Send a request, with a token where there is one."""
        headers = {**options.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"

        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url=URL) as client:
                return await client.request(method, path, headers=headers, **options)

        return asyncio.run(send())

    def token_answer(self, tenant: str, **form: str) -> httpx.Response:
        """Ask for a token with exactly these form fields."""
        return self.call("POST", f"/{tenant}/oauth2/v2.0/token", data=form)

    def token(
        self, tenant: str = CONTOSO, *, resource: str = ARM, app: str = DEPLOYER, secret: str = DEPLOYER_SECRET
    ) -> str:
        """Return an access token, or fail."""
        answer = self.token_answer(
            tenant,
            client_id=app,
            client_secret=secret,
            grant_type="client_credentials",
            scope=f"{resource}/.default",
        )
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        assert isinstance(token, str)
        return token

    def arm(self, method: str, path: str, token: str | None, **options: Any) -> httpx.Response:
        """Send a request to ARM with an api-version."""
        params = {"api-version": "2022-04-01", **options.pop("params", {})}
        return self.call(method, path, token, params=params, **options)

    def principal(self, tenant: str = CONTOSO, name: str = "pal") -> "Principal":
        """Make an application with its principal and a secret, as the deploying identity does."""
        graph = self.token(tenant, resource=GRAPH)
        application = self.call("POST", "/graph/v1.0/applications", graph, json={"displayName": name}).json()
        principal = self.call(
            "POST", "/graph/v1.0/servicePrincipals", graph, json={"appId": application["appId"]}
        ).json()
        password = self.call(
            "POST", f"/graph/v1.0/applications/{application['id']}/addPassword", graph, json={"passwordCredential": {}}
        ).json()
        return Principal(
            tenant, application["id"], application["appId"], principal["id"], password["secretText"], password["keyId"]
        )

    def grant(self, principal_id: str, *permissions: str) -> None:
        """Give a principal permissions of Microsoft Graph, as an administrator would consent to them."""
        for permission in permissions:
            self.state.run("INSERT INTO graph_permission VALUES (?, ?)", principal_id, permission)

    def deployer(self, tenant: str = CONTOSO) -> str:
        """Return the object id of the deploying identity in a tenant."""
        row = self.state.one("SELECT id FROM service_principal WHERE app_id = ? AND tenant_id = ?", DEPLOYER, tenant)
        assert row is not None
        return str(row["id"])

    def signing_key(self) -> Any:
        """Return the key that tokens are signed with."""
        pem = (self.state.directory / "signing-key.pem").read_bytes()
        return serialization.load_pem_private_key(pem, password=None)

    def show(self) -> dict[str, list[dict[str, Any]]]:
        """Return the world."""
        return world.show(self.state)

    def journal(self) -> list[dict[str, Any]]:
        """Return the requests."""
        return journal.rows(self.state)


class Principal:
    """A service principal that a test made."""

    def __init__(self, tenant: str, application_id: str, app_id: str, object_id: str, secret: str, key_id: str) -> None:
        self.tenant = tenant
        self.application_id = application_id
        self.app_id = app_id
        self.object_id = object_id
        self.secret = secret
        self.key_id = key_id


@pytest.fixture(scope="session")
def seeded_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with the built-in world and its signing keys, to copy: making a key takes long."""
    directory = tmp_path_factory.mktemp("world")
    state = State(directory)
    world.seed(state, None)
    Gateway(state, URL)
    issuers = Issuers(state, URL, utc_now)
    for name in ISSUERS:
        issuers.key(issuers.url(name))
    state.close()
    return directory


@pytest.fixture
def azure(seeded_directory: Path, tmp_path: Path) -> Iterator[Azure]:
    """A fresh world."""
    shutil.copytree(seeded_directory, tmp_path / "state")
    azure = Azure(tmp_path / "state")
    try:
        yield azure
    finally:
        azure.state.close()
