"""Sign-in with a certificate and with another issuer's token: what is accepted, and Entra's word for what is not."""

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AzurePipelinesCredential, CertificateCredential, WorkloadIdentityCredential
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from pal_components.sandbox import propagation
from pal_components.sandbox.assertions import TYPE
from pal_components.sandbox.issuers import AUDIENCE, SERVICE_CONNECTION, Issuers
from pal_components.sandbox.server import Sandbox

URL = "https://localhost:8443"
ARM = "https://management.azure.com"
GRAPH = f"{URL}/graph"
CONTOSO = "c0000000-0000-4000-8000-000000000001"
FABRIKAM = "f0000000-0000-4000-8000-000000000002"
DEPLOYER = "d0000000-0000-4000-8000-00000000000d"
SUBJECT = "repo:contoso/infra:ref:refs/heads/main"


class Pair:
    """A key pair with a self-signed certificate."""

    def __init__(self, begin: datetime, days: float) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pal")])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=days))
            .sign(self.key, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)

    def thumbprint(self, algorithm: type[hashes.HashAlgorithm] = hashes.SHA1) -> bytes:
        return self.certificate.fingerprint(algorithm())

    def private_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@pytest.fixture(scope="module")
def pair() -> Pair:
    """A certificate that is good when the tests' clock stands, and for a year."""
    return Pair(datetime(2026, 2, 1, tzinfo=timezone.utc), 365)


@pytest.fixture(scope="module")
def other_pair() -> Pair:
    """One that nobody registered."""
    return Pair(datetime(2026, 2, 1, tzinfo=timezone.utc), 365)


@pytest.fixture
def principal(azure: Any) -> Any:
    """A principal to sign in as."""
    return azure.principal()


def register(azure: Any, principal: Any, content: bytes) -> None:
    """Register a certificate with the principal's application."""
    entry = {"key": base64.b64encode(content).decode(), "type": "AsymmetricX509Cert", "usage": "Verify"}
    path = f"/graph/v1.0/applications/{principal.application_id}"
    answer = azure.call("PATCH", path, azure.token(resource=GRAPH), json={"keyCredentials": [entry]})
    assert answer.status_code == 204, answer.text


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def assertion(azure: Any, principal: Any, pair: Pair, header: dict[str, str] | None = None, **claims: Any) -> str:
    """Make what msal makes, with changes."""
    now = int(azure.now.timestamp())
    content = {
        "aud": f"{URL}/{CONTOSO}/oauth2/v2.0/token",
        "iss": principal.app_id,
        "sub": principal.app_id,
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        **claims,
    }
    headers = {"x5t": encoded(pair.thumbprint())} if header is None else header
    return jwt.encode(content, pair.key, algorithm="RS256", headers=headers)


def exchange(azure: Any, principal: Any, text: str, tenant: str = CONTOSO, **form: str) -> Any:
    """Present an assertion."""
    return azure.token_answer(
        tenant,
        **{
            "client_id": principal.app_id,
            "client_assertion": text,
            "client_assertion_type": TYPE,
            "grant_type": "client_credentials",
            "scope": f"{ARM}/.default",
            **form,
        },
    )


def refused(answer: Any, code: int, status: int, *texts: str) -> None:
    """Check a refusal of the token endpoint."""
    body = answer.json()
    assert (body["error_codes"], answer.status_code) == ([code], status), body["error_description"]
    for text in texts:
        assert text in body["error_description"]


@pytest.mark.parametrize("form", ["pem", "der"])
@pytest.mark.parametrize(
    "header",
    [
        lambda pair: {"x5t": encoded(pair.thumbprint())},
        lambda pair: {"x5t": encoded(pair.thumbprint()).rstrip("=")},
        lambda pair: {"x5t#S256": encoded(pair.thumbprint(hashes.SHA256))},
        lambda pair: {"kid": encoded(pair.thumbprint())},
        lambda pair: {"kid": pair.thumbprint().hex().upper()},
    ],
)
def test_a_certificate_signs_in(
    azure: Any, principal: Any, pair: Pair, form: str, header: Callable[[Pair], dict[str, str]]
) -> None:
    """However it was registered and however the client names it: msal and the azuread provider differ."""
    register(azure, principal, getattr(pair, form))
    answer = exchange(azure, principal, assertion(azure, principal, pair, header(pair)))
    assert answer.status_code == 200, answer.text
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert (claims["oid"], claims["appidacr"]) == (principal.object_id, "2")


@pytest.mark.parametrize("audience", [f"{URL}/contoso.onmicrosoft.com/oauth2/v2.0/token", f"{URL}/{CONTOSO}/v2.0"])
def test_the_tenant_may_be_named_by_domain_or_issuer(azure: Any, principal: Any, pair: Pair, audience: str) -> None:
    """Whatever names this tenant is a good audience."""
    register(azure, principal, pair.pem)
    assert exchange(azure, principal, assertion(azure, principal, pair, aud=audience)).status_code == 200


@pytest.mark.parametrize(
    ("claims", "code", "text"),
    [
        ({"sub": DEPLOYER}, 700021, "doesn't match 'client_id'"),
        ({"iss": DEPLOYER}, 700021, "doesn't match 'client_id'"),
        ({"aud": f"{URL}/{FABRIKAM}/oauth2/v2.0/token"}, 700023, "audience claim does not match"),
        ({"aud": ["x"]}, 700023, "audience claim does not match"),
        ({"exp": 1}, 700024, "expiry time of assertion 1970-01-01T00:00:01.0000000Z"),
        ({"exp": "soon"}, 700024, "not within its valid time range"),
        ({"nbf": 4000000000}, 700024, "Current time: 2026-03-01T12:00:00.0000000Z"),
    ],
)
def test_a_wrong_claim_is_refused(
    azure: Any, principal: Any, pair: Pair, claims: dict[str, Any], code: int, text: str
) -> None:
    """Who, for whom and when."""
    register(azure, principal, pair.pem)
    refused(exchange(azure, principal, assertion(azure, principal, pair, **claims)), code, 401, text)


def test_an_unknown_certificate_is_refused(azure: Any, principal: Any, pair: Pair, other_pair: Pair) -> None:
    """The message names the thumbprint that was used."""
    register(azure, principal, pair.pem)
    answer = exchange(azure, principal, assertion(azure, principal, other_pair))
    refused(answer, 700027, 401, "not registered", f"'{other_pair.thumbprint().hex().upper()}'", principal.app_id)
    refused(exchange(azure, principal, assertion(azure, principal, pair, {})), 5002723, 401)


def test_a_forged_signature_is_refused(azure: Any, principal: Any, pair: Pair, other_pair: Pair) -> None:
    """A registered thumbprint over another key's signature."""
    register(azure, principal, pair.pem)
    text = assertion(azure, principal, other_pair, {"x5t": encoded(pair.thumbprint())})
    refused(exchange(azure, principal, text), 700027, 401, "invalid signature")


def test_an_expired_certificate_is_refused(azure: Any, principal: Any, pair: Pair) -> None:
    """From the second of its end."""
    register(azure, principal, pair.pem)
    azure.now = datetime(2027, 2, 1, tzinfo=timezone.utc)
    refused(
        exchange(azure, principal, assertion(azure, principal, pair)),
        *(700027, 401, "The key used is expired", "Start=02/01/2026 00:00:00, End=02/01/2027 00:00:00"),
    )


def test_a_new_certificate_may_be_unknown_for_a_while(azure: Any, principal: Any, pair: Pair) -> None:
    """Like one that was never registered."""
    propagation.delay(azure.state, "certificate", requests=1)
    register(azure, principal, pair.pem)
    text = assertion(azure, principal, pair)
    refused(exchange(azure, principal, text), 700027, 401, "not registered")
    assert exchange(azure, principal, text).status_code == 200


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"client_assertion": "x"}, 50027),
        ({"client_assertion": "a.b.c"}, 50027),
        ({"client_assertion": jwt.encode({}, "k" * 32, algorithm="HS256")}, 70025),
        ({"client_assertion_type": ""}, 900144),
        ({"client_assertion_type": "urn:other"}, 9002313),
    ],
)
def test_what_is_no_assertion_is_refused(azure: Any, principal: Any, form: dict[str, str], code: int) -> None:
    """Anything can be sent; the answer is always Entra's."""
    assert exchange(azure, principal, "x", **form).json()["error_codes"] == [code]


# Tokens of other issuers


@pytest.fixture
def issuers(azure: Any) -> Issuers:
    """The sandbox's issuers."""
    return Issuers(azure.state, URL, lambda: azure.now)


@pytest.fixture
def trusted(azure: Any, principal: Any, issuers: Issuers) -> dict[str, Any]:
    """Make the principal's application trust GitHub for one subject; return the credential."""
    return trust(azure, principal, issuers.url("github"))


def trust(azure: Any, principal: Any, issuer: str, subject: str = SUBJECT, name: str = "main") -> dict[str, Any]:
    body = {"name": name, "issuer": issuer, "subject": subject, "audiences": [AUDIENCE]}
    path = f"/graph/v1.0/applications/{principal.application_id}/federatedIdentityCredentials"
    answer = azure.call("POST", path, azure.token(resource=GRAPH), json=body)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_a_trusted_token_signs_in(azure: Any, principal: Any, issuers: Issuers, trusted: Any) -> None:
    """Issuer, subject and audience are those of a federated credential."""
    answer = exchange(azure, principal, issuers.token("github", SUBJECT, AUDIENCE))
    assert answer.status_code == 200, answer.text
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert (claims["oid"], claims["appidacr"]) == (principal.object_id, "2")


@pytest.mark.parametrize(
    ("issuer", "subject", "audience", "code", "status", "texts"),
    [
        ("pulumi", SUBJECT, AUDIENCE, 700211, 401, ["assertion issuer 'https://localhost:8443/issuers/pulumi'"]),
        ("github", SUBJECT, "api://other", 700212, 401, ["assertion audience 'api://other'"]),
        ("github", SUBJECT, AUDIENCE.lower(), 700212, 401, ["assertion audience 'api://azureadtokenexchange'"]),
        ("github", "repo:x/y", AUDIENCE, 700213, 401, ["assertion subject 'repo:x/y'"]),
        ("github", SUBJECT.upper(), AUDIENCE, 7002138, 401, ["case-insensitive"]),
        (
            *("pulumi", "repo:x/y", AUDIENCE, 70021, 400),
            [
                "Assertion Issuer: 'https://localhost:8443/issuers/pulumi'.",
                "Assertion Subject: 'repo:x/y'.",
                f"Assertion Audience: '{AUDIENCE}'.",
            ],
        ),
    ],
)
def test_a_token_that_nobody_trusts_is_refused(
    azure: Any,
    principal: Any,
    issuers: Issuers,
    trusted: Any,
    issuer: str,
    subject: str,
    audience: str,
    code: int,
    status: int,
    texts: list[str],
) -> None:
    """The one value that differs is named, or all where several do; letters' case matters everywhere."""
    answer = exchange(azure, principal, issuers.token(issuer, subject, audience))
    refused(answer, code, status, "No matching federated identity record found", *texts)


def test_without_any_federated_credential_that_is_said(azure: Any, principal: Any, issuers: Issuers) -> None:
    """AADSTS70025 names the application."""
    answer = exchange(azure, principal, issuers.token("github", SUBJECT, AUDIENCE))
    refused(answer, 70025, 401, f"'{principal.app_id}'(pal) has no configured")


def test_a_token_of_a_false_issuer_is_refused(azure: Any, principal: Any, issuers: Issuers, trusted: Any) -> None:
    """Claims can be written by anybody; the signature cannot."""
    real = issuers.token("github", SUBJECT, AUDIENCE)
    claims = jwt.decode(real, options={"verify_signature": False})
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "mine"})
    refused(exchange(azure, principal, forged), 50013, 401, "signature value did not match", "'mine'")
    symmetric = jwt.encode(claims, "k" * 32, algorithm="HS256")
    refused(exchange(azure, principal, symmetric), 50013, 401)


def test_an_expired_token_is_refused(azure: Any, principal: Any, issuers: Issuers, trusted: Any) -> None:
    """A pipeline's token lives for minutes."""
    token = issuers.token("github", SUBJECT, AUDIENCE)
    azure.later(minutes=5)
    refused(exchange(azure, principal, token), 700024, 401, "Current time: 2026-03-01T12:05:00.0000000Z")


def test_an_issuer_elsewhere_cannot_be_asked(azure: Any, principal: Any, issuers: Issuers) -> None:
    """The sandbox sends no request: an issuer that it does not play is out of reach."""
    elsewhere = "https://token.actions.githubusercontent.com"
    trust(azure, principal, elsewhere)
    claims = {"iss": elsewhere, "sub": SUBJECT, "aud": AUDIENCE, "exp": 4000000000}
    refused(exchange(azure, principal, jwt.encode(claims, "k" * 32, algorithm="HS256")), 90061, 400)


def test_a_new_federated_credential_may_be_unknown_for_a_while(azure: Any, principal: Any, issuers: Issuers) -> None:
    """To tokens that it would accept; others are refused for what they are, and do not count."""
    propagation.delay(azure.state, "federated", requests=2)
    trust(azure, principal, issuers.url("github"))
    refused(exchange(azure, principal, issuers.token("github", "repo:x/y", AUDIENCE)), 700213, 401)
    token = issuers.token("github", SUBJECT, AUDIENCE)
    refused(exchange(azure, principal, token), 70021, 400)
    refused(exchange(azure, principal, token), 70021, 400)
    assert exchange(azure, principal, token).status_code == 200


def test_the_nearest_credential_decides_what_is_said(azure: Any, principal: Any, issuers: Issuers) -> None:
    """With many, the one that lacks the least; a removed one is not trusted any more."""
    trust(azure, principal, issuers.url("kubernetes"), "system:serviceaccount:a:b", "cluster")
    credential = trust(azure, principal, issuers.url("github"))
    refused(exchange(azure, principal, issuers.token("github", "repo:x/y", AUDIENCE)), 700213, 401)
    path = f"/graph/v1.0/applications/{principal.application_id}/federatedIdentityCredentials/{credential['id']}"
    azure.call("DELETE", path, azure.token(resource=GRAPH))
    refused(exchange(azure, principal, issuers.token("github", SUBJECT, AUDIENCE)), 70021, 400)


def test_the_journal_has_no_assertion(azure: Any, principal: Any, issuers: Issuers, trusted: Any) -> None:
    """Not as a form field, not in a query, and not on disk."""
    token = issuers.token("github", SUBJECT, AUDIENCE)
    exchange(azure, principal, token)
    azure.call("POST", f"/{CONTOSO}/oauth2/v2.0/token?client_assertion={token}")
    assert token not in json.dumps(azure.journal())
    for file in azure.state.directory.iterdir():
        assert token.encode() not in file.read_bytes()


# Through azure-identity


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A sandbox that really serves."""
    with Sandbox(tmp_path_factory.mktemp("assertions") / "state") as running:
        yield running


@pytest.fixture
def options(sandbox: Sandbox) -> dict[str, Any]:
    """What every credential of azure-identity is told."""
    authority = str(sandbox.state_dir / "ca.pem")
    return {"authority": sandbox.url, "disable_instance_discovery": True, "connection_verify": authority}


def made(sandbox: Sandbox, options: dict[str, Any], path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Make something in Microsoft Graph as the deploying identity."""
    import requests

    with requests.Session() as session:
        session.trust_env = False
        session.verify = options["connection_verify"]
        form = {
            "client_id": DEPLOYER,
            "client_secret": "sandbox-deployer-secret",
            "grant_type": "client_credentials",
            "scope": f"{sandbox.url}/graph/.default",
        }
        answer = session.post(f"{sandbox.url}/{CONTOSO}/oauth2/v2.0/token", data=form, timeout=30)
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        answer = session.post(f"{sandbox.url}/graph/v1.0{path}", json=body, headers=headers, timeout=30)
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return document


def test_azure_identity_signs_in_with_a_certificate(
    sandbox: Sandbox, options: dict[str, Any], tmp_path: Path, other_pair: Pair
) -> None:
    """From PEM and from a PFX with a password; with another certificate it says what Entra says."""
    pair = Pair(datetime.now(timezone.utc) - timedelta(minutes=5), 1)
    entry = {"key": base64.b64encode(pair.pem).decode(), "type": "AsymmetricX509Cert", "usage": "Verify"}
    application = made(sandbox, options, "/applications", {"displayName": "pal", "keyCredentials": [entry]})
    principal = made(sandbox, options, "/servicePrincipals", {"appId": application["appId"]})
    pfx = pkcs12.serialize_key_and_certificates(
        b"pal", pair.key, pair.certificate, None, serialization.BestAvailableEncryption(b"open")
    )
    for content, password in ((pair.pem + pair.private_pem(), None), (pfx, "open")):
        with CertificateCredential(
            CONTOSO, application["appId"], certificate_data=content, password=password, **options
        ) as credential:
            token = credential.get_token(f"{ARM}/.default").token
        assert jwt.decode(token, options={"verify_signature": False})["oid"] == principal["id"]
    wrong = other_pair.pem + other_pair.private_pem()
    with (
        CertificateCredential(CONTOSO, application["appId"], certificate_data=wrong, **options) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS700027"),
    ):
        credential.get_token(f"{ARM}/.default")


def test_azure_identity_signs_in_with_tokens_of_the_issuers(
    sandbox: Sandbox, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Kubernetes pod and an Azure pipeline, each with the variables that it finds in reality."""
    application = made(sandbox, options, "/applications", {"displayName": "pal"})
    principal = made(sandbox, options, "/servicePrincipals", {"appId": application["appId"]})
    path = f"/applications/{application['id']}/federatedIdentityCredentials"
    found = {name: sandbox.issuer_environment(name) for name in ("kubernetes", "azure-pipelines")}
    for name, variables in found.items():
        trusted = {
            "name": name,
            "issuer": variables["PAL_SANDBOX_ISSUER"],
            "subject": variables["PAL_SANDBOX_SUBJECT"],
            "audiences": [AUDIENCE],
        }
        made(sandbox, options, path, trusted)
    who = {"tenant_id": CONTOSO, "client_id": application["appId"], **options}
    monkeypatch.setenv("SYSTEM_OIDCREQUESTURI", found["azure-pipelines"]["SYSTEM_OIDCREQUESTURI"])
    access = found["azure-pipelines"]["SYSTEM_ACCESSTOKEN"]
    for credential in (
        WorkloadIdentityCredential(token_file_path=found["kubernetes"]["AZURE_FEDERATED_TOKEN_FILE"], **who),
        AzurePipelinesCredential(service_connection_id=SERVICE_CONNECTION, system_access_token=access, **who),
    ):
        with credential:
            token = credential.get_token(f"{ARM}/.default").token
        assert jwt.decode(token, options={"verify_signature": False})["oid"] == principal["id"]
