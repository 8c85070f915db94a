"""Onboard a customer and offboard it again, on the real engine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONTOSO, FABRIKAM = "c0000000-0000-4000-8000-000000000001", "f0000000-0000-4000-8000-000000000002"
SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"

PROGRAM = """
import os
import pulumi
import pal_components as pal

args = {{"partner_id": os.environ.get("PARTNER", "4567891"), "scopes": ["{scope}"], **{more}}}
access = pal.CustomerAccess("contoso", args)
pulumi.export("origin", access.origin)
"""


def program(scope: str = SUBSCRIPTION, **more: Any) -> str:
    return PROGRAM.format(scope=scope, more=repr(more))


def test_the_order_of_removal(stack_of: Callable[..., Any]) -> None:
    """Link first, then the assignments, then the application; what dies with it is not deleted apart."""
    stack = stack_of(program(supporting_roles=["Reader"]))
    stack.up()
    stack.requests()
    stack.destroy()
    deletions = [request.split("/")[-2] for request in stack.requests() if request.startswith("DELETE")]
    assert deletions == ["partners", "roleAssignments", "roleAssignments", "applications"]
    assert stack.empty()


def test_a_given_principal(stack_of: Callable[..., Any], directory_of: Callable[..., Any]) -> None:
    """An existing principal is linked with its own secret, which is never in the state in the clear."""
    stack = stack_of(program())
    given = directory_of(stack.sandbox).principal("given")
    text = program(credential={"kind": "given", "client_id": given.client_id, "client_secret": given.client_secret})
    (stack.work_dir / "__main__.py").write_text(text, encoding="utf-8")
    stack.up()
    assert stack.links() == {CONTOSO: "4567891"}
    assert given.client_secret not in stack.state()
    assert stack.up().changes == {}
    assert stack.refresh().changes == {}
    stack.destroy()
    assert stack.links() == {}
    assert not stack.sandbox.show()["roleAssignments"]
    assert stack.sandbox.show()["applications"]


def test_a_new_partner_id_is_one_patch_in_place(stack_of: Callable[..., Any]) -> None:
    """The link keeps its identity and its first time, nothing is replaced."""
    stack = stack_of(program())
    stack.up()
    before = stack.sandbox.show()["links"][0]
    stack.requests()
    run = stack.up(PARTNER="5127255")
    assert "replaced" not in run.counts
    calls = [request for request in stack.requests() if "ManagementPartner" in request]
    assert [call.split()[0] for call in calls] == ["GET", "PATCH"]
    after = stack.sandbox.show()["links"][0]
    assert (after["partnerId"], after["createdTime"], after["objectId"]) == (
        "5127255",
        before["createdTime"],
        before["objectId"],
    )
    assert stack.outputs()["origin"] == "switched"


def test_drift_is_found_and_repaired(stack_of: Callable[..., Any], directory_of: Callable[..., Any]) -> None:
    """A link that somebody removed is found by refresh and made again; one that was switched is refused."""
    stack = stack_of(program(credential={"kind": "secret"}))
    stack.up()
    other = directory_of(stack.sandbox)
    other.unlink(CONTOSO)
    assert stack.refresh().changes == {"deleted": 1}
    assert stack.up().changes == {"created": 1}
    assert stack.links() == {CONTOSO: "4567891"}

    other.switch(CONTOSO, "5127255")
    assert "names partner ID 5127255 now, not 4567891" in stack.refresh().text
    text = stack.fail("up", "--yes", "--skip-preview")
    assert "5127255 (Adventure Works); 4567891 was asked for. Nothing was changed" in text
    assert stack.links() == {CONTOSO: "5127255"}
    assert "is left alone" in stack.destroy().text
    assert stack.links() == {CONTOSO: "5127255"} or stack.empty()


def test_a_link_of_another_partner(stack_of: Callable[..., Any], directory_of: Callable[..., Any]) -> None:
    """It is refused with both IDs, and switched only where replacing was asked for."""
    stack = stack_of(program(credential={"kind": "ambient"}))
    directory_of(stack.sandbox).link_deployer("5127255")
    text = stack.fail("up", "--yes", "--skip-preview")
    assert "is already linked to partner ID 5127255 (Adventure Works); 4567891 was asked for" in text
    assert "Traceback" not in text
    assert "set on_conflict to 'replace'" in text
    assert stack.links() == {CONTOSO: "5127255"}
    text = program(credential={"kind": "ambient"}, on_conflict="replace")
    (stack.work_dir / "__main__.py").write_text(text, encoding="utf-8")
    stack.up()
    assert stack.outputs()["origin"] == "switched"
    assert stack.links() == {CONTOSO: "4567891"}


def test_a_link_that_is_there_is_adopted(stack_of: Callable[..., Any], directory_of: Callable[..., Any]) -> None:
    """Whoever made it: from now on it is managed, and removed at destroy."""
    stack = stack_of(program(credential={"kind": "ambient"}))
    directory_of(stack.sandbox).link_deployer("4567891")
    stack.up()
    assert stack.outputs()["origin"] == "adopted"
    stack.destroy()
    assert stack.links() == {}


def test_the_root_program(stack_of: Callable[..., Any], root_program: Path) -> None:
    """The demo customer from its stack file, and the mistakes in the configuration's own words."""
    stack = stack_of(root_program, "demo")
    stack.up()
    assert stack.links() == {CONTOSO: "4567891"}
    assert stack.outputs()["attestation"]["tenantDisplayName"] == "Contoso"
    assert sorted(a["roleName"] for a in stack.sandbox.show()["roleAssignments"]) == [
        "Reader",
        "Support Request Contributor",
    ]
    stack.destroy()
    assert stack.empty()
    for key, value, says in (
        ("supportingRoles", "Contributer", "customer-access:supportingRoles[0] is 'Contributer'"),
        ("credential", "password", "customer-access:credential kind is 'password'"),
        ("partnerId", "", "customer-access:partnerId is empty"),
    ):
        stack.pulumi("config", "set", "--path", key, value)
        text = stack.fail("preview")
        assert says in text
        assert "Traceback" not in text
        stack.pulumi("config", "rm", key)


BAD = {
    "empty": ({"partner_id": ""}, "contoso: partner_id is empty"),
    "letters": ({"partner_id": "45a"}, "contoso: partner_id is '45a', but a partner ID has digits only"),
    "guid": ({"partner_id": CONTOSO}, "contoso: partner_id is the GUID"),
    "missing": ({"partner_id": None}, "contoso: partner_id is missing"),
    "root": ({"scopes": ["/"]}, "contoso-roles: scopes[0] is no scope: '/' is the whole tenant"),
    "scope": ({"scopes": ["production"]}, "contoso-roles: scopes[0] is no scope: 'production' is no ARM id"),
    "no-scope": ({"scopes": []}, "contoso-roles: scopes is empty"),
    "role": ({"roles": ["Contributer"]}, "contoso-roles: roles[0] is 'Contributer': there is no built-in role"),
    "ineligible": ({"roles": ["Reader"]}, "'Reader' (acdd72a7-3385-48ef-bd42-f606fba81ae7) earns no partner earned"),
    "tenant": ({"tenant_id": "contoso"}, "contoso: tenant_id is 'contoso', which is neither a GUID nor a domain"),
    "other-tenant": ({"tenant_id": FABRIKAM}, f"but the azuread provider acts in {CONTOSO}"),
}


def test_bad_input_at_preview(stack_of: Callable[..., Any]) -> None:
    """Each mistake gets one message at preview, which names the property, without a traceback and without effect."""
    stack = stack_of(program())
    for name, (args, says) in BAD.items():
        (stack.work_dir / "__main__.py").write_text(program(**args), encoding="utf-8")
        text = stack.fail("preview")
        assert says in text, name
        assert "Traceback" not in text, name
        assert text.count(says) <= 2, name  # once where it happens, once among the diagnostics
    assert stack.empty()


def test_values_that_are_known_at_preview_though_they_are_outputs(stack_of: Callable[..., Any]) -> None:
    """A partner ID from a secret configuration is checked at preview too."""
    text = program().replace('os.environ.get("PARTNER", "4567891")', 'pulumi.Output.secret("12a")')
    shown = stack_of(text).fail("preview")
    assert "partner_id is '12a', but a partner ID has digits only" in shown
    assert "Traceback" not in shown


def test_a_global_accounts_id(stack_of: Callable[..., Any]) -> None:
    """Only the service knows it: its PartnerIdInvalid is explained, and a second try with the right ID goes on."""
    stack = stack_of(program())
    text = stack.fail("up", "--yes", "--skip-preview", PARTNER="4567890")
    assert "partner_id 4567890: Microsoft refuses it (PartnerIdInvalid)" in text
    assert "Traceback" not in text
    assert stack.links() == {}
    assert stack.sandbox.show()["applications"][0]["passwords"] == 0
    stack.up()
    assert stack.links() == {CONTOSO: "4567891"}


def test_a_partner_id_that_is_secret_stays_secret(stack_of: Callable[..., Any]) -> None:
    """Nothing in the state repeats in the clear what the program marked as secret."""
    text = program().replace('os.environ.get("PARTNER", "4567891")', 'pulumi.Output.secret("4567891")')
    stack = stack_of(text)
    stack.up()
    state = stack.state()
    link = next(
        r for r in json.loads(state)["deployment"]["resources"] if r["type"] == "pulumi-python:dynamic/pal:PartnerLink"
    )
    assert "4567891" not in json.dumps(link)
    assert stack.up().changes == {}
    stack.destroy()
    assert stack.empty()


def test_the_plugin_stays_light(stack_of: Callable[..., Any]) -> None:
    """The process that manages links never loads the SDKs of azuread or azure-native."""
    stack = stack_of(program())
    hook = stack.work_dir / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import sys, os\n"
        "if '-m' in sys.orig_argv and 'pulumi.dynamic' in sys.orig_argv:\n"
        "    class Watch:\n"
        "        def find_spec(self, name, path=None, target=None):\n"
        "            if name in ('pulumi_azuread', 'pulumi_azure_native'):\n"
        "                open(os.environ['FOUND'], 'a').write(name)\n"
        "            elif name == 'pal_components.partner_link':\n"
        "                open(os.environ['FOUND'] + '.ran', 'a').write(name)\n"
        "            return None\n"
        "    sys.meta_path.insert(0, Watch())\n",
        encoding="utf-8",
    )
    found = stack.work_dir / "found"
    stack.up(PYTHONPATH=str(hook), FOUND=str(found))
    assert found.with_suffix(".ran").exists()
    assert not found.exists()


def test_requests_of_onboarding(stack_of: Callable[..., Any]) -> None:
    """The link costs the deploying identity's sign-in, three calls for the secret, its own sign-in, GET and PUT."""
    stack = stack_of(program())
    stack.up()
    made = stack.requests()
    first = next(i for i, request in enumerate(made) if request.endswith("/addPassword"))
    end = next(i for i, request in enumerate(made) if request.endswith("/removePassword"))
    assert [request.split("/")[-1] for request in made[first:end]] == [
        "addPassword",
        "openid-configuration",
        "token",
        "partners",
        "4567891",
        made[first].split("/")[-2],
    ]
    assert [request.split("/")[-1] for request in made[first - 3 : first]] == [
        "endpoints",
        "openid-configuration",
        "token",
    ]


def test_what_a_crash_left_behind_is_named(stack_of: Callable[..., Any]) -> None:
    """What reached the service but not the checkpoint is not made twice: its name and how to take it over are told."""
    stack = stack_of(program())
    stack.up()
    left = stack.sandbox.show()
    stack.pulumi("stack", "rm", "--yes", "--force")
    stack.init()
    text = stack.fail("up", "--yes", "--skip-preview")
    assert left["applications"][0]["objectId"] in text
    assert "import" in text
    assert stack.sandbox.show() == left
