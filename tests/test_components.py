"""The components under Pulumi's mocks, also at preview with unknown values."""

import asyncio
import base64
import logging
from collections.abc import Callable
from typing import Any

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
                "version": 1,
                "origin": "created",
            }
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token.endswith("getClientConfig"):
            return {"tenantId": TENANT, "clientId": "client", "objectId": DEPLOYER, "id": "x"}, []
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
    assert len(warnings) == 1
    assert "neither side" in warnings[0]


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
    ):
        definition = analyzer.analyze_component(component)
        assert {name for name, item in definition.inputs.items() if not item.optional} == required
        described = [*definition.inputs.items(), *definition.outputs.items()]
        assert all(item.description for _, item in described), component
