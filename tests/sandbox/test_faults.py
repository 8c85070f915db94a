"""Misbehaviour on request: every fault, whom it hits and how often, and what it leaves behind."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from pal_components.sandbox import faults
from pal_components.sandbox.errors import SandboxError
from pal_components.sandbox.server import Sandbox

GRAPH = "https://localhost:8443/graph"
CONTOSO = "c0000000-0000-4000-8000-000000000001"
TOKEN = f"/{CONTOSO}/oauth2/v2.0/token"
PARTNER = "/providers/Microsoft.ManagementPartner/partners/4567891?api-version=2018-02-01"
APPLICATIONS = "/graph/v1.0/applications"


def link(azure: Any, method: str = "PUT", token: str | None = None) -> Any:
    """Link the deploying identity, or do something else about its link."""
    return azure.call(method, PARTNER, token or azure.token())


@pytest.mark.parametrize("status", faults.STATUSES)
@pytest.mark.parametrize("path", [PARTNER, f"{APPLICATIONS}?x=1", "/subscriptions?api-version=2022-12-01", TOKEN])
def test_a_status_comes_in_the_services_own_form(azure: Any, status: int, path: str) -> None:
    """Each service has a code that goes with each status, in the body that it always has; nothing is done."""
    faults.add(azure.state, "status", path=path.partition("?")[0], status=status)
    answer = azure.call("PUT", path)
    assert answer.status_code == status
    body = answer.json()
    if path == TOKEN:
        assert f"AADSTS{body['error_codes'][0]}: " in body["error_description"]
    else:
        assert body["error"]["code"]
        assert ("code" in body) == (path == PARTNER)
        assert ("innerError" in body["error"]) == path.startswith("/graph")
    assert azure.journal()[-1]["fault"] == "status"
    assert azure.journal()[-1]["status"] == status
    assert azure.show()["links"] == []


def test_code_message_and_retry_after_are_as_told(azure: Any) -> None:
    """At the sign-in service a code may be an AADSTS number."""
    faults.add(azure.state, "status", path="partners", status=429, code="Slow", message="Not so fast", retry_after=7)
    token = azure.token()
    answer = link(azure, token=token)
    assert answer.headers["Retry-After"] == "7"
    assert (answer.json()["code"], answer.json()["message"]) == ("Slow", "Not so fast")
    faults.add(azure.state, "status", path="oauth2", status=401, code="AADSTS700016")
    assert azure.call("POST", TOKEN).json()["error_codes"] == [700016]
    faults.add(azure.state, "status", path="oauth2", status=400, code="invalid_grant")
    assert azure.call("POST", TOKEN).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("action", "acts", "content_type", "readable"),
    [
        ("html", False, "text/html", False),
        ("truncated", True, "application/json", False),
        ("content_type", True, "text/plain", True),
        ("shape", True, "application/json", True),
        ("empty", True, None, False),
    ],
)
def test_an_answer_is_spoiled(azure: Any, action: str, acts: bool, content_type: str | None, readable: bool) -> None:
    """Always with status 200: the request was carried out, or not at all where a proxy stands before the service."""
    token = azure.token()
    faults.add(azure.state, action)
    answer = link(azure, token=token)
    assert answer.status_code == 200
    assert (answer.headers.get("content-type") or "").startswith(content_type or "")
    if content_type is None:
        assert "content-type" not in answer.headers
    if readable:
        assert isinstance(answer.json(), list if action == "shape" else dict)
    else:
        with pytest.raises(ValueError):
            answer.json()
    assert bool(azure.show()["links"]) == acts
    assert azure.journal()[-1]["fault"] == action
    assert link(azure, "GET", token).status_code == (200 if acts else 404)


@pytest.mark.parametrize(("action", "acts", "status"), [("cut_before", False, 0), ("cut_after", True, 200)])
def test_a_connection_is_cut(azure: Any, action: str, acts: bool, status: int) -> None:
    """Before or after the request was carried out; the journal tells which."""
    token = azure.token()
    faults.add(azure.state, action)
    with pytest.raises(ConnectionResetError):
        link(azure, token=token)
    assert bool(azure.show()["links"]) == acts
    assert (azure.journal()[-1]["fault"], azure.journal()[-1]["status"]) == (action, status)


def test_a_fault_hits_only_what_it_is_meant_for(azure: Any) -> None:
    """Method and path choose; some may pass before, and then it happens as often as told."""
    token = azure.token()
    faults.add(azure.state, "status", status=503, method="get", path=r"/PARTNERS/\d+$", times=2, skip=1)
    assert link(azure, "PUT", token).status_code == 200
    assert [link(azure, "GET", token).status_code for _ in range(4)] == [200, 503, 503, 200]
    assert [row["fault"] for row in azure.journal()[-5:]] == [None, None, "status", "status", None]
    assert faults.listed(azure.state) == []


def test_the_oldest_fault_takes_the_request(azure: Any) -> None:
    """One that still skips lets the next one have it."""
    token = azure.token()
    faults.add(azure.state, "status", status=500, skip=1)
    faults.add(azure.state, "status", status=502, times=2)
    assert [link(azure, "GET", token).status_code for _ in range(4)] == [502, 500, 502, 404]


def test_a_fault_without_end_is_cleared(azure: Any) -> None:
    """It is listed with all that was said of it, until everything is forgotten."""
    token = azure.token()
    number = faults.add(azure.state, "status", status=500, times=None, path="partners")
    assert [link(azure, "GET", token).status_code for _ in range(3)] == [500, 500, 500]
    (row,) = faults.listed(azure.state)
    assert (row["id"], row["action"], row["path"], row["times"]) == (number, "status", "partners", None)
    faults.clear(azure.state)
    assert link(azure, "GET", token).status_code == 404


@pytest.mark.parametrize(
    ("action", "options", "text"),
    [
        ("explode", {}, "explode is no fault: one of status, cut_before"),
        ("status", {}, "has a status: one of 400"),
        ("status", {"status": 418}, "has a status: one of 400"),
        ("html", {"status": 500}, "and no other, has a status"),
        ("html", {"code": "x"}, "belong to the fault 'status'"),
        ("slow", {}, "has seconds"),
        ("empty", {"seconds": 1}, "has seconds"),
        ("empty", {"times": 0}, "at least once"),
        ("empty", {"skip": -1}, "below zero"),
        ("empty", {"path": "("}, "no regular expression"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(azure: Any, action: str, options: Any, text: str) -> None:
    """With a message that names what is wrong, and nothing is kept."""
    with pytest.raises(SandboxError, match=text):
        faults.add(azure.state, action, **options)
    assert faults.listed(azure.state) == []


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox that really serves."""
    with Sandbox(tmp_path_factory.mktemp("faults") / "state") as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[requests.Session]:
    """A client that keeps its connection open, as the SDKs do."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(sandbox.state_dir / "ca.pem")
        yield session
    sandbox.clear_faults()


@pytest.mark.parametrize("action", ["cut_before", "cut_after"])
@pytest.mark.parametrize("warm", [False, True])
def test_a_cut_looks_like_a_lost_connection(
    sandbox: Sandbox, client: requests.Session, action: str, warm: bool
) -> None:
    """On a new connection and on a kept one; the next request is answered."""
    url = f"{sandbox.url}/metadata/endpoints?api-version=2022-09-01"
    if warm:
        client.get(url, timeout=10)
    sandbox.fault(action, path="metadata")
    with pytest.raises(requests.ConnectionError):
        client.get(url, timeout=10)
    assert sandbox.journal()[-1]["fault"] == action
    assert client.get(url, timeout=10).status_code == 200


def test_slow_waits_and_then_acts(sandbox: Sandbox, client: requests.Session) -> None:
    """A client that gives up does not keep it from happening, and nobody else waits."""
    url = f"{sandbox.url}/metadata/endpoints?api-version=2022-09-01"
    sandbox.fault("slow", seconds=0.4, path="metadata")
    before = time.monotonic()
    count = len(sandbox.journal())
    with pytest.raises(requests.ReadTimeout):
        client.get(url, timeout=0.1)
    assert client.get(url, timeout=10).status_code == 200
    assert time.monotonic() - before < 0.4
    while len(sandbox.journal()) < count + 2:
        assert time.monotonic() - before < 10
    assert time.monotonic() - before >= 0.4
    assert [row["fault"] for row in sandbox.journal()[count:]] == [None, "slow"]


def test_a_faults_counts_survive_a_restart(tmp_path: Path) -> None:
    """What is to happen stands in the state directory."""
    with Sandbox(tmp_path / "state") as first:
        first.fault("status", status=503, times=2)
        url = f"{first.url}/metadata/endpoints?api-version=2022-09-01"
        authority = str(tmp_path / "state" / "ca.pem")
        assert requests.get(url, verify=authority, timeout=10).status_code == 503
    with Sandbox(tmp_path / "state") as second:
        url = f"{second.url}/metadata/endpoints?api-version=2022-09-01"
        assert [requests.get(url, verify=authority, timeout=10).status_code for _ in range(2)] == [503, 200]
