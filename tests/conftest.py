"""What the tests share: a sandbox per test module, and principals in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from pal_components.link.principal import CredentialKind, Principal
from pal_components.sandbox.server import Sandbox

CONTOSO = "c0000000-0000-4000-8000-000000000001"


@dataclass
class Directory:
    """The customer's directory, seen by the deploying identity over raw HTTP."""

    sandbox: Sandbox
    tenant_id: str = CONTOSO

    def graph(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Call Microsoft Graph as the deploying identity."""
        environment = self.sandbox.environment()
        token = requests.post(
            f"{self.sandbox.url}/{self.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": environment["ARM_CLIENT_ID"],
                "client_secret": environment["ARM_CLIENT_SECRET"],
                "scope": f"{self.sandbox.url}/graph/.default",
            },
            timeout=30,
        ).json()["access_token"]
        answer = requests.request(
            method,
            f"{self.sandbox.url}/graph/v1.0{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        answer.raise_for_status()
        return answer

    def principal(self, kind: CredentialKind = CredentialKind.EPHEMERAL, **changes: Any) -> Principal:
        """Make an application with a service principal; with a secret for the kinds that have one."""
        application = self.graph("POST", "/applications", {"displayName": "test"}).json()
        service_principal = self.graph("POST", "/servicePrincipals", {"appId": application["appId"]}).json()
        values: dict[str, Any] = {
            "kind": kind,
            "tenant_id": self.tenant_id,
            "client_id": application["appId"],
            "application_id": application["id"],
            "object_id": service_principal["id"],
        }
        if kind in (CredentialKind.SECRET, CredentialKind.GIVEN):
            answer = self.graph("POST", f"/applications/{application['id']}/addPassword", {"passwordCredential": {}})
            values["client_secret"] = answer.json()["secretText"]
        return Principal(**(values | changes))

    def links(self) -> dict[str, str]:
        """Return the partner ID of every active link by its principal's object id."""
        return {link["objectId"]: link["partnerId"] for link in self.sandbox.show()["links"]}

    def passwords(self, principal: Principal) -> int:
        """Count the secrets of a principal's application."""
        return len(self.graph("GET", f"/applications/{principal.application_id}").json()["passwordCredentials"])


@pytest.fixture(scope="module")
def module_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox with the seeded world, for the tests of one module."""
    with Sandbox(tmp_path_factory.mktemp("sandbox") / "state") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(module_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The module's sandbox, with the environment pointed at it."""
    for name, value in module_sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return module_sandbox


@pytest.fixture
def directory(sandbox: Sandbox) -> Directory:
    """The first customer's directory."""
    return Directory(sandbox)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A directory for the state of a sandbox of one's own."""
    return tmp_path / "sandbox"
