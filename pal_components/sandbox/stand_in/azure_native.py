"""Stand-in for the azure-native plugin: role assignments, resource groups and Lighthouse registrations, over ARM.

It follows the real plugin (pulumi-azure-native v3, `provider/pkg`): look first and refuse what exists, PUT, read once;
compare inputs with inputs; replace where a part of the id or an input marked so changes, and nowhere else. Left out are
its retry waits of 20 seconds and more. The Pulumi engine runs it as
`python -m pal_components.sandbox.stand_in.azure_native`.
"""

import hashlib
import re
import uuid
from collections.abc import Mapping

from typing_extensions import override

from pal_components.sandbox.stand_in.azure_native_base import ArmProvider, ArmResource, told, under
from pal_components.sandbox.stand_in.azure_native_lighthouse import RegistrationAssignment, RegistrationDefinition
from pal_components.sandbox.stand_in.cloud import Api, ClientSecret, Settings, SignIn, find_cloud
from pal_components.sandbox.stand_in.plugin import Function, Properties, ProviderError, Resource, serve, unknown_name
from pal_components.sandbox.stand_in.schema import Kind, Property

_REFUSAL = 'Status={status} Code="{code}" Message="{message}"'
_ROLE_ASSIGNMENT_ID = re.compile(r"(.*)/providers/Microsoft\.Authorization/roleAssignments/([^/]+)", re.IGNORECASE)
_ROLE_DEFINITIONS_VERSION = "2022-05-01-preview"

_ROLE_ASSIGNMENT = {
    "condition": Property(wire="properties.condition"),
    "conditionVersion": Property(wire="properties.conditionVersion"),
    "delegatedManagedIdentityResourceId": Property(wire="properties.delegatedManagedIdentityResourceId"),
    "description": Property(wire="properties.description"),
    "principalId": Property(wire="properties.principalId", required=True, replaces=True),
    "principalType": Property(wire="properties.principalType", default="User"),
    "roleAssignmentName": Property(replaces=True),
    # No replacement: the real plugin sends the new role under the old name, and the service refuses it.
    "roleDefinitionId": Property(wire="properties.roleDefinitionId", required=True),
    "scope": Property(wire="properties.scope", required=True, replaces=True),
    "createdBy": told("properties.createdBy"),
    "createdOn": told("properties.createdOn"),
    "name": told("name"),
    "systemData": told("systemData", Kind.MAP),
    "type": told("type"),
    "updatedBy": told("properties.updatedBy"),
    "updatedOn": told("properties.updatedOn"),
}
_RESOURCE_GROUP = {
    "location": Property(wire="location", required=True, replaces=True),
    "managedBy": Property(wire="managedBy"),
    "resourceGroupName": Property(replaces=True),
    "tags": Property(Kind.MAP, "tags"),
    "name": told("name"),
    "properties": told("properties", Kind.MAP),
    "type": told("type"),
}


class AzureNative(ArmProvider):
    """The package azure-native, as far as this library needs it."""

    package = "azure-native"
    settings = frozenset(
        {
            "auxiliaryTenantIds",
            "clientCertificatePassword",
            "clientCertificatePath",
            "clientId",
            "clientSecret",
            "disableInstanceDiscovery",
            "disablePulumiPartnerId",
            "environment",
            "location",
            "metadataHost",
            "msiEndpoint",
            "oidcRequestToken",
            "oidcRequestUrl",
            "oidcToken",
            "oidcTokenFilePath",
            "partnerId",
            "subscriptionId",
            "tenantId",
            "useDefaultAzureCredential",
            "useMsi",
            "useOidc",
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self._sign_in: SignIn | None = None
        self._graph_scope = ""
        self.resources: Mapping[str, Resource] = {
            resource.token: resource
            for resource in (
                RoleAssignment(self),
                ResourceGroup(self),
                RegistrationDefinition(self),
                RegistrationAssignment(self),
            )
        }
        self.functions: Mapping[str, Function] = {
            "azure-native:authorization:getClientConfig": self._get_client_config,
            "azure-native:authorization:getRoleDefinition": self._get_role_definition,
        }

    @override
    def configure(self, variables: Mapping[str, str]) -> None:
        """Find the cloud; sign in when the first request needs it, as the real plugin does."""
        settings = Settings(variables)
        cloud = find_cloud(settings)
        if not cloud.arm_audience:
            raise ProviderError("the metadata of the cloud names no authentication.audiences")
        self.subscription = settings.get("subscriptionId", "ARM_SUBSCRIPTION_ID", "AZURE_SUBSCRIPTION_ID")
        self.location = settings.get("location")
        self._sign_in = SignIn(cloud, _credential(settings, self.subscription), discover=True)
        self._graph_scope = f"{cloud.graph}/.default"
        user_agent = f"pal-components-sandbox stand-in for pulumi-azure-native/{self.version}"
        self._arm = Api(cloud.resource_manager, self._sign_in, f"{cloud.arm_audience}/.default", user_agent, _REFUSAL)

    def _get_client_config(self, _: Properties) -> Properties:
        if self._sign_in is None:
            raise ProviderError("the azure-native provider is not configured")
        claims = self._sign_in.claims(self._graph_scope)
        return {
            "clientId": claims.get("appid") or self._sign_in.credential.client_id,
            "objectId": claims.get("oid", ""),
            "subscriptionId": self.subscription,
            "tenantId": claims.get("tid") or self._sign_in.credential.tenant,
        }

    def _get_role_definition(self, args: Properties) -> Properties:
        needed = ("roleDefinitionId", "scope")
        for name in args.keys() - set(needed):
            raise ProviderError(unknown_name("getRoleDefinition", name, needed))
        for name in needed:
            if not args.get(name):
                raise ProviderError(f"getRoleDefinition: missing required property {name!r}")
        path = under(args["scope"], f"Microsoft.Authorization/roleDefinitions/{args['roleDefinitionId']}")
        found = self.arm.get(f"request failed {path}", path, **{"api-version": _ROLE_DEFINITIONS_VERSION})
        shown = {**found.get("properties", {}), "roleType": found.get("properties", {}).get("type")}
        outputs = {
            name: shown.get(name)
            for name in (
                "assignableScopes",
                "createdBy",
                "createdOn",
                "description",
                "permissions",
                "roleName",
                "roleType",
                "updatedBy",
                "updatedOn",
            )
        }
        outputs |= {name: found.get(name) for name in ("id", "name", "systemData", "type")}
        return outputs | {"azureApiVersion": _ROLE_DEFINITIONS_VERSION}


def _credential(settings: Settings, subscription: str) -> ClientSecret:
    """Return how to sign in, in the real plugin's order: default credential, certificate, secret, the rest."""
    only = "the stand-in for azure-native signs in with a client secret only"
    if settings.flag("useDefaultAzureCredential", "ARM_USE_DEFAULT_AZURE_CREDENTIAL"):
        raise ProviderError(f"{only}; the default Azure credential is configured")
    if settings.get("clientCertificatePath", "ARM_CLIENT_CERTIFICATE_PATH"):
        raise ProviderError(f"{only}; a certificate is configured")
    credential = ClientSecret(
        settings.get("tenantId", "ARM_TENANT_ID", "AZURE_TENANT_ID"),
        settings.get("clientId", "ARM_CLIENT_ID", "AZURE_CLIENT_ID"),
        settings.get("clientSecret", "ARM_CLIENT_SECRET", "AZURE_CLIENT_SECRET"),
    )
    if not credential.secret:
        raise ProviderError(f"{only}, and clientSecret (ARM_CLIENT_SECRET) is not set")
    for name, value in (
        ("Subscription ID", subscription),
        ("Tenant ID", credential.tenant),
        ("Client ID", credential.client_id),
    ):
        if not value:
            raise ProviderError(
                f"A {name} must be configured when authenticating as a Service Principal using a Client Secret."
            )
    return credential


class RoleAssignment(ArmResource):
    """A role of a principal on a scope."""

    token = "azure-native:authorization:RoleAssignment"  # noqa: S105
    api_version = "2022-04-01"
    schema = _ROLE_ASSIGNMENT
    name_property = "roleAssignmentName"

    @override
    def _path(self, inputs: Properties) -> str:
        return under(inputs["scope"], f"Microsoft.Authorization/roleAssignments/{inputs['roleAssignmentName']}")

    @override
    def _path_inputs(self, resource_id: str) -> Properties:
        match = _ROLE_ASSIGNMENT_ID.fullmatch(resource_id)
        if not match:
            raise ProviderError(f"{resource_id!r} is no role assignment id")
        return {"scope": match[1] or "/", "roleAssignmentName": match[2]}

    @override
    def _automatic_name(self, name: str, seed: bytes) -> str:
        return str(uuid.UUID(bytes=hashlib.sha256(seed).digest()[:16], version=4))


class ResourceGroup(ArmResource):
    """A resource group in the provider's subscription."""

    token = "azure-native:resources:ResourceGroup"  # noqa: S105
    api_version = "2024-03-01"
    schema = _RESOURCE_GROUP
    name_property = "resourceGroupName"

    @override
    def check(self, name: str, seed: bytes, olds: Properties, news: Properties) -> tuple[Properties, list[str]]:
        location = olds.get("location") or self._provider.location
        if location and "location" not in news:
            news = news | {"location": location}
        return super().check(name, seed, olds, news)

    @override
    def _path(self, inputs: Properties) -> str:
        return f"/subscriptions/{self._provider.subscription}/resourcegroups/{inputs['resourceGroupName']}"

    @override
    def _path_inputs(self, resource_id: str) -> Properties:
        return {"resourceGroupName": resource_id.rpartition("/")[2]}

    @override
    def _automatic_name(self, name: str, seed: bytes) -> str:
        return f"{name}{hashlib.sha256(seed).hexdigest()[:8]}"


if __name__ == "__main__":
    serve(AzureNative())
