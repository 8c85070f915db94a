"""Signing in as the principal that is to be linked, over azure-identity."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import jwt
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from pal_components.link.cloud import Cloud
from pal_components.link.deployer import deploying_credential, identity_options
from pal_components.link.errors import ApplicationGone, LinkError, SignInFailed, WrongPrincipal
from pal_components.link.explain import explain_sign_in
from pal_components.link.graph import ApplicationSecrets
from pal_components.link.principal import CredentialKind, Principal
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

    Raises SignInFailed and its kin, WrongPrincipal, ApplicationGone, SecretNotAllowed, NoDeployingIdentity.
    """
    if principal.kind is CredentialKind.EPHEMERAL:
        with _ephemeral_secret(principal, cloud, waiting, environment) as secret:
            yield _verified(principal, _by_secret(principal, secret, cloud), cloud, waiting)
    elif principal.kind is CredentialKind.AMBIENT:
        deployer = deploying_credential(cloud, principal.tenant_id, environment, principal.deployer_environment)
        yield _verified(principal, deployer, cloud, waiting)
    else:
        yield _verified(principal, _by_secret(principal, principal.client_secret, cloud), cloud, waiting)


def _by_secret(principal: Principal, secret: str | None, cloud: Cloud) -> TokenCredential:
    from azure.identity import ClientSecretCredential

    if not principal.client_id or not secret:
        raise SignInFailed(f"{principal} cannot sign in: credential.client_id or credential.client_secret is missing")
    return ClientSecretCredential(principal.tenant_id, principal.client_id, secret, **identity_options(cloud))


def _verified(principal: Principal, credential: TokenCredential, cloud: Cloud, waiting: Waiting) -> SignedIn:
    def attempt() -> str:
        try:
            return credential.get_token(cloud.resource_manager_scope).token
        except AzureError as error:
            raise explain_sign_in(error, principal) from None

    try:
        claims = jwt.decode(waiting.run(attempt), options={"verify_signature": False})
        tenant_id, object_id = str(claims["tid"]).lower(), str(claims["oid"]).lower()
    except (jwt.PyJWTError, KeyError):
        raise SignInFailed(f"{principal} got a token that does not say whose it is") from None
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
        key_id, secret = application.add(name, datetime.now(timezone.utc) + EPHEMERAL_LIFE)
        try:
            yield secret
        finally:
            _remove(application, key_id)


def _remove(application: ApplicationSecrets, key_id: str) -> None:
    """Remove the secret without hiding why the operation failed: what stays behind stops working by itself."""
    try:
        application.remove(key_id)
    except ApplicationGone:
        pass
    except LinkError as error:
        application.tell(
            f"warning: the ephemeral secret {key_id} could not be removed from the application: {error}. "
            f"It stops working {EPHEMERAL_LIFE.seconds // 60} minutes after it was made"
        )
