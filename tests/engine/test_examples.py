"""Every example on the real engine: made, unchanged at the second run, refreshed without a difference, and gone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
CONTOSO, FABRIKAM = "c0000000-0000-4000-8000-000000000001", "f0000000-0000-4000-8000-000000000002"


def walk(stack: Any, *tenants: str) -> None:
    """Take a stack through its life; the tenants are linked in between."""
    planned = stack.preview().changes
    assert stack.up().changes["created"] == planned["to create"]
    assert stack.links() == dict.fromkeys(tenants, "4567891")
    world = stack.sandbox.show()
    assert {a["principalId"] for a in world["roleAssignments"]} == {link["objectId"] for link in world["links"]}
    assert stack.up().changes == {}
    assert stack.refresh().changes == {}
    assert stack.sandbox.show() == world


def test_one_customer(stack_of: Callable[..., Any]) -> None:
    """The default keeps no secret, and the evidence is what the tenant says."""
    stack = stack_of(EXAMPLES / "one-customer")
    walk(stack, CONTOSO)
    world = stack.sandbox.show()
    attestation = stack.outputs()["attestation"]
    assert attestation["objectId"] == world["links"][0]["objectId"] == world["servicePrincipals"][0]["objectId"]
    assert attestation["partnerAdminLink"] is True
    assert attestation["assignments"][0]["id"] == world["roleAssignments"][0]["id"]
    assert world["applications"][0]["passwords"] == world["servicePrincipals"][0]["passwords"] == 0
    stack.destroy()
    assert stack.empty()


def test_two_customers(stack_of: Callable[..., Any]) -> None:
    """Two tenants in one program, each with its own providers."""
    stack = stack_of(EXAMPLES / "two-customers")
    walk(stack, CONTOSO, FABRIKAM)
    outputs = stack.outputs()
    assert (outputs["contoso"]["tenantId"], outputs["fabrikam"]["tenantId"]) == (CONTOSO, FABRIKAM)
    stack.destroy()
    assert stack.empty()


@pytest.mark.parametrize(("example", "held"), [("rotating-secret", "passwords"), ("certificate", "certificates")])
def test_generations(stack_of: Callable[..., Any], example: str, held: str) -> None:
    """Another generation makes a new credential, hands it over and drops the old, without a call about the link."""
    stack = stack_of(EXAMPLES / example)
    walk(stack, CONTOSO)
    assert stack.sandbox.show()["applications"][0][held] == 1
    links = stack.sandbox.show()["links"]
    stack.requests()
    stack.pulumi("config", "set", "generation", "2")
    stack.up()
    made = stack.requests()
    assert not [request for request in made if "ManagementPartner" in request]
    assert stack.sandbox.show()["applications"][0][held] == 1
    assert stack.sandbox.show()["links"] == links
    # The new credential works: it is the one that removes the link.
    stack.destroy()
    assert stack.empty()


def test_a_secret_in_the_state_is_encrypted(stack_of: Callable[..., Any]) -> None:
    """The link's credential is secret in inputs and outputs."""
    stack = stack_of(EXAMPLES / "certificate")
    stack.up()
    state = stack.state()
    link = next(r for r in json.loads(state)["deployment"]["resources"] if r["type"].endswith("pal:PartnerLink"))
    assert "ciphertext" in json.dumps(link["inputs"]["credential"])
    assert "ciphertext" in json.dumps(link["outputs"]["credential"])
    assert "PRIVATE KEY" not in state


def test_existing_principal(stack_of: Callable[..., Any]) -> None:
    """The enterprise application of a multi-tenant application is made, linked, and removed."""
    stack = stack_of(EXAMPLES / "existing-principal")
    stack.pulumi("config", "set", "clientId", "e0000000-0000-4000-8000-00000000000e")
    stack.pulumi("config", "set", "--secret", "clientSecret", "sandbox-operations-secret")
    walk(stack, FABRIKAM)
    assert not stack.sandbox.show()["applications"]
    assert "sandbox-operations-secret" not in stack.state()
    stack.destroy()
    assert stack.empty()


def test_ambient(stack_of: Callable[..., Any]) -> None:
    """Whoever runs the program is linked and gets the roles; nothing is made in the directory."""
    stack = stack_of(EXAMPLES / "ambient")
    walk(stack, CONTOSO)
    world = stack.sandbox.show()
    assert not world["applications"]
    assert not world["servicePrincipals"]
    stack.destroy()
    assert stack.empty()


def test_federated(stack_of: Callable[..., Any]) -> None:
    """The pipeline's token is exchanged; another branch's is not, and says why. Destroy works from anywhere."""
    stack = stack_of(EXAMPLES / "federated")
    subject = "repo:northwind/contoso:ref:refs/heads/main"
    stack.pulumi("config", "set", "issuer", stack.sandbox.issuer("github"))
    stack.issuer = f"github={subject}"
    walk(stack, CONTOSO)
    assert stack.sandbox.show()["applications"][0]["passwords"] == 0
    assert not [request for request in stack.requests() if request.endswith("/addPassword")]

    stack.issuer = stack.issuer.replace("main", "feature")
    text = stack.refresh().text
    assert "could not be verified and is kept as it was" in text
    assert f"expects issuer {stack.sandbox.issuer('github')}, subject {subject}" in text
    assert "presents issuer" in text
    assert stack.links() == {CONTOSO: "4567891"}
    assert "removing the link with an ephemeral secret instead" in stack.destroy().text
    assert stack.empty()


def test_lighthouse(stack_of: Callable[..., Any]) -> None:
    """Two customers delegate to one linked principal in the partner's home tenant; the evidence names its link."""
    stack = stack_of(EXAMPLES / "lighthouse")
    home = "99999999-9999-4999-8999-999999999999"
    planned = stack.preview().changes
    assert stack.up().changes["created"] == planned["to create"]
    assert stack.links() == {home: "4567891"}
    world = stack.sandbox.show()
    linked = world["links"][0]["objectId"]
    outputs = stack.outputs()
    for customer, subscription in (("contoso", "11111111"), ("fabrikam", "22222222")):
        assert (outputs[customer]["tenantId"], outputs[customer]["objectId"]) == (home, linked)
        assert outputs[customer]["covered"][0].startswith(f"/subscriptions/{subscription}")
    assert len(world["registrations"]) == 4
    assert stack.up().changes == {}
    assert stack.refresh().changes == {}
    stack.destroy()
    assert stack.empty()


def test_team(stack_of: Callable[..., Any]) -> None:
    """Guests are invited and get their roles; who leaves the list loses access."""
    stack = stack_of(EXAMPLES / "team")
    planned = stack.preview().changes
    assert stack.up().changes["created"] == planned["to create"]
    outputs = stack.outputs()
    assert [person["name"] for person in outputs["toLink"]] == ["Jo Doe"]
    assert outputs["toLink"][0]["commands"][-1] == "az managementpartner create --partner-id 4567891"
    assert "| Approval | contract 12, by Contoso IT, on 2026-11-01 |" in outputs["evidence"]
    granted = stack.sandbox.show()["roleAssignments"]
    assert sorted(row["roleName"] for row in granted) == 2 * ["Reader"] + 2 * ["Support Request Contributor"]
    assert {row["principalType"] for row in granted} == {"User"}
    assert stack.up().changes == {}
    assert stack.refresh().changes == {}

    program = stack.work_dir / "__main__.py"
    text = program.read_text(encoding="utf-8")
    left = "".join(line for line in text.splitlines(keepends=True) if '"jo"' not in line)
    program.write_text(left, encoding="utf-8")
    stack.up()
    assert len(stack.sandbox.show()["roleAssignments"]) == 2
    stack.destroy()
    assert stack.empty()


def test_every_example_is_run() -> None:
    """No example without a test, a README and a description."""
    tests = Path(__file__).read_text(encoding="utf-8")
    for folder in EXAMPLES.iterdir():
        assert f'"{folder.name}"' in tests
        assert (folder / "README.md").is_file()
        assert "description:" in (folder / "Pulumi.yaml").read_text(encoding="utf-8")
