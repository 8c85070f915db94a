"""The stand-in plugins under the real engine: programs written with pulumi_azuread and pulumi_azure_native."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pal_components.sandbox.server import Sandbox
from pal_components.sandbox.stand_in.azuread import AzureAD
from pal_components.sandbox.stand_in.cloud import Api

FABRIKAM = "f0000000-0000-4000-8000-000000000002"
DEPLOYER = "d0000000-0000-4000-8000-00000000000d"
PRODUCTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
DEVELOPMENT = "/subscriptions/11111111-1111-1111-1111-222222222222"

LIFE = """
import os
import pulumi
import pulumi_azuread as azuread
from pulumi_azure_native import authorization

me = azuread.get_client_config()
assert authorization.get_client_config().object_id == me.object_id
application = azuread.Application("app", display_name="ours", owners=[me.object_id])
principal = azuread.ServicePrincipal("principal", client_id=application.client_id, owners=[me.object_id])
password = azuread.ApplicationPassword(
    "password", application_id=application.id, rotate_when_changed={"generation": os.environ.get("GENERATION", "1")}
)
assignment = authorization.RoleAssignment(
    "assignment",
    scope=os.environ["SCOPE"],
    principal_id=principal.object_id,
    principal_type="ServicePrincipal",
    role_definition_id="/providers/Microsoft.Authorization/roleDefinitions/cfd33db0-3dd1-45e3-aa9d-cdbdf3b6f24e",
)
pulumi.export("password", password.value)
pulumi.export("principal", principal.object_id)
pulumi.export("assignment", assignment.id)
"""

ELSEWHERE = """
import os
import pulumi
import pulumi_azure_native as azure_native
import pulumi_azuread as azuread

where = {
    "tenant_id": "f0000000-0000-4000-8000-000000000002",
    "client_id": "d0000000-0000-4000-8000-00000000000d",
    "client_secret": os.environ["SECRET"],
}
directory = azuread.Provider("directory", **where)
azure = azure_native.Provider("azure", subscription_id="22222222-2222-2222-2222-222222222222", **where)
me = azuread.get_client_config_output(opts=pulumi.InvokeOutputOptions(provider=directory))
application = azuread.Application(
    "app", display_name="there", owners=[me.object_id], opts=pulumi.ResourceOptions(provider=directory)
)
found = azure_native.authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(provider=azure))
pulumi.export("tenants", [me.tenant_id, found.tenant_id])
pulumi.export("subscription", found.subscription_id)
"""

PEOPLE = """
import os
import pulumi
import pulumi_azuread as azuread
from pulumi_azure_native import authorization, managedservices

TEAM = "cccccccc-1111-4222-8333-444444444444"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
scope = os.environ["SCOPE"]

user = azuread.User(
    "user", user_principal_name="ada@contoso.onmicrosoft.com", display_name="Ada", password="sandbox-first-word"
)
guest = azuread.Invitation(
    "guest", user_email_address="eve@northwind.example", redirect_url="https://portal.azure.com/"
)
group = azuread.Group("group", display_name="PAL", security_enabled=True)
people = [("user", user.object_id), ("guest", guest.user_id)]
if os.environ.get("EVE") == "leaves":
    people.pop()
for name, object_id in people:
    azuread.GroupMember(f"member-{name}", group_object_id=group.object_id, member_object_id=object_id)
authorization.RoleAssignment(
    "assignment",
    scope=scope,
    principal_id=group.object_id,
    principal_type="Group",
    role_definition_id=f"/providers/Microsoft.Authorization/roleDefinitions/{READER}",
)
definition = managedservices.RegistrationDefinition(
    "definition",
    scope=scope,
    registration_definition_id="aaaaaaaa-1111-4222-8333-444444444444",
    properties={
        "registration_definition_name": "Northwind",
        "managed_by_tenant_id": "99999999-9999-4999-8999-999999999999",
        "description": os.environ.get("DESCRIPTION", "support"),
        "authorizations": [{"principal_id": TEAM, "role_definition_id": READER, "principal_id_display_name": "team"}],
        "eligible_authorizations": [
            {
                "principal_id": TEAM,
                "role_definition_id": "b24988ac-6180-42a0-ab88-20f7382dd24c",
                "just_in_time_access_policy": {"multi_factor_auth_provider": "Azure"},
            }
        ],
    },
)
managedservices.RegistrationAssignment(
    "delegation",
    scope=f"{scope}/resourceGroups/rg-web",
    registration_assignment_id="bbbbbbbb-1111-4222-8333-444444444444",
    properties={"registration_definition_id": definition.id},
)
found = azuread.get_user_output(user_principal_name=user.user_principal_name)
pulumi.export("ada", found.object_id)
pulumi.export("members", azuread.get_group_output(object_id=group.object_id).members)
pulumi.export("managed", definition.properties.managee_tenant_name)
"""

MISTAKES = """
import os
import pulumi_azuread as azuread

azuread.Application("app", display_name="mine", owners=[azuread.get_client_config().object_id])
azuread.ServicePrincipal("taken", client_id=os.environ["CLIENT_ID"])
"""


def graph(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Return Microsoft Graph in Contoso, to change things behind the engine's back."""
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    provider = AzureAD()
    provider.configure({})
    return provider.graph


def test_life(stack_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Preview, create, nothing to do, drift, change, replace, destroy: as with the real plugins."""
    stack = stack_of(LIFE)
    preview = stack.pulumi("preview", "--diff", SCOPE=PRODUCTION)
    assert "clientId      : [unknown]" in preview.text
    assert preview.changes == {"to create": 5}
    assert stack.empty()

    stack.up(SCOPE=PRODUCTION)
    world, outputs = stack.sandbox.show(), stack.outputs()
    assert [application["displayName"] for application in world["applications"]] == ["ours"]
    assert [assignment["id"] for assignment in world["roleAssignments"]] == [outputs["assignment"]]
    assert world["roleAssignments"][0]["principalId"] == outputs["principal"]
    password = json.loads(stack.pulumi("stack", "output", "--json", "--show-secrets").text)["password"]
    assert password not in stack.state()
    assert stack.refresh().changes == {}
    assert stack.up(SCOPE=PRODUCTION).changes == {}

    behind = graph(stack.sandbox, monkeypatch)
    object_id = world["applications"][0]["objectId"]
    behind.send("changing", "PATCH", f"/v1.0/applications/{object_id}", {"displayName": "changed outside"})
    behind.send("deleting", "DELETE", f"/v1.0/servicePrincipals/{outputs['principal']}")
    assert stack.refresh().changes == {"updated": 1, "deleted": 1}
    changed = stack.pulumi("up", "--yes", "--skip-preview", "--diff", SCOPE=DEVELOPMENT, GENERATION="2")
    assert changed.changes.items() >= {"created": 1, "updated": 1}.items()
    assert "+-2 replaced" in changed.text
    assert '~ displayName: "changed outside" => "ours"' in changed.text
    assert [assignment["scope"] for assignment in stack.sandbox.show()["roleAssignments"]] == [DEVELOPMENT]

    stack.destroy()
    assert stack.empty()


def test_providers_of_its_own(stack_of: Callable[..., Any]) -> None:
    """Explicit providers work in another tenant, with a secret of their own that the state keeps encrypted."""
    stack = stack_of(ELSEWHERE)
    secret = stack.sandbox.environment()["ARM_CLIENT_SECRET"]
    made = stack.up(SECRET=secret)
    assert stack.outputs() == {
        "tenants": [FABRIKAM, FABRIKAM],
        "subscription": "22222222-2222-2222-2222-222222222222",
    }
    assert [application["tenantId"] for application in stack.sandbox.show()["applications"]] == [FABRIKAM]
    assert stack.up(SECRET=secret).changes == {}
    assert secret not in made.text + stack.state()
    stack.destroy()
    assert stack.empty()


def test_people_and_delegations(stack_of: Callable[..., Any]) -> None:
    """People, a group with a role, and a delegation: create, nothing to do, a change and a leaver, destroy in order."""
    stack = stack_of(PEOPLE)
    stack.up(SCOPE=PRODUCTION)
    world, outputs = stack.sandbox.show(), stack.outputs()
    users = {user["userType"]: user["objectId"] for user in world["users"]}
    assert (outputs["ada"], outputs["managed"]) == (users["Member"], "Contoso")
    assert set(world["groups"][0]["members"]) == set(users.values())
    assert [row["principalType"] for row in world["roleAssignments"]] == ["Group"]
    assert [row["type"].rpartition("/")[2] for row in world["registrations"]] == [
        "registrationDefinitions",
        "registrationAssignments",
    ]
    assert "sandbox-first-word" not in stack.state()
    assert stack.refresh().changes == {}
    assert stack.up(SCOPE=PRODUCTION).changes == {}

    assert stack.up(SCOPE=PRODUCTION, EVE="leaves", DESCRIPTION="more").changes == {"deleted": 1, "updated": 1}
    assert stack.sandbox.show()["groups"][0]["members"] == [users["Member"]]

    stack.destroy()
    assert stack.empty()


def test_errors_are_one_line(stack_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the terminal shows is the sentence of the plugin, and what exists stays in the state."""
    stack = stack_of(MISTAKES)
    behind = graph(stack.sandbox, monkeypatch)
    application = behind.send("creating", "POST", "/v1.0/applications", {"displayName": "theirs"})
    principal = behind.send("creating", "POST", "/v1.0/servicePrincipals", {"appId": application["appId"]})
    said = stack.fail("up", "--yes", "--skip-preview", "--continue-on-error", CLIENT_ID=application["appId"])
    assert f"'{principal['id']}' already exists. To be managed by Pulumi, it needs to be imported: " in said
    assert "Application::app" in stack.state()
    wrong = stack.fail("preview", CLIENT_ID="not a GUID")
    assert "problem: azuread:index/servicePrincipal:ServicePrincipal: clientId must be a GUID\n" in wrong
    assert "Traceback" not in said + wrong
