"""The deploying identity: who runs Pulumi, found in the environment as the azure-native provider finds it."""

from collections.abc import Mapping

from azure.core.credentials import TokenCredential

from pal_components.link.cloud import Cloud
from pal_components.link.errors import NoDeployingIdentity
from pal_components.link.federation import token_source
from pal_components.link.identity import identity


def deploying_credential(
    cloud: Cloud, tenant_id: str, environment: Mapping[str, str], prefix: str = ""
) -> TokenCredential:
    """Return the deploying identity's credential for a tenant.

    Takes the first that the environment offers, in azure-native's order: client certificate, client secret, OpenID
    Connect, managed identity, Azure CLI; from the `ARM_*` variables, else the `AZURE_*` ones. With a `prefix` such as
    `CONTOSO_` it reads `CONTOSO_ARM_CLIENT_ID` and so on, and nothing without it.

    Raises NoDeployingIdentity where a choice is incomplete or a prefix finds nothing, NoOidcToken where OpenID Connect
    was chosen and the environment has no token.
    """
    import azure.identity

    def read(*names: str) -> str:
        return next((value for name in names if (value := environment.get(prefix + name, "").strip())), "")

    def flag(*names: str) -> bool:
        return read(*names).casefold() in ("true", "1", "yes")

    client_id = read("ARM_CLIENT_ID", "AZURE_CLIENT_ID")
    certificate = read("ARM_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PATH")
    secret = read("ARM_CLIENT_SECRET", "AZURE_CLIENT_SECRET")

    if certificate and client_id:
        password = read("ARM_CLIENT_CERTIFICATE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PASSWORD") or None
        try:
            return identity(
                cloud,
                lambda options: azure.identity.CertificateCredential(
                    tenant_id, client_id, certificate, password=password, **options
                ),
            )
        except (OSError, ValueError) as error:
            raise NoDeployingIdentity(
                f"the deploying identity's certificate ({prefix}ARM_CLIENT_CERTIFICATE_PATH) cannot be read: "
                f"{type(error).__name__}"
            ) from None
    if secret and client_id:
        return identity(
            cloud, lambda options: azure.identity.ClientSecretCredential(tenant_id, client_id, secret, **options)
        )
    if flag("ARM_USE_OIDC"):
        if not client_id:
            raise NoDeployingIdentity(f"{prefix}ARM_USE_OIDC is set, but {prefix}ARM_CLIENT_ID is not")
        fetch = token_source(environment, prefix).fetch
        return identity(
            cloud, lambda options: azure.identity.ClientAssertionCredential(tenant_id, client_id, fetch, **options)
        )
    if flag("ARM_USE_MSI"):
        return azure.identity.ManagedIdentityCredential(client_id=client_id or None)
    if prefix:
        raise NoDeployingIdentity(
            f"deployer_environment is {prefix!r}, but the environment has no complete identity under it: "
            f"set {prefix}ARM_CLIENT_ID with {prefix}ARM_CLIENT_SECRET, {prefix}ARM_CLIENT_CERTIFICATE_PATH "
            f"or {prefix}ARM_USE_OIDC"
        )
    return azure.identity.AzureCliCredential(tenant_id=tenant_id)
