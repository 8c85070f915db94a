"""What administrators, Microsoft and time do to a world, and the guesses that can be played."""

from typing import Any

import pytest

from pal_components.sandbox import admin, faults
from pal_components.sandbox.errors import SandboxError

GRAPH = "https://localhost:8443/graph"
CONTOSO = "c0000000-0000-4000-8000-000000000001"
FABRIKAM = "f0000000-0000-4000-8000-000000000002"
DEPLOYER = "d0000000-0000-4000-8000-00000000000d"
MINE, OTHER = "4567891", "5127255"


def link(azure: Any, method: str, partner_id: str = "", principal: Any = None) -> Any:
    """Do something about a principal's link, or the deploying identity's."""
    token = azure.token() if principal is None else azure.token(app=principal.app_id, secret=principal.secret)
    path = f"/providers/Microsoft.ManagementPartner/partners/{partner_id}"
    return azure.call(method, path, token, params={"api-version": "2018-02-01"})


@pytest.mark.parametrize(
    ("mode", "status", "answered", "stands"),
    [("conflict", 409, None, MINE), ("overwrite", 200, OTHER, OTHER), ("ignore", 200, MINE, MINE)],
)
def test_a_put_on_an_existing_link_does_what_is_told(
    azure: Any, mode: str, status: int, answered: str | None, stands: str
) -> None:
    """Nobody recorded it, so a client has to get along with each; clearing goes back to the conflict."""
    first = link(azure, "PUT", MINE).json()
    admin.put_on_existing(azure.state, mode)
    answer = link(azure, "PUT", OTHER)
    assert answer.status_code == status
    if answered:
        assert answer.json()["properties"]["partnerId"] == answered
    assert (answer.json() == first) == (mode == "ignore")
    assert link(azure, "GET").json()["name"] == stands
    faults.clear(azure.state)
    assert link(azure, "PUT", MINE).status_code == 409
    with pytest.raises(SandboxError, match="one of conflict, overwrite, ignore"):
        admin.put_on_existing(azure.state, "explode")


def add_password(azure: Any, principal: Any, end: str | None) -> Any:
    """Add a secret that starts now."""
    dates = {"startDateTime": "2026-03-01T12:00:00Z", "endDateTime": end}
    path = f"/graph/v1.0/applications/{principal.application_id}/addPassword"
    return azure.call("POST", path, azure.token(resource=GRAPH), json={"passwordCredential": dates})


def test_a_policy_forbids_secrets_or_shortens_their_life(azure: Any) -> None:
    """With the codes and words of Microsoft Graph, in that tenant only, until it is taken away."""
    principal = azure.principal()
    admin.policy(azure.state, "contoso.onmicrosoft.com", secrets="forbidden")
    answer = add_password(azure, principal, "2026-03-01T12:01:00Z")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "CredentialTypeNotAllowedAsPerAppPolicy"
    admin.policy(azure.state, CONTOSO, secrets="short")
    for end in ("2026-03-01T12:10:00Z", None):
        answer = add_password(azure, principal, end)
        assert answer.json()["error"]["code"] == "CredentialInvalidLifetimeAsPerAppPolicy"
        text = "Credential lifetime exceeds the max value allowed as per assigned policy '"
        assert answer.json()["error"]["message"].startswith(text)
    assert add_password(azure, principal, "2026-03-01T12:05:00Z").status_code == 200
    assert azure.principal(FABRIKAM).secret
    admin.policy(azure.state, CONTOSO, secrets=None)
    assert add_password(azure, principal, None).status_code == 200
    for tenant, secrets in ((CONTOSO, "long"), ("nowhere", "short")):
        with pytest.raises(SandboxError, match="one of forbidden, short|There is no tenant nowhere"):
            admin.policy(azure.state, tenant, secrets=secrets)


def test_a_removed_tenant_is_gone(azure: Any) -> None:
    """Sign-in is AADSTS90002, tokens from before are refused, nothing of it is shown, and the other one stays."""
    principal, elsewhere = azure.principal(), azure.principal(FABRIKAM)
    link(azure, "PUT", MINE, principal)
    before = azure.token(app=principal.app_id, secret=principal.secret)
    admin.remove_tenant(azure.state, CONTOSO)
    form = {"client_id": DEPLOYER, "client_secret": "x", "grant_type": "client_credentials", "scope": "x/.default"}
    assert azure.token_answer(CONTOSO, **form).json()["error_codes"] == [90002]
    path = "/providers/Microsoft.ManagementPartner/partners?api-version=2018-02-01"
    assert azure.call("GET", path, before).status_code == 401
    shown = azure.show()
    assert shown["links"] == []
    assert [row["objectId"] for row in shown["servicePrincipals"]] == [elsewhere.object_id]
    for table, column in (("password", "object_id"), ("owner", "object_id"), ("graph_permission", "principal_id")):
        rows = azure.state.all(f"SELECT {column} AS id FROM {table}")  # noqa: S608
        assert {row["id"] for row in rows}.isdisjoint({principal.application_id, principal.object_id})
    with pytest.raises(SandboxError, match="There is no tenant"):
        admin.remove_tenant(azure.state, CONTOSO)


def test_a_link_can_have_another_state(azure: Any) -> None:
    """It is read and shown with it, stands in the way of a PUT, and can be switched and removed."""
    principal = azure.principal()
    link(azure, "PUT", MINE, principal)
    admin.set_link_state(azure.state, CONTOSO.upper(), principal.object_id, "Suspended")
    read = link(azure, "GET", principal=principal).json()
    assert (read["properties"]["state"], read["etag"]) == ("Suspended", 2)
    assert azure.show()["links"][0]["state"] == "Suspended"
    assert link(azure, "PUT", MINE, principal).status_code == 409
    assert link(azure, "PATCH", OTHER, principal).json()["properties"]["state"] == "Active"
    admin.set_link_state(azure.state, CONTOSO, principal.object_id, "Suspended")
    assert link(azure, "DELETE", OTHER, principal).status_code == 200
    assert link(azure, "GET", principal=principal).status_code == 404
    with pytest.raises(SandboxError, match="has no link"):
        admin.set_link_state(azure.state, CONTOSO, CONTOSO, "Suspended")


def test_secrets_expire_at_once(azure: Any) -> None:
    """Sign-in is AADSTS7000222 then; a new secret works."""
    principal = azure.principal()
    admin.expire_secrets(azure.state, principal.application_id, azure.now)
    form = {"client_id": principal.app_id, "grant_type": "client_credentials", "scope": f"{GRAPH}/.default"}
    answer = azure.token_answer(CONTOSO, **form, client_secret=principal.secret)
    assert answer.json()["error_codes"] == [7000222]
    fresh = add_password(azure, principal, None).json()["secretText"]
    assert azure.token_answer(CONTOSO, **form, client_secret=fresh).status_code == 200
    with pytest.raises(SandboxError, match="has no client secret"):
        admin.expire_secrets(azure.state, CONTOSO, azure.now)
