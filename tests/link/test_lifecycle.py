"""The life of a link, in the sandbox."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.credentials import AccessToken
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from pal_components.client_certificate import self_signed
from pal_components.link import sign_in
from pal_components.link.decide import OnConflict, Origin
from pal_components.link.errors import (
    ApplicationGone,
    FederationMismatch,
    LinkConflict,
    LinkError,
    NoDeployingIdentity,
    NoOidcToken,
    PartnerIdRefused,
    PrincipalGone,
    PrincipalNotLinkable,
    RemovalBlocked,
    SecretNotAllowed,
    ServiceUnavailable,
    SignInFailed,
    TenantNotFound,
    WrongPrincipal,
)
from pal_components.link.lifecycle import Operation, establish, read, remove
from pal_components.link.principal import CredentialKind, Principal
from pal_components.link.waiting import Waiting
from pal_components.sandbox.server import Sandbox

OURS, THEIRS, GLOBAL = "4567891", "5127255", "4567890"


def requests_of(sandbox: Sandbox, since: int) -> list[str]:
    """Return method and the telling part of the path of every request, without the cloud's metadata document."""
    named = {"openid-configuration": "discovery", "token": "token", "partners": "partners"}
    result = []
    for row in sandbox.journal(since):
        last = row["path"].rsplit("/", 1)[1]
        if "/applications/" in row["path"] and row["method"] == "GET":
            last = "the application"
        if row["path"] != "/metadata/endpoints":
            result.append(f"{row['method']} {named.get(last, last)}")
    return result


def last(sandbox: Sandbox) -> int:
    return max((row["n"] for row in sandbox.journal()), default=0)


@pytest.mark.parametrize("kind", [CredentialKind.EPHEMERAL, CredentialKind.SECRET, CredentialKind.GIVEN])
def test_basic(directory: Any, kind: CredentialKind) -> None:
    """Linked, read, removed: with each kind that signs in as a service principal."""
    principal = directory.principal(kind)
    made = establish(Operation(principal), OURS, OnConflict.FAIL)
    assert made.origin is Origin.CREATED
    assert (made.link.partner_id, made.link.partner_name, made.link.version) == (OURS, "Northwind Services", 1)
    assert (made.link.tenant_id, made.link.object_id) == (principal.tenant_id, principal.object_id)
    assert directory.links()[principal.object_id] == OURS
    assert read(Operation(principal)) == made.link
    assert remove(Operation(principal), OURS) is None
    assert principal.object_id not in directory.links()
    assert read(Operation(principal)) is None
    assert "not linked any more" in (remove(Operation(principal), OURS) or "")


def test_ambient(directory: Any) -> None:
    """Whoever runs the program is linked."""
    principal = Principal(CredentialKind.AMBIENT, directory.tenant_id)
    made = establish(Operation(principal), OURS, OnConflict.FAIL)
    assert directory.links()[made.link.object_id] == OURS
    assert remove(Operation(principal), OURS) is None


def test_a_domain_names_the_tenant_too(directory: Any) -> None:
    """The principal signs in to the tenant by its domain; the link tells the tenant's GUID."""
    principal = directory.principal(tenant_id="contoso.onmicrosoft.com")
    assert establish(Operation(principal), OURS, OnConflict.FAIL).link.tenant_id == directory.tenant_id


def test_requests_with_a_secret(directory: Any, sandbox: Sandbox) -> None:
    """A link costs discovery, token, GET and PUT."""
    principal = directory.principal(CredentialKind.SECRET)
    before = last(sandbox)
    establish(Operation(principal), OURS, OnConflict.FAIL)
    assert requests_of(sandbox, before) == ["GET discovery", "POST token", "GET partners", f"PUT {OURS}"]


def test_requests_with_an_ephemeral_secret(directory: Any, sandbox: Sandbox) -> None:
    """An ephemeral secret adds the deploying identity's sign-in and three calls, and is gone afterwards.

    The third looks for secrets that a crash or a lost answer left behind.
    """
    principal = directory.principal()
    before = last(sandbox)
    establish(Operation(principal), OURS, OnConflict.FAIL)
    assert requests_of(sandbox, before) == [
        "GET discovery",
        "POST token",
        "POST addPassword",
        "GET discovery",
        "POST token",
        "GET partners",
        f"PUT {OURS}",
        "GET the application",
        "POST removePassword",
    ]
    assert directory.passwords(principal) == 0


def test_the_ephemeral_secret_goes_also_when_the_step_fails(directory: Any) -> None:
    """A refused partner ID leaves no secret behind."""
    principal = directory.principal()
    with pytest.raises(PartnerIdRefused, match=r"global account .PGA"):
        establish(Operation(principal), GLOBAL, OnConflict.FAIL)
    assert directory.passwords(principal) == 0
    assert principal.object_id not in directory.links()


def test_again_adopts(directory: Any) -> None:
    """A link that is there already is adopted: nothing is made twice."""
    principal = directory.principal()
    first = establish(Operation(principal), OURS, OnConflict.FAIL)
    again = establish(Operation(principal), OURS, OnConflict.FAIL)
    assert again.origin is Origin.ADOPTED
    assert again.link == first.link


def test_another_partners_link_is_refused(directory: Any) -> None:
    """Both IDs are named and nothing is changed."""
    principal = directory.principal()
    theirs = establish(Operation(principal), THEIRS, OnConflict.FAIL).link
    with pytest.raises(LinkConflict) as raised:
        establish(Operation(principal), OURS, OnConflict.FAIL)
    assert (raised.value.current, raised.value.wanted) == (THEIRS, OURS)
    assert THEIRS in str(raised.value)
    assert OURS in str(raised.value)
    assert read(Operation(principal)) == theirs


def test_another_partners_link_is_switched_where_replacing_is_allowed(directory: Any) -> None:
    """One PATCH in place; the time of the first link stays."""
    principal = directory.principal()
    theirs = establish(Operation(principal), THEIRS, OnConflict.FAIL).link
    switched = establish(Operation(principal), OURS, OnConflict.REPLACE)
    assert switched.origin is Origin.SWITCHED
    assert switched.link.created_time == theirs.created_time
    assert switched.link.version == 2


def test_our_own_link_changes_its_partner_id(directory: Any) -> None:
    """A partner ID that this library set before is switched without on_conflict."""
    principal = directory.principal()
    establish(Operation(principal), OURS, OnConflict.FAIL)
    switched = establish(Operation(principal), THEIRS, OnConflict.FAIL, managed=OURS)
    assert switched.origin is Origin.SWITCHED
    assert establish(Operation(principal), THEIRS, OnConflict.FAIL, managed=THEIRS).origin is None


def test_removal_leaves_another_partners_link_alone(directory: Any) -> None:
    """A link that was switched outside stays, with a warning that names both IDs."""
    principal = directory.principal()
    establish(Operation(principal), OURS, OnConflict.FAIL)
    establish(Operation(principal), THEIRS, OnConflict.REPLACE)
    reason = remove(Operation(principal), OURS) or ""
    assert reason.startswith("warning:")
    assert THEIRS in reason
    assert directory.links()[principal.object_id] == THEIRS


def test_removal_after_the_application_is_gone(directory: Any) -> None:
    """What is gone already is success, with the reason."""
    principal = directory.principal()
    establish(Operation(principal), OURS, OnConflict.FAIL)
    directory.graph("DELETE", f"/applications/{principal.application_id}")
    assert "does not exist any more" in (remove(Operation(principal), OURS) or "")
    assert read(Operation(principal)) is None


def test_removal_after_the_principal_is_gone(directory: Any) -> None:
    """The application alone cannot sign in: its link is gone with the principal."""
    for kind in (CredentialKind.EPHEMERAL, CredentialKind.SECRET):
        principal = directory.principal(kind)
        establish(Operation(principal), OURS, OnConflict.FAIL)
        directory.graph("DELETE", f"/servicePrincipals/{principal.object_id}")
        assert "does not exist any more" in (remove(Operation(principal), OURS) or "")
        assert directory.passwords(principal) == (0 if kind is CredentialKind.EPHEMERAL else 1)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"client_secret": "not-its-secret"}, SignInFailed, "AADSTS7000215"),
        ({"client_id": "00000000-0000-4000-8000-000000000bad"}, PrincipalGone, "AADSTS700016"),
        ({"tenant_id": "00000000-0000-4000-8000-000000000bad"}, TenantNotFound, "AADSTS90002"),
        ({"object_id": "00000000-0000-4000-8000-000000000bad"}, WrongPrincipal, "Nothing was changed"),
        ({"client_secret": None}, SignInFailed, "neither client_secret nor certificate"),
    ],
)
def test_who_cannot_sign_in(directory: Any, changes: dict[str, Any], error: type[LinkError], says: str) -> None:
    """A given principal's mistakes are told at once, by code and in words, and link nobody."""
    principal = directory.principal(CredentialKind.GIVEN, **changes)
    with pytest.raises(error, match=says) as raised:
        establish(Operation(principal), OURS, OnConflict.FAIL)
    assert type(raised.value) is error
    assert "not-its-secret" not in str(raised.value)
    assert principal.object_id not in directory.links()


def test_a_fresh_secret_is_waited_for(directory: Any) -> None:
    """What was made moments ago is tried again until the budget is spent."""
    principal = directory.principal(CredentialKind.SECRET, client_secret="not-known-yet", fresh=True)
    pauses: list[float] = []
    waiting = Waiting(4, sleep=pauses.append, clock=lambda: sum(pauses))
    with pytest.raises(SignInFailed, match=r"AADSTS7000215.*given up after"):
        establish(Operation(principal, waiting), OURS, OnConflict.FAIL)
    assert len(pauses) > 2


def test_the_application_of_an_ephemeral_secret_must_exist(directory: Any) -> None:
    """Establishing says that the application is gone."""
    principal = directory.principal(application_id="00000000-0000-4000-8000-000000000bad")
    with pytest.raises(ApplicationGone):
        establish(Operation(principal), OURS, OnConflict.FAIL)


def test_an_application_of_somebody_else(directory: Any, sandbox: Sandbox) -> None:
    """A deploying identity that does not own the application is told what it lacks."""
    principal = directory.principal()
    owners = directory.graph("GET", f"/applications/{principal.application_id}/owners").json()["value"]
    for owner in owners:
        directory.graph("DELETE", f"/applications/{principal.application_id}/owners/{owner['id']}/$ref")
    told: list[str] = []
    with pytest.raises(SecretNotAllowed, match=r"Application\.ReadWrite\.OwnedBy"):
        establish(Operation(principal, Waiting(tell=told.append)), OURS, OnConflict.FAIL)
    assert told == []  # no secret was added, so none is said to be left


def test_a_prefix_names_the_deployer(directory: Any, sandbox: Sandbox) -> None:
    """With a prefix only the prefixed variables are read."""
    principal = directory.principal(deployer_environment="CONTOSO_")
    environment = sandbox.environment()
    with pytest.raises(NoDeployingIdentity, match="CONTOSO_ARM_CLIENT_ID"):
        establish(Operation(principal, environment=environment), OURS, OnConflict.FAIL)
    renamed = {f"CONTOSO_{name}" if "CLIENT" in name else name: value for name, value in environment.items()}
    assert establish(Operation(principal, environment=renamed), OURS, OnConflict.FAIL).origin is Origin.CREATED


def test_nobody_listens(directory: Any) -> None:
    """A host that does not answer is named, and waited for only as long as allowed."""
    waiting, nowhere = Waiting(0), {"ARM_METADATA_HOSTNAME": "localhost:9"}
    with pytest.raises(ServiceUnavailable, match="localhost:9.*ARM_METADATA_HOSTNAME"):
        establish(Operation(directory.principal(), waiting, nowhere), OURS, OnConflict.FAIL)


@pytest.mark.parametrize("form", ["pem", "pfx"])
def test_a_certificate(directory: Any, form: str) -> None:
    """The principal signs in with the private key of a registered certificate, as PEM text or as PFX."""
    certificate, key, _ = self_signed("test")
    principal = directory.principal(CredentialKind.CERTIFICATE)
    registered = {
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        "keyId": "00000000-0000-4000-8000-0000000000ce",
        "key": base64.b64encode(certificate.encode()).decode(),
    }
    directory.graph("PATCH", f"/applications/{principal.application_id}", {"keyCredentials": [registered]})
    password = None
    text = key + certificate
    if form == "pfx":
        password = "open sesame"
        pfx = pkcs12.serialize_key_and_certificates(
            b"test",
            serialization.load_pem_private_key(key.encode(), None),
            x509.load_pem_x509_certificate(certificate.encode()),
            None,
            serialization.BestAvailableEncryption(password.encode()),
        )
        text = base64.b64encode(pfx).decode()
    principal = replace(principal, certificate=text, certificate_password=password)
    assert establish(Operation(principal), OURS, OnConflict.FAIL).origin is Origin.CREATED
    assert remove(Operation(principal), OURS) is None

    stranger = replace(principal, certificate="".join(self_signed("another")[:2]), certificate_password=None)
    with pytest.raises(SignInFailed, match="AADSTS700027"):
        establish(Operation(stranger), OURS, OnConflict.FAIL)
    with pytest.raises(SignInFailed, match="certificate cannot be read"):
        establish(Operation(replace(principal, certificate="no certificate")), OURS, OnConflict.FAIL)


ISSUERS = ["github", "azure-pipelines", "pulumi", "kubernetes"]


def federated(directory: Any, sandbox: Sandbox, issuer: str, subject: str) -> Principal:
    """Return a principal whose application trusts a subject of one of the issuers that the sandbox plays."""
    principal = directory.principal(CredentialKind.FEDERATED)
    trusted = {"issuer": sandbox.issuer(issuer), "subject": subject, "audience": "api://AzureADTokenExchange"}
    directory.graph(
        "POST",
        f"/applications/{principal.application_id}/federatedIdentityCredentials",
        {"name": "test", "issuer": trusted["issuer"], "subject": subject, "audiences": [trusted["audience"]]},
    )
    return replace(principal, **trusted)


@pytest.mark.parametrize("issuer", ISSUERS)
def test_every_issuer(directory: Any, sandbox: Sandbox, issuer: str) -> None:
    """GitHub Actions, Azure Pipelines, Pulumi Deployments and Kubernetes offer a token; no secret is made."""
    offered = sandbox.issuer_environment(issuer, subject="contoso:infra")
    principal = federated(directory, sandbox, issuer, "contoso:infra")
    operation = Operation(principal, environment={**sandbox.environment(), **offered})
    before = last(sandbox)
    assert establish(operation, OURS, OnConflict.FAIL).origin is Origin.CREATED
    assert not [request for request in requests_of(sandbox, before) if "Password" in request]
    assert remove(operation, OURS) is None


def test_a_mismatch_prints_both_sides(directory: Any, sandbox: Sandbox) -> None:
    """Issuer, subject and audience, as expected and as presented."""
    offered = sandbox.issuer_environment("github", subject="repo:contoso/infra:ref:refs/heads/feature")
    principal = federated(directory, sandbox, "github", "repo:contoso/infra:ref:refs/heads/main")
    with pytest.raises(FederationMismatch) as raised:
        establish(Operation(principal, environment={**sandbox.environment(), **offered}), OURS, OnConflict.FAIL)
    text = str(raised.value)
    assert "AADSTS700213" in text
    assert f"expects issuer {principal.issuer}, subject repo:contoso/infra:ref:refs/heads/main" in text
    assert f"presents issuer {principal.issuer}, subject repo:contoso/infra:ref:refs/heads/feature" in text
    assert text.count("audience api://AzureADTokenExchange") == 2


def test_no_token_in_the_environment(directory: Any, sandbox: Sandbox) -> None:
    """What was looked for is listed; at removal an ephemeral secret stands in."""
    principal = federated(directory, sandbox, "github", "contoso:infra")
    offered = sandbox.issuer_environment("github", subject="contoso:infra")
    with pytest.raises(NoOidcToken, match="permissions: id-token: write"):
        establish(Operation(principal), OURS, OnConflict.FAIL)
    establish(Operation(principal, environment={**sandbox.environment(), **offered}), OURS, OnConflict.FAIL)
    told: list[str] = []
    assert remove(Operation(principal, Waiting(tell=told.append)), OURS) is None
    assert "ephemeral secret instead" in told[0]
    assert directory.passwords(principal) == 0


def test_leftovers_of_a_crash_are_swept_away(directory: Any) -> None:
    """Ephemeral secrets of an attempt that crashed go with the next one; other secrets stay."""
    principal = directory.principal()
    path = f"/applications/{principal.application_id}/addPassword"
    for name in ("pal-components ephemeral 12ab", "pal-components ephemeral 34cd", "somebody else's"):
        directory.graph("POST", path, {"passwordCredential": {"displayName": name}})
    establish(Operation(principal), OURS, OnConflict.FAIL)
    assert directory.passwords(principal) == 1


@pytest.mark.parametrize(
    ("policy", "says"),
    [("forbidden", "forbids client secrets"), ("short", "does not allow a client secret that lives 10 minutes")],
)
def test_a_policy_against_secrets(directory: Any, sandbox: Sandbox, policy: str, says: str) -> None:
    """The tenant's policy is named, and the credential kinds that need no secret."""
    principal = directory.principal()
    sandbox.policy(directory.tenant_id, secrets=policy)
    try:
        with pytest.raises(SecretNotAllowed, match=says) as raised:
            establish(Operation(principal), OURS, OnConflict.FAIL)
    finally:
        sandbox.policy(directory.tenant_id, secrets=None)
    assert "'federated' or 'certificate'" in str(raised.value)


@pytest.mark.parametrize(("mode", "on_conflict"), [("conflict", "fail"), ("ignore", "fail"), ("conflict", "replace")])
def test_somebody_links_between_the_look_and_the_put(
    directory: Any, sandbox: Sandbox, mode: str, on_conflict: str
) -> None:
    """Whatever the service does with a PUT on an existing link, another partner's credit is taken only on request."""
    principal = directory.principal()
    establish(Operation(principal), THEIRS, OnConflict.FAIL)
    sandbox.put_on_existing(mode)
    sandbox.fault(
        "status", status=404, code="ManagementPartnerNotFound", method="GET", path="ManagementPartner/partners"
    )
    try:
        made = establish(Operation(principal), OURS, OnConflict(on_conflict))
    except LinkConflict as error:
        assert (error.current, error.wanted) == (THEIRS, OURS)
        assert directory.links()[principal.object_id] == THEIRS
        assert on_conflict == "fail"
    else:
        assert made.origin is Origin.SWITCHED
        assert on_conflict == "replace"
    finally:
        sandbox.put_on_existing("conflict")


def test_a_put_on_a_link_of_ours(directory: Any, sandbox: Sandbox) -> None:
    """Under each guess about PUT, a link of ours that the look missed ends as ours."""
    for mode in ("conflict", "overwrite", "ignore"):
        principal = directory.principal()
        establish(Operation(principal), OURS, OnConflict.FAIL)
        sandbox.put_on_existing(mode)
        sandbox.fault(
            "status", status=404, code="ManagementPartnerNotFound", method="GET", path="ManagementPartner/partners"
        )
        assert establish(Operation(principal), OURS, OnConflict.FAIL).link.partner_id == OURS
    sandbox.put_on_existing("conflict")


def test_a_tenant_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory_of: Any) -> None:
    """With the tenant everything in it is gone: removal is success, with the reason."""
    with Sandbox(tmp_path / "state") as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        directory = directory_of(sandbox)
        kinds = [CredentialKind.EPHEMERAL, CredentialKind.SECRET]
        principals = [directory.principal(kind) for kind in kinds]
        for principal in principals:
            establish(Operation(principal), OURS, OnConflict.FAIL)
        sandbox.remove_tenant(directory.tenant_id)
        for principal in principals:
            assert "the tenant of" in (remove(Operation(principal), OURS) or "")


def test_an_expired_secret(directory: Any, sandbox: Sandbox) -> None:
    """Reading says that the secret has expired; removal uses an ephemeral one instead."""
    principal = directory.principal(CredentialKind.SECRET)
    establish(Operation(principal), OURS, OnConflict.FAIL)
    sandbox.expire_secrets(principal.application_id)
    with pytest.raises(SignInFailed, match="AADSTS7000222.*rotate it"):
        read(Operation(principal))
    assert remove(Operation(principal, Waiting(tell=lambda _: None)), OURS) is None


def test_a_disabled_principal(directory: Any) -> None:
    """Nothing but a person can help: the error says what is left and how to finish."""
    principal = directory.principal()
    establish(Operation(principal), OURS, OnConflict.FAIL)
    directory.graph("PATCH", f"/servicePrincipals/{principal.object_id}", {"accountEnabled": False})
    with pytest.raises(RemovalBlocked, match=r"7000112.*disabled"):
        remove(Operation(principal), OURS)


def test_a_managed_identity_is_refused(directory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its token says what it is, before anything is asked of the service."""
    identity = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/runner"
    claims = {"tid": directory.tenant_id, "oid": "00000000-0000-4000-8000-00000000000a", "xms_mirid": identity}
    token = jwt.encode(claims, "a key of no importance, long enough")

    class ManagedIdentity:
        def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
            return AccessToken(token, 4070908800)

    monkeypatch.setattr(sign_in, "deploying_credential", lambda *_: ManagedIdentity())
    with pytest.raises(
        PrincipalNotLinkable, match="the managed identity .*/runner, which Microsoft does not recognise"
    ):
        establish(Operation(Principal(CredentialKind.AMBIENT, directory.tenant_id)), OURS, OnConflict.FAIL)


def test_a_foreign_principal_is_refused(directory: Any, sandbox: Sandbox) -> None:
    """The service's words about CSP partners are explained."""
    message = (
        "The user does not have an account in this tenant. If you are a CSP partner logged in the customer tenant, "
        "you will not be able to link the Partner ID"
    )
    principal = directory.principal()
    sandbox.clear_faults()
    sandbox.fault("status", status=403, code="Forbidden", message=message, method="PUT", path="ManagementPartner")
    with pytest.raises(PrincipalNotLinkable, match="recognised without it"):
        establish(Operation(principal), OURS, OnConflict.FAIL)
    sandbox.clear_faults()
