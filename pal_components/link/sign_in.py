"""Signing in as the principal that is to be linked, over azure-identity."""

import base64
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import jwt
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from pal_components.link.cloud import Cloud
from pal_components.link.deployer import deploying_credential
from pal_components.link.errors import (
    ApplicationGone,
    FederationMismatch,
    LinkError,
    PrincipalNotLinkable,
    ServiceUnavailable,
    SignInFailed,
    UnreadableAnswer,
    WrongPrincipal,
)
from pal_components.link.explain import explain_sign_in
from pal_components.link.federation import TokenSource, claims_of, token_source
from pal_components.link.graph import ApplicationSecrets
from pal_components.link.identity import identity
from pal_components.link.principal import DEFAULT_AUDIENCE, CredentialKind, Principal
from pal_components.link.waiting import Waiting

EPHEMERAL_LIFE = timedelta(minutes=10)
"""How long an ephemeral secret works where nobody could remove it."""

EPHEMERAL_NAME = "pal-components ephemeral"
"""How the display name of every ephemeral secret begins."""


@dataclass(frozen=True)
class SignedIn:
    """A credential that works, and whose it is."""

    credential: TokenCredential
    tenant_id: str
    """Tenant of the principal, GUID."""
    object_id: str
    """Object id of the principal, GUID."""


@contextmanager
def signed_in(
    principal: Principal, cloud: Cloud, waiting: Waiting, environment: Mapping[str, str]
) -> Iterator[SignedIn]:
    """Sign in as `principal` and make sure that it is who was meant.

    Raises SignInFailed and its kin, WrongPrincipal, ApplicationGone, SecretNotAllowed, NoDeployingIdentity and
    NoOidcToken.
    """
    if principal.kind is CredentialKind.EPHEMERAL:
        with _ephemeral_secret(principal, cloud, waiting, environment) as secret:
            credential = _own_credential(replace(principal, client_secret=secret), cloud)
            yield _verified(principal, credential, cloud, waiting)
    elif principal.kind is CredentialKind.AMBIENT:
        deployer = deploying_credential(cloud, principal.tenant_id, environment, principal.deployer_environment)
        yield _verified(principal, deployer, cloud, waiting)
    elif principal.kind is CredentialKind.FEDERATED:
        audience = principal.audience or DEFAULT_AUDIENCE
        source = token_source(environment, principal.deployer_environment, audience)
        yield _federated(principal, source, cloud, waiting)
    else:
        yield _verified(principal, _own_credential(principal, cloud), cloud, waiting)


def _own_credential(principal: Principal, cloud: Cloud) -> TokenCredential:
    """Return the credential of a principal that has its own: a client secret, or a certificate."""
    from azure.identity import CertificateCredential, ClientSecretCredential

    if not principal.client_id:
        raise SignInFailed(f"{principal} cannot sign in: credential.client_id is missing")
    who, secret = (principal.tenant_id, principal.client_id), principal.client_secret
    if secret:
        return identity(cloud, lambda options: ClientSecretCredential(*who, secret, **options))
    if not principal.certificate:
        raise SignInFailed(f"{principal} cannot sign in: it has neither client_secret nor certificate")
    try:
        content, password = certificate_bytes(principal.certificate), principal.certificate_password
        return identity(
            cloud,
            lambda options: CertificateCredential(*who, certificate_data=content, password=password, **options),
        )
    except (ValueError, TypeError) as error:
        raise SignInFailed(
            f"{principal} cannot sign in: credential.certificate cannot be read ({type(error).__name__}): give PEM "
            "text with the certificate and its private key, or a PFX in base64, with certificate_password if it has one"
        ) from None


def certificate_bytes(certificate: str) -> bytes:
    """Return a certificate's bytes: PEM text as it is, a PFX out of its base64. Raises ValueError."""
    if "-----BEGIN" in certificate:
        return certificate.encode()
    return base64.b64decode("".join(certificate.split()), validate=True)


def _federated(principal: Principal, source: TokenSource, cloud: Cloud, waiting: Waiting) -> SignedIn:
    from azure.identity import ClientAssertionCredential

    if not principal.client_id:
        raise SignInFailed(f"{principal} cannot sign in: credential.client_id is missing")
    presented: dict[str, Any] = {}

    def present() -> str:
        token = source.fetch()
        presented.update(claims_of(token))
        return token

    who = (principal.tenant_id, principal.client_id)
    credential = identity(cloud, lambda options: ClientAssertionCredential(*who, present, **options))
    try:
        return _verified(principal, credential, cloud, waiting)
    except FederationMismatch as error:
        raise FederationMismatch(
            f"{error.text}. Its federated credential expects issuer {principal.issuer}, subject {principal.subject}, "
            f"audience {principal.audience or DEFAULT_AUDIENCE}; the token from {source.name} presents "
            f"issuer {presented.get('iss')}, subject {presented.get('sub')}, audience {presented.get('aud')}",
            error.code,
        ) from None


def _verified(principal: Principal, credential: TokenCredential, cloud: Cloud, waiting: Waiting) -> SignedIn:
    def attempt() -> str:
        try:
            return credential.get_token(cloud.resource_manager_scope).token
        except AzureError as error:
            raise explain_sign_in(error, principal) from None

    try:
        claims = jwt.decode(waiting.run(attempt), options={"verify_signature": False})
        tenant_id, object_id = str(claims["tid"]).lower(), str(claims["oid"]).lower()
        managed_identity = claims.get("xms_mirid")
    except (jwt.PyJWTError, KeyError):
        raise SignInFailed(f"{principal} got a token that does not say whose it is") from None
    if managed_identity:
        raise PrincipalNotLinkable(
            f"{principal} is the managed identity {managed_identity}, which Microsoft does not recognise: use a "
            "service principal, or a person's account. Nothing was changed"
        )
    if principal.object_id and principal.object_id.lower() != object_id:
        raise WrongPrincipal(
            f"{principal} signs in as object {object_id}, but {principal.object_id} is to be linked. "
            "Nothing was changed"
        )
    return SignedIn(credential, tenant_id, object_id)


@contextmanager
def _ephemeral_secret(
    principal: Principal, cloud: Cloud, waiting: Waiting, environment: Mapping[str, str]
) -> Iterator[str]:
    if not principal.application_id:
        raise SignInFailed(
            f"{principal} cannot sign in: credential.application_id is missing, the object id of the application "
            "registration to which the ephemeral secret is added"
        )
    deployer = deploying_credential(cloud, principal.tenant_id, environment, principal.deployer_environment)
    name = f"{EPHEMERAL_NAME} {secrets.token_hex(4)}"
    with ApplicationSecrets(deployer, cloud, waiting, principal.application_id, fresh=principal.fresh) as application:
        try:
            secret = application.add(name, datetime.now(timezone.utc) + EPHEMERAL_LIFE)
        except (ServiceUnavailable, UnreadableAnswer):
            # It may have been added all the same. Every other failure says that it was not.
            _sweep(application)
            raise
        try:
            yield secret
        finally:
            _sweep(application)


def _sweep(application: ApplicationSecrets) -> None:
    """Remove every ephemeral secret of the application: this one, and what a crash or a lost answer left behind.

    It never hides why the operation failed: what stays behind stops working by itself.
    """
    try:
        for key_id in _ephemeral(application):
            try:
                application.remove(key_id)
            except LinkError:
                # The answer to an earlier try may have been lost.
                if key_id in _ephemeral(application):
                    raise
    except ApplicationGone:
        pass
    except LinkError as error:
        application.tell(
            f"warning: an ephemeral secret could not be removed from the application: {error.text}. "
            f"It stops working {EPHEMERAL_LIFE.seconds // 60} minutes after it was made"
        )


def _ephemeral(application: ApplicationSecrets) -> list[str]:
    return [key_id for key_id, display_name in application.list() if display_name.startswith(EPHEMERAL_NAME)]
