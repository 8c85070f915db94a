"""Microsoft.ManagementPartner as it was recorded: codes, doubled bodies, ids, counters."""

import re
from typing import Any

import pytest

ROOT = "/providers/Microsoft.ManagementPartner"
GRAPH = "https://localhost:8443/graph"
LOCATION, GLOBAL, OTHER = "4567891", "4567890", "5127255"
VERSION = {"api-version": "2018-02-01"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6,7}Z")


@pytest.fixture
def principal(azure: Any) -> Any:
    """A service principal with no role and no permission: all that a link needs."""
    return azure.principal()


@pytest.fixture
def ask(azure: Any, principal: Any) -> Any:
    """Send a request as that principal."""
    token = azure.token(app=principal.app_id, secret=principal.secret)

    def send(method: str, partner_id: str | None, **options: Any) -> Any:
        path = f"{ROOT}/partners" + ("" if partner_id is None else f"/{partner_id}")
        return azure.call(method, path, token, params=VERSION, **options)

    return send


def refused(answer: Any, status: int, code: str, message: str) -> None:
    """Check the doubled error body."""
    assert answer.status_code == status
    inner = {"code": code, "message": message}
    assert answer.json() == {"error": inner, **inner}


NOT_LINKED = (404, "ManagementPartnerNotFound", "This user or service principal is not linked with a Partner ID")
INVALID = (400, "PartnerIdInvalid", "The Partner ID is not valid")


def test_a_link_is_made_and_read(azure: Any, principal: Any, ask: Any) -> None:
    """PUT answers 200 with the whole object; the list is that one object."""
    refused(ask("GET", None), *NOT_LINKED)
    answer = ask("PUT", LOCATION)
    assert answer.status_code == 200
    link = answer.json()
    properties = link.pop("properties")
    assert link == {
        "id": f"/providers/microsoft.managementpartner/partners/{LOCATION}",
        "type": "Microsoft.ManagementPartner/partners",
        "name": LOCATION,
        "etag": 1,
    }
    created, updated = properties.pop("createdTime"), properties.pop("updatedTime")
    assert TIME.fullmatch(created)
    assert updated == created
    assert properties == {
        "partnerId": LOCATION,
        "partnerName": "Northwind Services",
        "tenantId": principal.tenant,
        "objectId": principal.object_id,
        "version": 1,
        "state": "Active",
    }
    for partner_id in (None, "", LOCATION):
        assert ask("GET", partner_id).json() == answer.json()
    refused(ask("GET", OTHER), *NOT_LINKED)


def test_a_body_changes_nothing(azure: Any, ask: Any) -> None:
    """Whose link it is comes from the token alone."""
    answer = ask("PUT", LOCATION, json={"properties": {"objectId": azure.deployer(), "partnerId": OTHER}})
    assert answer.json()["properties"]["partnerId"] == LOCATION
    assert answer.json()["properties"]["objectId"] != azure.deployer()


@pytest.mark.parametrize("partner_id", [GLOBAL, "1", "abc", "9f0e1d2c-0000-4000-8000-000000000000"])
def test_only_a_location_id_can_be_linked(ask: Any, partner_id: str) -> None:
    """A global account's ID, an unknown one, text and a GUID are PartnerIdInvalid, and nothing is linked."""
    refused(ask("PUT", partner_id), *INVALID)
    refused(ask("GET", None), *NOT_LINKED)


def test_a_switch_keeps_the_creation_time(azure: Any, ask: Any) -> None:
    """PATCH with the new ID changes the link in place and counts."""
    created = ask("PUT", LOCATION).json()["properties"]["createdTime"]
    azure.later(minutes=10)
    answer = ask("PATCH", OTHER)
    assert answer.status_code == 200
    properties = answer.json()["properties"]
    assert (properties["partnerId"], properties["partnerName"]) == (OTHER, "Adventure Works")
    assert (properties["version"], answer.json()["etag"]) == (2, 2)
    assert properties["createdTime"] == created
    assert properties["updatedTime"] > created


def test_a_switch_needs_a_link_first_and_a_good_id_second(ask: Any) -> None:
    """The link is looked for before the ID is checked."""
    refused(ask("PATCH", GLOBAL), *NOT_LINKED)
    ask("PUT", LOCATION)
    refused(ask("PATCH", GLOBAL), *INVALID)
    assert ask("GET", None).json()["properties"]["partnerId"] == LOCATION


def test_removal_leaves_the_record(azure: Any, ask: Any) -> None:
    """The counter goes on over removal and new link (v1, removed, v3), and the creation time stays."""
    created = ask("PUT", LOCATION).json()["properties"]["createdTime"]
    answer = ask("DELETE", LOCATION)
    assert (answer.status_code, answer.content) == (200, b"")
    refused(ask("GET", None), *NOT_LINKED)
    refused(ask("GET", LOCATION), *NOT_LINKED)
    refused(ask("PATCH", LOCATION), *NOT_LINKED)
    assert azure.show()["links"] == []
    azure.later(minutes=10)
    properties = ask("PUT", OTHER).json()["properties"]
    assert (properties["version"], properties["createdTime"], properties["state"]) == (3, created, "Active")


def test_removing_nothing_succeeds(ask: Any) -> None:
    """DELETE is 200 with an empty body, linked or not, and counts nothing then."""
    for _ in range(2):
        answer = ask("DELETE", LOCATION)
        assert (answer.status_code, answer.content) == (200, b"")
    assert ask("PUT", LOCATION).json()["properties"]["version"] == 1


@pytest.mark.parametrize("partner_id", [LOCATION, OTHER])
def test_guess_a_put_over_a_link_is_a_conflict(ask: Any, partner_id: str) -> None:
    """Never recorded: here it is 409 and the link stays as it was."""
    before = ask("PUT", LOCATION).json()
    answer = ask("PUT", partner_id)
    assert answer.status_code == 409
    assert answer.json()["code"] == answer.json()["error"]["code"] == "PartnerIdAlreadyLinked"
    assert ask("GET", None).json() == before


def test_guess_removing_another_partners_link_leaves_it(ask: Any) -> None:
    """Never recorded: here it is 200 and the link stays."""
    before = ask("PUT", LOCATION).json()
    assert ask("DELETE", OTHER).status_code == 200
    assert ask("GET", None).json() == before


def test_everybody_has_a_link_of_their_own(azure: Any, ask: Any) -> None:
    """Two principals, and the same application in two tenants, know nothing of each other's links."""
    ask("PUT", LOCATION)
    for tenant in ("c0000000-0000-4000-8000-000000000001", "f0000000-0000-4000-8000-000000000002"):
        token = azure.token(tenant)
        refused(azure.call("GET", f"{ROOT}/partners", token, params=VERSION), *NOT_LINKED)
        answer = azure.call("PUT", f"{ROOT}/partners/{OTHER}", token, params=VERSION)
        assert answer.json()["properties"]["tenantId"] == tenant
        assert answer.json()["properties"]["version"] == 1
    assert len(azure.show()["links"]) == 3


def test_the_path_is_read_in_any_case(ask: Any, azure: Any, principal: Any) -> None:
    """The id that the service answers, in lower case, leads to the link."""
    link = ask("PUT", LOCATION).json()
    token = azure.token(app=principal.app_id, secret=principal.secret)
    assert azure.call("GET", link["id"], token, params=VERSION).json() == link


def test_operations_are_listed(ask: Any, azure: Any) -> None:
    """read, write, action and delete."""
    answer = azure.call("GET", f"{ROOT}/operations", azure.token(), params=VERSION)
    assert [entry["name"].rsplit("/", 1)[1] for entry in answer.json()["value"]] == [
        "read",
        "write",
        "action",
        "delete",
    ]


def test_answers_carry_arms_headers(ask: Any) -> None:
    """Request ids on every answer, and what is left of the tenant's reads and writes on the successful ones."""
    read, write = ask("DELETE", LOCATION), ask("PUT", LOCATION)
    assert write.headers["x-ms-ratelimit-remaining-tenant-writes"] == "1199"
    assert ask("GET", None).headers["x-ms-ratelimit-remaining-tenant-reads"] == "14999"
    assert read.headers["x-ms-request-id"]
    assert ask("PUT", GLOBAL).headers["x-ms-correlation-request-id"]


@pytest.mark.parametrize(
    ("version", "code"), [(None, "MissingApiVersionParameter"), ("2019-01-01", "InvalidResourceType")]
)
def test_there_is_one_version(azure: Any, version: str | None, code: str) -> None:
    """Only 2018-02-01 is served, and the api-version is required."""
    params = {} if version is None else {"api-version": version}
    answer = azure.call("GET", f"{ROOT}/partners", azure.token(), params=params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_a_link_outlives_its_secret(azure: Any, principal: Any, ask: Any) -> None:
    """After linking the secret may go: the link stays."""
    ask("PUT", LOCATION)
    path = f"/graph/v1.0/applications/{principal.application_id}/removePassword"
    azure.call("POST", path, azure.token(resource=GRAPH), json={"keyId": principal.key_id})
    assert [row["partnerId"] for row in azure.show()["links"]] == [LOCATION]


def test_a_principal_that_is_gone_cannot_act(azure: Any, principal: Any, ask: Any) -> None:
    """Its token is refused at once, and nobody can read or remove its link any more."""
    ask("PUT", LOCATION)
    path = f"/graph/v1.0/servicePrincipals/{principal.object_id}"
    azure.call("DELETE", path, azure.token(resource=GRAPH))
    for method in ("GET", "DELETE"):
        assert ask(method, LOCATION).status_code == 401


def test_a_disabled_principal_cannot_act(azure: Any, principal: Any, ask: Any) -> None:
    """Its token is refused until it is enabled again."""
    path = f"/graph/v1.0/servicePrincipals/{principal.object_id}"
    azure.call("PATCH", path, azure.token(resource=GRAPH), json={"accountEnabled": False})
    assert ask("PUT", LOCATION).status_code == 401
    azure.call("PATCH", path, azure.token(resource=GRAPH), json={"accountEnabled": True})
    assert ask("PUT", LOCATION).status_code == 200
