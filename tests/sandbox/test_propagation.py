"""New things that are unknown for a while: to so many requests, or for so many seconds."""

from typing import Any

import pytest

from pal_components.sandbox import faults, propagation
from pal_components.sandbox.errors import SandboxError

ARM = "https://management.azure.com"
GRAPH = "https://localhost:8443/graph"
CONTOSO = "c0000000-0000-4000-8000-000000000001"
PARTNER = "/providers/Microsoft.ManagementPartner/partners?api-version=2018-02-01"


def sign_in(azure: Any, principal: Any) -> list[int]:
    """Sign in as a principal and return the error codes; none for success."""
    answer = azure.token_answer(
        CONTOSO,
        client_id=principal.app_id,
        client_secret=principal.secret,
        grant_type="client_credentials",
        scope=f"{ARM}/.default",
    )
    codes: list[int] = answer.json().get("error_codes", [])
    return codes


def test_a_new_principal_is_unknown_at_sign_in_and_then_at_the_apis(azure: Any) -> None:
    """Each counts for itself; those that were there before are not concerned."""
    before = azure.principal()
    propagation.delay(azure.state, "principal", requests=2)
    after = azure.principal()
    assert sign_in(azure, before) == []
    assert [sign_in(azure, after) for _ in range(3)] == [[7000229], [7000229], []]
    token = azure.token(app=after.app_id, secret=after.secret)
    assert [azure.call("GET", PARTNER, token).status_code for _ in range(4)] == [401, 401, 404, 404]


def test_a_new_secret_is_unknown(azure: Any) -> None:
    """Another secret of the same application works meanwhile."""
    principal = azure.principal()
    propagation.delay(azure.state, "secret", requests=2)
    graph = azure.token(resource=GRAPH)
    path = f"/graph/v1.0/applications/{principal.application_id}/addPassword"
    fresh = azure.call("POST", path, graph, json={"passwordCredential": {}}).json()["secretText"]
    assert sign_in(azure, principal) == []
    principal.secret = fresh
    assert [sign_in(azure, principal) for _ in range(3)] == [[7000215], [7000215], []]


def test_a_delay_in_seconds_ends_by_itself(azure: Any) -> None:
    """However often somebody asks."""
    propagation.delay(azure.state, "secret", seconds=20)
    principal = azure.principal()
    azure.later(seconds=19)
    assert [sign_in(azure, principal) for _ in range(3)] == [[7000215]] * 3
    azure.later(seconds=1)
    assert sign_in(azure, principal) == []


def test_a_new_application_is_unknown_to_add_password(azure: Any) -> None:
    """Microsoft Graph answers 404 there; elsewhere the application is to be seen at once."""
    propagation.delay(azure.state, "graph", requests=1)
    graph = azure.token(resource=GRAPH)
    path = "/graph/v1.0/applications"
    application = azure.call("POST", path, graph, json={"displayName": "pal"}).json()["id"]
    assert azure.call("GET", f"{path}/{application}", graph).status_code == 200
    answers = [azure.call("POST", f"{path}/{application}/addPassword", graph, json={}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [404, 200]
    assert answers[0].json()["error"]["code"] == "Request_ResourceNotFound"


def test_a_delay_can_be_ended(azure: Any) -> None:
    """Zero ends it for what comes; clearing ends it for what is there too."""
    propagation.delay(azure.state, "secret", requests=100)
    first = azure.principal()
    propagation.delay(azure.state, "secret", requests=0)
    assert sign_in(azure, azure.principal()) == []
    assert sign_in(azure, first) == [7000215]
    faults.clear(azure.state)
    assert sign_in(azure, first) == []


@pytest.mark.parametrize(
    ("what", "options", "text"),
    [
        ("everything", {"requests": 1}, "one of principal, secret"),
        ("secret", {}, "give one of the two"),
        ("secret", {"requests": 1, "seconds": 1}, "give one of the two"),
        ("secret", {"requests": -1}, "not below zero"),
    ],
)
def test_a_delay_that_makes_no_sense_is_refused(azure: Any, what: str, options: Any, text: str) -> None:
    """With a message that says what is possible."""
    with pytest.raises(SandboxError, match=text):
        propagation.delay(azure.state, what, **options)
