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


def test_every_example_is_run() -> None:
    """No example without a test, a README and a description."""
    tests = Path(__file__).read_text(encoding="utf-8")
    for folder in EXAMPLES.iterdir():
        assert f'"{folder.name}"' in tests
        assert (folder / "README.md").is_file()
        assert "description:" in (folder / "Pulumi.yaml").read_text(encoding="utf-8")
