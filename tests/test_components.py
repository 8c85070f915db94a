"""The components under Pulumi's mocks, also at preview with unknown values."""

import asyncio
import base64
import json
import logging
from collections.abc import Callable
from typing import Any, cast

import pulumi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from pulumi.provider.experimental.analyzer import Analyzer
from pulumi.runtime import mocks, rpc

import pal_components as pal
from pal_components.client_certificate import self_signed
from pal_components.eligibility.roles import table
from pal_components.inputs import InputError
from pal_components.role_assignments import role_label

# Futures of a program that fails are left to the garbage collector, which would talk about each of them.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)
TENANT = "c0000000-0000-4000-8000-000000000001"
SCOPE = "/subscriptions/11111111-1111-1111-1111-111111111111"
DEPLOYER = "d0000000-0000-4000-8000-0000000000dd"
APPROVED = {"reference": "contract 12", "who": "Jo Contoso", "when": "2026-11-01"}
LEAST = "cfd33db0-3dd1-45e3-aa9d-cdbdf3b6f24e"


class Recorder(mocks.Mocks):
    """Answers like the providers, and remembers what was registered."""

    def __init__(self) -> None:
        self.resources: dict[str, mocks.MockResourceArgs] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.resources[args.name] = args
        outputs = dict(args.inputs)
        if args.typ == "azuread:index/application:Application":
            outputs |= {
                "clientId": "a0000000-0000-4000-8000-00000000000a",
                "objectId": "a0000000-0000-4000-8000-00000000000b",
            }
        if args.typ == "azure-native:authorization:RoleAssignment":
            outputs |= {"createdOn": "2026-11-22T10:00:01.1234567Z"}
        if args.typ == "azuread:index/invitation:Invitation":
            outputs |= {"userId": "90000000-0000-4000-8000-000000000001"}
        if args.typ == "azuread:index/user:User":
            outputs |= {"objectId": "90000000-0000-4000-8000-000000000002"}
        if args.typ == "azuread:index/servicePrincipal:ServicePrincipal":
            outputs |= {"objectId": "b0000000-0000-4000-8000-00000000000b"}
        if args.typ == "azuread:index/applicationPassword:ApplicationPassword":
            outputs |= {"value": pulumi.Output.secret("a-mock-secret")}
        if args.typ == "pulumi-python:dynamic/pal:PartnerLink":
            outputs |= {
                "tenant_id": TENANT,
                "object_id": inputs_of(args).get("object_id") or "b0000000-0000-4000-8000-00000000000b",
                "partner_name": "Northwind Services",
                "state": "Active",
                "updated_time": "2026-11-22T10:00:01.5Z",
                "version": 1,
                "origin": "created",
            }
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token.endswith("getClientConfig"):
            return {"tenantId": TENANT, "clientId": "client", "objectId": DEPLOYER, "id": "x"}, []
        if args.token.endswith("getGroup"):
            return {"members": ["90000000-0000-4000-8000-000000000003", "90000000-0000-4000-8000-000000000004"]}, []
        if args.token.endswith("getServicePrincipal"):
            return {"objectId": "e0000000-0000-4000-8000-00000000000e", "displayName": "Given", **args.args}, []
        return {}, []

    def of_type(self, token: str) -> list[mocks.MockResourceArgs]:
        return [resource for resource in self.resources.values() if resource.typ.endswith(token)]


def inputs_of(args: mocks.MockResourceArgs) -> dict[str, Any]:
    return args.inputs or {}


def run(program: Callable[[], Any], preview: bool = False) -> tuple[Recorder, Any]:
    """Run a program under mocks until everything is registered; return the mocks and the program's resolved result."""
    recorder = Recorder()
    result: dict[str, Any] = {}
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks.set_mocks(recorder, project="test", stack="test", preview=preview)

    @mocks.test
    def body() -> Any:
        value = program()
        if isinstance(value, pulumi.Output) or asyncio.isfuture(value) or asyncio.iscoroutine(value):
            return pulumi.Output.from_input(value).apply(lambda known: result.update(value=known))
        return None

    try:
        body()
    finally:
        # A program that fails leaves the rest of itself waiting.
        waiting = asyncio.all_tasks(loop)
        for task in waiting:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
        loop.close()
        asyncio.set_event_loop(None)
    return recorder, result.get("value")


def access(**changes: Any) -> pal.CustomerAccess:
    args: dict[str, Any] = {"partner_id": "4567891", "scopes": [SCOPE], **changes}
    return pal.CustomerAccess("contoso", {name: value for name, value in args.items() if value is not ...})


def test_the_default_is_least_privilege_and_no_secret() -> None:
    """Application, principal, one assignment of the least role that counts, the link; no password."""
    recorder, _ = run(access)
    kinds = sorted(resource.typ.rsplit(":", 1)[1] for resource in recorder.resources.values())
    assert kinds == [
        "Application",
        "CustomerAccess",
        "CustomerServicePrincipal",
        "EligibleRoleAssignments",
        "PartnerLink",
        "RoleAssignment",
        "ServicePrincipal",
    ]
    for made in (recorder.of_type(":Application")[0].inputs, recorder.of_type(":ServicePrincipal")[0].inputs):
        assert made["tags"] == ["Partner Admin Link"]
        assert "Partner Admin Link" in made["notes"]
    assignment = recorder.of_type("RoleAssignment")[0].inputs
    assert assignment["roleDefinitionId"] == f"{SCOPE}/providers/Microsoft.Authorization/roleDefinitions/{LEAST}"
    assert assignment["principalType"] == "ServicePrincipal"
    link = recorder.of_type("PartnerLink")[0].inputs
    assert link["partner_id"] == "4567891"
    assert link["on_conflict"] == "fail"
    assert link["tenant_id"] == TENANT
    assert link["credential"] == {
        "kind": "ephemeral",
        "client_id": "a0000000-0000-4000-8000-00000000000a",
        "application_id": "a0000000-0000-4000-8000-00000000000b",
    }


def test_names_are_prefixed_with_the_component() -> None:
    """Every child is named after the customer."""
    recorder, _ = run(access)
    assert all(name.startswith("contoso") for name in recorder.resources)


def test_the_attestation_has_the_communitys_keys() -> None:
    """Who is linked to whom, and what it may do where."""
    _, attestation = run(lambda: access(customer="Contoso Ltd", supporting_roles=["Reader"]).attestation)
    assignments = attestation.pop("assignments")
    assert attestation.pop("libraryVersion")
    assert attestation == {
        "tenantId": TENANT,
        "tenantDisplayName": "Contoso Ltd",
        "tenantDefaultDomain": None,
        "type": "ServicePrincipal",
        "displayName": "PAL (Partner Admin Link) for 4567891 (contoso)",
        "userPrincipalName": None,
        "appId": "a0000000-0000-4000-8000-00000000000a",
        "objectId": "b0000000-0000-4000-8000-00000000000b",
        "partnerAdminLink": True,
        "partnerName": "Northwind Services",
        "partnerId": "4567891",
        "recognisedSince": "2026-11-22T10:00:01.5Z",
        "recognisedUntil": None,
        "covered": [SCOPE],
        "approval": None,
        "warnings": ["no approval of the customer is on record"],
    }
    assert sorted((a["roleName"], a["roleType"], a["eligible"], a["supporting"]) for a in assignments) == [
        ("Reader", "BuiltInRole", "no", True),
        ("Support Request Contributor", "BuiltInRole", "yes", False),
    ]
    assert {a["scope"] for a in assignments} == {SCOPE}
    assert all(a["id"] for a in assignments)


def test_doubles_are_one() -> None:
    """The same scope or role under two spellings makes one assignment; counting wins over supporting."""
    recorder, attestation = run(
        lambda: (
            access(
                scopes=[SCOPE, SCOPE.upper() + "/"],
                roles=["Contributor", "b24988ac-6180-42a0-ab88-20f7382dd24c"],
                supporting_roles=["contributor"],
            ).attestation
        )
    )
    assert len(recorder.of_type("RoleAssignment")) == 1
    assert attestation["assignments"][0]["supporting"] is False


def test_each_pair_of_scope_and_role_is_one_assignment() -> None:
    """Two scopes and two roles make four, whose names do not depend on the order."""
    scopes = [SCOPE, f"{SCOPE}/resourceGroups/rg-web"]
    roles = ["Contributor", "Support Request Contributor"]
    one, _ = run(lambda: access(scopes=scopes, roles=roles))
    other, _ = run(lambda: access(scopes=scopes[::-1], roles=roles[::-1]))
    assert len(one.of_type("RoleAssignment")) == 4
    assert set(one.resources) == set(other.resources)
    names = {r.inputs["roleAssignmentName"] for r in one.of_type("RoleAssignment")}
    assert names == {r.inputs["roleAssignmentName"] for r in other.of_type("RoleAssignment")}
    assert len(names) == 4


def test_names_of_assignments_cannot_collide() -> None:
    """What stands for a role in a resource's name stands for no other."""
    assert len({role_label(role) for role in table()}) == len(table())


def test_a_management_group_takes_the_tenants_role_definition() -> None:
    """ARM answers for a management group with the definition's id at the tenant, so that one is sent."""
    group = "/providers/Microsoft.Management/managementGroups/contoso-root"
    recorder, _ = run(lambda: access(scopes=[group]))
    assignment = recorder.of_type("RoleAssignment")[0].inputs
    assert assignment["roleDefinitionId"] == f"/providers/Microsoft.Authorization/roleDefinitions/{LEAST}"


def test_a_secret_hangs_on_the_application_and_is_a_secret() -> None:
    """Kind `secret` makes an application password, hands it to the link and keeps it secret."""
    recorder, is_secret = run(
        lambda: pal.CustomerServicePrincipal("p", {"credential": {"kind": "secret"}}).client_secret.is_secret()
    )
    assert is_secret
    password = recorder.of_type("ApplicationPassword")[0].inputs
    assert password["applicationId"] == "p-application-id"
    assert password["rotateWhenChanged"] == {"generation": "1"}
    recorder, _ = run(lambda: access(credential={"kind": "secret", "generation": "7"}))
    assert recorder.of_type("ApplicationPassword")[0].inputs["rotateWhenChanged"] == {"generation": "7"}
    credential = rpc.unwrap_rpc_secret(recorder.of_type("PartnerLink")[0].inputs["credential"])
    assert (credential["kind"], credential["client_secret"]) == ("secret", "a-mock-secret")


def test_a_given_principal_is_looked_up_not_made() -> None:
    """Kind `given` takes an existing principal: nothing is made in the directory."""
    given = {"kind": "given", "client_id": "d0000000-0000-4000-8000-000000000001", "client_secret": "s"}
    recorder, _ = run(lambda: access(credential=given))
    assert not recorder.of_type(":Application")
    link = recorder.of_type("PartnerLink")[0].inputs
    assert link["object_id"] == "e0000000-0000-4000-8000-00000000000e"
    assert recorder.of_type("RoleAssignment")[0].inputs["principalId"] == link["object_id"]


def test_a_given_principal_of_a_multi_tenant_application_is_made_in_the_tenant() -> None:
    """The component makes the enterprise application of an application that lives elsewhere."""
    given = {
        "kind": "given",
        "client_id": "d0000000-0000-4000-8000-000000000001",
        "client_secret": "s",
        "enterprise_application": True,
    }
    recorder, _ = run(lambda: access(credential=given))
    assert not recorder.of_type(":Application")
    assert recorder.of_type(":ServicePrincipal")[0].inputs["clientId"] == given["client_id"]
    assert recorder.of_type("PartnerLink")[0].inputs["object_id"] == "b0000000-0000-4000-8000-00000000000b"


def test_a_federated_credential_trusts_a_subject() -> None:
    """Kind `federated` registers issuer, subject and audience, and keeps nothing secret."""
    federated = {"kind": "federated", "issuer": "https://issuer.example", "subject": "repo:contoso/infra"}
    recorder, _ = run(lambda: access(credential=federated))
    trusted = recorder.of_type("ApplicationFederatedIdentityCredential")[0].inputs
    assert (trusted["issuer"], trusted["subject"], trusted["audiences"]) == (
        "https://issuer.example",
        "repo:contoso/infra",
        ["api://AzureADTokenExchange"],
    )
    link = recorder.of_type("PartnerLink")[0].inputs
    assert link["credential"]["kind"] == "federated"
    assert link["credential"]["application_id"] == "a0000000-0000-4000-8000-00000000000b"


def pem(password: str | None = None) -> tuple[str, str, str]:
    """Return a certificate, the same with its key as PEM text, and as PFX in base64."""
    certificate, key, _ = self_signed("test")
    loaded = serialization.load_pem_private_key(key.encode(), None)
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    pfx = pkcs12.serialize_key_and_certificates(
        b"test", loaded, x509.load_pem_x509_certificate(certificate.encode()), None, encryption
    )
    return certificate, key + certificate, base64.b64encode(pfx).decode()


@pytest.mark.parametrize("form", ["pem", "pfx", "pfx with password"])
def test_a_given_certificate_is_registered(form: str) -> None:
    """Of PEM text or a PFX the certificate alone goes to the directory, the key to the link, as a secret."""
    password = "open sesame" if "password" in form else None
    certificate, text, pfx = pem(password)
    given = {"kind": "certificate", "certificate": text if form == "pem" else pfx, "certificate_password": password}
    recorder, _ = run(lambda: access(credential={key: value for key, value in given.items() if value}))
    registered = recorder.of_type("ApplicationCertificate")[0].inputs["value"]
    assert rpc.unwrap_rpc_secret(registered) == certificate
    link = recorder.of_type("PartnerLink")[0].inputs["credential"]
    assert rpc.is_rpc_secret(link)
    assert rpc.unwrap_rpc_secret(link)["certificate"] == given["certificate"]
    assert not recorder.of_type("ClientCertificate")


def test_a_certificate_is_generated() -> None:
    """Without one the component makes a key pair of its own; another generation makes another."""
    recorder, _ = run(lambda: access(credential={"kind": "certificate", "generation": "2"}))
    assert recorder.of_type("ClientCertificate")[0].inputs["generation"] == "2"
    assert recorder.of_type("ApplicationCertificate")


def test_ambient_links_whoever_runs_the_program() -> None:
    """Kind `ambient` links the deploying identity, which gets the roles."""
    recorder, _ = run(lambda: access(credential={"kind": "ambient"}))
    assert recorder.of_type("PartnerLink")[0].inputs["object_id"] == DEPLOYER
    assert recorder.of_type("RoleAssignment")[0].inputs["principalId"] == DEPLOYER


@pytest.mark.parametrize(
    ("changes", "property_path", "says"),
    [
        ({"partner_id": ...}, "partner_id", "is missing"),
        ({"partner_id": None}, "partner_id", "is missing"),
        ({"partner_id": " "}, "partner_id", "is empty"),
        ({"partner_id": "12a"}, "partner_id", "digits only"),
        ({"partner_id": TENANT}, "partner_id", "is the GUID"),
        ({"partner_id": 4567891}, "partner_id", "in quotes"),
        ({"scopes": ...}, "scopes", "is empty"),
        ({"scopes": []}, "scopes", "is empty"),
        ({"scopes": SCOPE}, "scopes", "must be a list"),
        ({"scopes": ["/"]}, "scopes[0]", "whole tenant"),
        ({"scopes": [SCOPE, "production"]}, "scopes[1]", "must start with '/'"),
        ({"scopes": [None]}, "scopes[0]", "give an ARM id"),
        ({"roles": []}, "roles", "leave it out"),
        ({"roles": ["Reader"]}, "roles[0]", "Use 'Support Request Contributor'"),
        ({"roles": ["acdd72a7-3385-48ef-bd42-f606fba81ae7"]}, "roles[0]", "earns no partner earned credit"),
        ({"roles": ["Contributer"]}, "roles[0]", "the nearest are 'Contributor'"),
        ({"supporting_roles": ["Raeder"]}, "supporting_roles[0]", "'Reader'"),
        ({"tenant_id": "contoso"}, "tenant_id", "neither a GUID nor a domain"),
        ({"on_conflict": "overwrite"}, "on_conflict", "use 'fail' or 'replace'"),
        ({"credential": {"kind": "password"}}, "credential", "there are 'ephemeral'"),
        ({"credential": {"kind": "given"}}, "credential.client_id", "is missing"),
        ({"credential": {"kind": "federated", "issuer": "i"}}, "credential.subject", "is missing"),
        ({"credential": {"kind": "ephemeral", "secret": "x"}}, "credential.secret", "is no input here"),
        ({"credential": {"kind": "certificate", "certificate": "x"}}, "credential.certificate", "cannot be read"),
        ({"removal": "maybe"}, "removal", "use 'strict' or 'best_effort'"),
        ({"max_wait": -1}, "max_wait", "a number of seconds"),
        ({"max_wait": "5 minutes"}, "max_wait", "a number of seconds"),
        ({"partnerId": "4567891"}, "partnerId", "is no input here"),
    ],
)
def test_bad_input(changes: dict[str, Any], property_path: str, says: str) -> None:
    """Each mistake is refused before anything is made, with the property's name and what to do."""
    with pytest.raises(InputError) as raised:
        run(lambda: access(**changes))
    assert raised.value.property_path == property_path
    assert says in str(raised.value)
    assert str(raised.value).startswith(("contoso: ", "contoso-"))


def test_bad_input_that_is_known_later() -> None:
    """An Output is checked as soon as its value is known."""
    with pytest.raises(Exception, match="digits only"):
        run(lambda: access(partner_id=pulumi.Output.from_input("12a")))
    with pytest.raises(Exception, match="earns no partner earned credit"):
        run(lambda: access(roles=[pulumi.Output.from_input("Reader")]))


def test_another_tenant_than_the_providers_is_refused() -> None:
    """A link in one tenant and its principal in another can only be a mistake."""
    with pytest.raises(Exception, match="pass providers for the customer's tenant"):
        run(lambda: access(tenant_id="f0000000-0000-4000-8000-000000000002"))


def test_unlisted_roles_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role on neither side of the list is assigned, with a warning that nobody knows."""
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda message, *_: warnings.append(message))
    run(lambda: access(roles=["AcrQuarantineWriter", "Access Review Operator Service Role"]))
    assert len([line for line in warnings if "neither side" in line]) == 1


def test_unknown_values_at_preview() -> None:
    """Scopes, roles and the partner ID may be unknown at preview: the plan shows everything all the same."""

    def program() -> pal.CustomerAccess:
        unknown: pulumi.Output[Any] = pulumi.Output.from_input(pulumi.output.Unknown())
        return access(partner_id=unknown, scopes=[unknown, SCOPE], roles=[unknown, "Contributor"])

    recorder, _ = run(program, preview=True)
    assert len(recorder.of_type("RoleAssignment")) == 4
    assert len(recorder.of_type("PartnerLink")) == 1


def test_other_languages_can_infer_the_schema() -> None:
    """Pulumi's analyzer understands every component, so that the package can be consumed from other languages."""
    analyzer = Analyzer("pal")
    for component, required in (
        (pal.CustomerAccess, {"partnerId", "scopes"}),
        (pal.CustomerServicePrincipal, set()),
        (pal.EligibleRoleAssignments, {"principalId", "scopes"}),
        (pal.LighthouseDelegation, {"scopes", "homeLink", "authorizations"}),
        (pal.PartnerTeam, {"partnerId", "scopes"}),
    ):
        definition = analyzer.analyze_component(component)
        assert {name for name, item in definition.inputs.items() if not item.optional} == required
        described = [*definition.inputs.items(), *definition.outputs.items()]
        assert all(item.description for _, item in described), component


def test_an_ineligible_role_is_accepted_with_a_reason() -> None:
    """It is assigned, without a warning at preview, and the evidence shows why; without a reason it is refused."""
    accepted = {"Reader": "contract 12 asks for it", "Access Review Operator Service Role": "pilot"}
    recorder, attestation = run(
        lambda: access(roles=[*accepted, "Contributor"], accepted_roles=accepted, scopes=[SCOPE]).attestation
    )
    described = [row.inputs.get("description") for row in recorder.of_type("RoleAssignment")]
    assert "pal-suppress PAL001: contract 12 asks for it" in described
    assert None in described
    by_name = {row["roleName"]: row for row in attestation["assignments"]}
    assert by_name["Reader"]["accepted"] == "contract 12 asks for it"
    assert "accepted" not in by_name["Contributor"]
    assert f"Reader on {SCOPE} is listed as not eligible, accepted: contract 12 asks for it" in attestation["warnings"]
    with pytest.raises(InputError, match="has no reason"):
        run(lambda: access(roles=["Reader"], accepted_roles={"Reader": " "}))


def test_the_evidence_as_text() -> None:
    """JSON and Markdown for a customer to read: approval, what is covered, what to look at."""
    approval = {"reference": "contract 12 | annex", "who": "Jo Contoso", "when": "2026-11-01"}
    _, attestation = run(
        lambda: (
            access(scopes=[SCOPE, f"{SCOPE}/resourceGroups/rg-web"], customer="Contoso", approval=approval).attestation
        )
    )
    assert json.loads(pal.attestation_json(attestation)) == attestation
    text = pal.attestation_markdown(attestation)
    assert "| Approval | contract 12 \\| annex, by Jo Contoso, on 2026-11-01 |" in text
    assert f"## What is covered\n\n- {SCOPE}\n" in text
    assert f"- {SCOPE}/resourceGroups/rg-web counts once: it lies inside {SCOPE}" in text
    assert "no approval" not in text


HOME: dict[str, Any] = {
    "partner_id": "4567891",
    "tenant_id": "99999999-9999-4999-8999-999999999999",
    "object_id": "80000000-0000-4000-8000-000000000001",
    "partner_name": "Northwind Services",
}
MANAGERS, CONSULTANTS = "80000000-0000-4000-8000-00000000000a", "80000000-0000-4000-8000-00000000000b"


def delegation(**changes: Any) -> pal.LighthouseDelegation:
    args: dict[str, Any] = {
        "scopes": [SCOPE],
        "home_link": HOME,
        "authorizations": pal.recommended_authorizations(
            managers=(MANAGERS, "Northwind managers"),
            consultants=(CONSULTANTS, "Northwind consultants"),
            linked_principal=(HOME["object_id"], "Northwind operations"),
            working_role="Contributor",
        ),
        **changes,
    }
    return pal.LighthouseDelegation(
        "contoso", cast(Any, {key: value for key, value in args.items() if value is not ...})
    )


def test_a_delegation() -> None:
    """One definition for each subscription, one assignment for each scope; the evidence names the home link."""
    group = f"{SCOPE}/resourceGroups/rg-web"
    other = "/subscriptions/22222222-2222-2222-2222-222222222222"
    eligible = {
        "principal_id": CONSULTANTS,
        "principal_name": "Northwind consultants",
        "principal_type": "Group",
        "role": "Contributor",
        "maximum_duration": "PT4H",
        "approvers": [{"principal_id": MANAGERS, "principal_name": "Northwind managers"}],
    }
    recorder, attestation = run(
        lambda: (
            delegation(
                scopes=[group, SCOPE, other], eligible_authorizations=[eligible], customer="Contoso", approval=APPROVED
            ).attestation
        )
    )
    definitions = recorder.of_type("RegistrationDefinition")
    assert {definition.inputs["scope"] for definition in definitions} == {SCOPE[1:], other[1:]}
    properties = definitions[0].inputs["properties"]
    assert properties["managedByTenantId"] == HOME["tenant_id"]
    assert [row["roleDefinitionId"][:8] for row in properties["authorizations"]] == [
        "91c1777a",
        "acdd72a7",
        "cfd33db0",
        "b24988ac",
    ]
    policy = properties["eligibleAuthorizations"][0]["justInTimeAccessPolicy"]
    assert policy["maximumActivationDuration"] == "PT4H"
    assert policy["multiFactorAuthProvider"] == "Azure"
    assert policy["managedByTenantApprovers"][0]["principalId"] == MANAGERS
    assert len(recorder.of_type("RegistrationAssignment")) == 3
    assert (attestation["tenantId"], attestation["objectId"]) == (HOME["tenant_id"], HOME["object_id"])
    assert attestation["tenantDisplayName"] == "Contoso"
    assert attestation["covered"] == [SCOPE, other]
    assert attestation["approval"] == APPROVED
    assert {row["roleName"] for row in attestation["assignments"]} == {"Contributor"}


def authorization(role: str, **more: Any) -> list[dict[str, Any]]:
    linked = {"principal_id": HOME["object_id"], "principal_name": "linked", "role": "Contributor"}
    return [linked, {"principal_id": CONSULTANTS, "principal_name": "consultants", "role": role, **more}]


def just_in_time(**changes: Any) -> dict[str, Any]:
    entry = {
        "principal_id": CONSULTANTS,
        "principal_name": "consultants",
        "principal_type": "Group",
        "role": "Contributor",
        **changes,
    }
    return {"authorizations": authorization("Reader"), "eligible_authorizations": [entry]}


CUSTOM = "/subscriptions/11111111-1111-1111-1111-111111111111/providers/Microsoft.Authorization/roleDefinitions/"


@pytest.mark.parametrize(
    ("changes", "property_path", "says"),
    [
        ({"scopes": []}, "scopes", "is empty"),
        ({"scopes": ["/providers/Microsoft.Management/managementGroups/root"]}, "scopes[0]", "is a managementGroup"),
        ({"scopes": [f"{SCOPE}/providers/A.B/c/d"]}, "scopes[0]", "is a resource"),
        ({"home_link": ...}, "home_link", "is missing"),
        ({"home_link": {"partner_id": "1"}}, "home_link.tenant_id", "is missing"),
        ({"authorizations": []}, "authorizations", "is empty"),
        ({"authorizations": authorization("Owner")}, "authorizations[1].role", "never delegates Owner"),
        ({"authorizations": authorization("AcrImageSigner")}, "authorizations[1].role", "data actions"),
        (
            {"authorizations": authorization("Role Based Access Control Administrator")},
            "authorizations[1].role",
            "authorizations",
        ),
        ({"authorizations": authorization(CUSTOM + CONSULTANTS)}, "authorizations[1].role", "a custom role"),
        (
            {"authorizations": authorization("User Access Administrator")},
            "authorizations[1].delegated_roles",
            "is needed",
        ),
        (
            {"authorizations": authorization("Reader", delegated_roles=["Contributor"])},
            "authorizations[1].delegated_roles",
            "goes with User Access Administrator only",
        ),
        ({"authorizations": authorization("Reader")[1:]}, "authorizations", "has none for the linked principal"),
        (
            {"authorizations": [{"principal_id": HOME["object_id"], "principal_name": "x", "role": "Reader"}]},
            "authorizations",
            "no role that counts",
        ),
        (just_in_time(principal_type="ServicePrincipal"), "eligible_authorizations[0].principal_type", "only a User"),
        (just_in_time(principal_id=MANAGERS), "eligible_authorizations[0].principal_id", "no permanent authorization"),
        (just_in_time(maximum_duration="PT9H"), "eligible_authorizations[0].maximum_duration", "PT30M to PT8H"),
        (just_in_time(maximum_duration="8h"), "eligible_authorizations[0].maximum_duration", "ISO 8601"),
        (
            just_in_time(approvers=[{"principal_id": MANAGERS, "principal_name": "m"}] * 11),
            "eligible_authorizations[0].approvers",
            "10 at most",
        ),
    ],
)
def test_what_lighthouse_refuses(changes: dict[str, Any], property_path: str, says: str) -> None:
    """What Azure would refuse, or what earns nothing, is refused at preview."""
    with pytest.raises(InputError) as raised:
        run(lambda: delegation(**changes))
    assert raised.value.property_path == property_path
    assert says in str(raised.value)


def test_user_access_administrator_assigns_to_managed_identities() -> None:
    """With the roles that it may assign it is delegated."""
    granted = authorization("User Access Administrator", delegated_roles=["Contributor"])
    recorder, _ = run(lambda: delegation(authorizations=granted))
    wire = recorder.of_type("RegistrationDefinition")[0].inputs["properties"]["authorizations"][1]
    assert wire["delegatedRoleDefinitionIds"] == ["b24988ac-6180-42a0-ab88-20f7382dd24c"]


def team(**changes: Any) -> pal.PartnerTeam:
    args: dict[str, Any] = {"partner_id": "4567891", "scopes": [SCOPE], **changes}
    return pal.PartnerTeam("team", cast(Any, args))


def test_a_team() -> None:
    """Guests are invited, accounts created, objects taken; each gets the standing pair, and is told how to link."""
    members = {
        "jo": {"email": "jo@northwind.example", "display_name": "Jo"},
        "kim": {"user_principal_name": "kim@contoso.onmicrosoft.com", "initial_password": "change-me-first"},
        "lee": {"object_id": "90000000-0000-4000-8000-000000000009", "linked_on": "2026-11-20"},
    }
    recorder, made = run(lambda: (lambda t: pulumi.Output.all(t.to_link, t.attestation))(team(members=members)))
    to_link, attestations = made
    assert [person["name"] for person in to_link] == ["Jo", "kim@contoso.onmicrosoft.com"]
    assert to_link[0]["commands"] == [
        f"az login --tenant {TENANT} --allow-no-subscriptions",
        "az extension add --name managementpartner",
        "az managementpartner create --partner-id 4567891",
    ]
    granted = [
        (row.inputs["principalId"][-1], row.inputs["principalType"]) for row in recorder.of_type("RoleAssignment")
    ]
    assert sorted(granted) == [(digit, "User") for digit in "112299"]
    assert [a["partnerAdminLink"] for a in attestations] == [False, False, True]
    assert attestations[1]["userPrincipalName"] == "kim@contoso.onmicrosoft.com"
    user = recorder.of_type(":User")[0].inputs
    assert user["forcePasswordChange"] is True
    assert rpc.is_rpc_secret(user["password"])


def test_a_group() -> None:
    """The group gets the roles; its members count, and link, one by one."""
    recorder, to_link = run(lambda: team(group_id="90000000-0000-4000-8000-00000000000f").to_link)
    assert {row.inputs["principalType"] for row in recorder.of_type("RoleAssignment")} == {"Group"}
    assert [person["objectId"][-1] for person in to_link] == ["3", "4"]


@pytest.mark.parametrize(
    ("changes", "property_path", "says"),
    [
        ({}, "members", "one of the two"),
        ({"members": {"a": {}}, "group_id": "g"}, "members", "one of the two"),
        ({"members": {"a b": {"email": "a@b.example"}}}, "members['a b']", "no short name"),
        ({"members": {"a": {}}}, "members['a']", "exactly one of"),
        ({"members": {"a": {"email": "a@b.example", "object_id": TENANT}}}, "members['a']", "exactly one of"),
        ({"members": {"a": {"email": "nobody"}}}, "members['a'].email", "no mail address"),
        ({"members": {"a": {"user_principal_name": "a@b.example"}}}, "members['a'].initial_password", "is missing"),
        ({"members": {"a": {"object_id": TENANT, "linked_on": "yesterday"}}}, "members['a'].linked_on", "a day"),
        ({"group_id": "consultants"}, "group_id", "a GUID"),
    ],
)
def test_what_is_no_team(changes: dict[str, Any], property_path: str, says: str) -> None:
    """Each mistake is refused with the property's name."""
    with pytest.raises(InputError) as raised:
        run(lambda: team(**changes))
    assert raised.value.property_path == property_path
    assert says in str(raised.value)


def findings(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[str]:
    """Return the ids of the rules that a customer's access is told about."""
    said: list[str] = []
    for level in ("warn", "info"):
        monkeypatch.setattr(pulumi.log, level, lambda message, *_: said.append(message[:6]))
    run(lambda: access(**changes))
    return sorted(line for line in said if line.startswith("PAL"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["PAL010"]),
        ({"approval": APPROVED}, []),
        ({"approval": {"reference": "contract 12"}}, ["PAL010"]),
        ({"approval": APPROVED, "credential": {"kind": "secret"}}, ["PAL003", "PAL004"]),
        ({"approval": APPROVED, "credential": {"kind": "certificate"}}, []),
        ({"approval": APPROVED, "supporting_roles": ["Reader"]}, []),
        ({"suppressions": {"PAL010": "asked for"}}, []),
    ],
)
def test_the_rules_at_preview(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], expected: list[str]) -> None:
    """A component says what the rules have against it, unless a reason is given."""
    assert findings(monkeypatch, **changes) == expected


def test_what_the_rules_forbid() -> None:
    """A linked principal that can give itself access is refused; a reason lets it pass, no reason does not."""
    with pytest.raises(InputError, match="PAL005"):
        run(lambda: access(roles=["Owner"]))
    run(lambda: access(roles=["Owner"], suppressions={"PAL005": "landing zone team"}))
    with pytest.raises(InputError, match="has no reason"):
        run(lambda: access(suppressions={"PAL005": ""}))
    with pytest.raises(InputError, match="is no rule"):
        run(lambda: access(suppressions={"PAL999": "why not"}))


def test_the_rules_for_delegations_and_teams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are told about a missing approval, and a team that could give itself access is refused."""
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda message, *_: said.append(message[:6]))
    run(delegation)
    run(lambda: team(members={"lee": {"object_id": TENANT}}))
    assert said == ["PAL010", "PAL010"]
    run(lambda: delegation(approval=APPROVED))
    run(lambda: team(members={"lee": {"object_id": TENANT}}, suppressions={"PAL010": "asked for"}))
    assert said == ["PAL010", "PAL010"]
    with pytest.raises(InputError, match="PAL005"):
        run(lambda: team(members={"lee": {"object_id": TENANT}}, roles=["Owner"]))
