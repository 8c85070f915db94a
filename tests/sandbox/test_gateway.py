"""One request: all of its changes or none, a journal row in either case, and nothing secret in that row."""

import json
import sqlite3
from typing import Any

import pytest

from pal_components.sandbox import directory

GRAPH = "https://localhost:8443/graph"
CONTOSO = "c0000000-0000-4000-8000-000000000001"
SECRET = "sandbox-deployer-secret"
PARTNER = "/providers/Microsoft.ManagementPartner/partners"


def test_every_request_is_in_the_journal(azure: Any) -> None:
    """Who asked what when, with which answer."""
    token = azure.token()
    azure.call("GET", f"{PARTNER}?api-version=2018-02-01", token, headers={"User-Agent": "tests/1"})
    refused = azure.call("GET", "/subscriptions?api-version=2022-12-01")
    sign_in, read, unknown = azure.journal()
    assert [row["n"] for row in azure.journal()] == [1, 2, 3]
    assert (sign_in["method"], sign_in["path"]) == ("POST", f"/{CONTOSO}/oauth2/v2.0/token")
    assert (sign_in["status"], sign_in["tenant"], sign_in["caller"]) == (200, CONTOSO, None)
    assert (read["status"], read["path"], read["query"]) == (404, PARTNER, "api-version=2018-02-01")
    assert (read["tenant"], read["caller"]) == (CONTOSO, azure.deployer())
    assert (read["time"], read["userAgent"]) == ("2026-03-01T12:00:00.000Z", "tests/1")
    assert (unknown["status"], unknown["caller"]) == (401, None)
    assert unknown["requestId"] == refused.headers["x-ms-request-id"]


def test_the_journal_has_no_secret(azure: Any) -> None:
    """Not the client secret, however it is sent, nor a token or a secret that an answer gave."""
    principal = azure.principal()
    token = azure.token(app=principal.app_id, secret=principal.secret)
    azure.call("POST", f"/{CONTOSO}/oauth2/v2.0/token?client_secret={SECRET}", data={"client_secret": SECRET})
    azure.call("GET", f"{PARTNER}?api-version=2018-02-01", token)
    text = json.dumps(azure.journal())
    for secret in (SECRET, principal.secret, token, token.split(".")[2]):
        assert secret not in text
    for file in azure.state.directory.iterdir():
        content = file.read_bytes()
        assert principal.secret.encode() not in content
        assert token.encode() not in content


def test_a_fault_of_the_sandbox_changes_nothing(
    azure: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure half-way is 500 in the service's form, is logged, and takes back what was written."""
    graph = azure.token(resource=GRAPH)

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(directory, "add_owner", fail)
    answer = azure.call("POST", "/graph/v1.0/applications", graph, json={"displayName": "pal"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "InternalServerError")
    assert azure.show()["applications"] == []
    assert azure.journal()[-1]["status"] == 500
    assert "disk full" in caplog.text


def test_a_refusal_changes_nothing(azure: Any) -> None:
    """What a refused request wrote before the refusal is taken back."""
    graph = azure.token(resource=GRAPH)
    application = azure.call("POST", "/graph/v1.0/applications", graph, json={"displayName": "pal"}).json()
    path = f"/graph/v1.0/applications/{application['id']}"
    body = {"notes": "changed", "keyCredentials": [{"key": "!", "type": "AsymmetricX509Cert", "usage": "Verify"}]}
    assert azure.call("PATCH", path, graph, json=body).status_code == 400
    assert azure.call("GET", path, graph).json()["notes"] is None


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/graph/v1.0/applications", "error"),
        ("/subscriptions", "error"),
        (f"/{CONTOSO}/oauth2/v2.0/token", "error_codes"),
    ],
)
def test_every_service_refuses_in_its_own_form(azure: Any, path: str, key: str) -> None:
    """A method that a path does not have is refused as JSON, with a request id."""
    answer = azure.call("PUT", path)
    assert 400 <= answer.status_code < 500
    assert key in answer.json()
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["x-ms-request-id"] == answer.headers["x-ms-correlation-request-id"]


def test_a_clients_own_request_id_comes_back(azure: Any) -> None:
    """Graph clients match answers by it."""
    answer = azure.call("GET", "/metadata/endpoints", headers={"client-request-id": "mine"})
    assert answer.headers["client-request-id"] == "mine"


def test_doubled_slashes_are_one(azure: Any) -> None:
    """Clients that join a scope to a path with a slash too many are understood, as ARM understands them."""
    scope = "https://localhost:8443//subscriptions/11111111-1111-1111-1111-111111111111"
    answer = azure.arm("GET", f"{scope}//providers/Microsoft.Authorization/roleDefinitions", azure.token())
    assert answer.status_code == 200
