"""Stand-in for the azure-native plugin: role assignments and resource groups, over Azure Resource Manager.

It follows the real plugin (pulumi-azure-native v3, `provider/pkg`): look first and refuse what exists, PUT, read once;
compare inputs with inputs; replace where a part of the id or an input marked so changes, and nowhere else. Left out are
its retry waits of 20 seconds and more. The Pulumi engine runs it as
`python -m pal_components.sandbox.stand_in.azure_native`.
"""

import hashlib
import re
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from typing_extensions import override

from pal_components.sandbox.stand_in import schema as rules
from pal_components.sandbox.stand_in.cloud import (
    Api,
    ClientSecret,
    ServiceError,
    Settings,
    SignIn,
    find_cloud,
    wait_for,
)
from pal_components.sandbox.stand_in.plugin import (
    UNKNOWN,
    Diff,
    Function,
    Properties,
    Provider,
    ProviderError,
    Resource,
    State,
    serve,
    unknown_name,
)
from pal_components.sandbox.stand_in.schema import Kind, Property

_REFUSAL = 'Status={status} Code="{code}" Message="{message}"'
_CREATE_BEFORE_DELETE = "__createBeforeDelete"
_ROLE_ASSIGNMENT_ID = re.compile(r"(.*)/providers/Microsoft\.Authorization/roleAssignments/([^/]+)", re.IGNORECASE)
_ROLE_DEFINITIONS_VERSION = "2022-05-01-preview"


def _told(wire: str, kind: Kind = Kind.STRING) -> Property:
    return Property(kind, wire, output=True)


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
    "createdBy": _told("properties.createdBy"),
    "createdOn": _told("properties.createdOn"),
    "name": _told("name"),
    "systemData": _told("systemData", Kind.MAP),
    "type": _told("type"),
    "updatedBy": _told("properties.updatedBy"),
    "updatedOn": _told("properties.updatedOn"),
}
_RESOURCE_GROUP = {
    "location": Property(wire="location", required=True, replaces=True),
    "managedBy": Property(wire="managedBy"),
    "resourceGroupName": Property(replaces=True),
    "tags": Property(Kind.MAP, "tags"),
    "name": _told("name"),
    "properties": _told("properties", Kind.MAP),
    "type": _told("type"),
}


class AzureNative(Provider):
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
        self._arm: Api | None = None
        self._sign_in: SignIn | None = None
        self._graph_scope = ""
        self.subscription = ""
        """Id of the subscription that the provider works in, a GUID."""
        self.location = ""
        """Where resources go that do not say it."""
        self.resources: Mapping[str, Resource] = {
            resource.token: resource for resource in (RoleAssignment(self), ResourceGroup(self))
        }
        self.functions: Mapping[str, Function] = {
            "azure-native:authorization:getClientConfig": self._get_client_config,
            "azure-native:authorization:getRoleDefinition": self._get_role_definition,
        }

    @property
    def arm(self) -> Api:
        """Azure Resource Manager, as the configured identity."""
        if self._arm is None:
            raise ProviderError("the azure-native provider is not configured")
        return self._arm

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
        path = _under(args["scope"], f"Microsoft.Authorization/roleDefinitions/{args['roleDefinitionId']}")
        found = self.arm.get(f"request failed {path}", path, **{"api-version": _ROLE_DEFINITIONS_VERSION})
        told = {**found.get("properties", {}), "roleType": found.get("properties", {}).get("type")}
        outputs = {
            name: told.get(name)
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


def _under(scope: str, path: str) -> str:
    return "/".join(("", *filter(None, scope.split("/")), "providers", path))


class _ArmResource(Resource):
    """An Azure resource that is read, PUT and deleted at its id."""

    token: str
    api_version: str
    schema: rules.Schema
    name_property: str

    def __init__(self, provider: AzureNative) -> None:
        self._provider = provider

    def _path(self, inputs: Properties) -> str:
        """Return the id that these inputs make."""
        raise NotImplementedError

    def _path_inputs(self, resource_id: str) -> Properties:
        """Return the inputs that an id stands for."""
        raise NotImplementedError

    def _automatic_name(self, name: str, seed: bytes) -> str:
        """Return a name for a resource whose program gives none, always the same for one seed."""
        raise NotImplementedError

    @override
    def check(self, name: str, seed: bytes, olds: Properties, news: Properties) -> tuple[Properties, list[str]]:
        # An import hands back what reading suggested, this one among it.
        written = {key: value for key, value in news.items() if key != "azureApiVersion"}
        inputs, failures = rules.check(self.token, self.schema, written)
        if self.name_property not in inputs:
            # An automatic name is kept, and with it the right to have old and new side by side in a replacement.
            if self.name_property in olds:
                inputs[self.name_property] = olds[self.name_property]
                if _CREATE_BEFORE_DELETE in olds:
                    inputs[_CREATE_BEFORE_DELETE] = olds[_CREATE_BEFORE_DELETE]
            else:
                inputs[self.name_property] = self._automatic_name(name, seed or uuid.uuid4().bytes)
                inputs[_CREATE_BEFORE_DELETE] = True
        return inputs | {"azureApiVersion": self.api_version}, failures

    @override
    def diff(self, old_inputs: Properties, olds: Properties, news: Properties) -> Diff:
        changes = {}
        for name in sorted(old_inputs.keys() | news.keys()):
            if not name.startswith("__") and not self._same(name, old_inputs.get(name), news.get(name)):
                changes[name] = "add" if name not in old_inputs else "update" if name in news else "delete"
        replaces = frozenset(name for name in changes if name in self.schema and self.schema[name].replaces)
        return Diff(changes, replaces, bool(replaces) and not old_inputs.get(_CREATE_BEFORE_DELETE, False))

    def _same(self, name: str, old: Any, new: Any) -> bool:
        if name == "location" and isinstance(old, str) and isinstance(new, str):
            return old.replace(" ", "").lower() == new.replace(" ", "").lower()
        return bool(old == new) and not rules.unknown(new)

    @override
    def plan(self, olds: Properties | None, news: Properties) -> Properties:
        outputs = {name: news.get(name, UNKNOWN) for name, prop in self.schema.items() if prop.wire}
        outputs["azureApiVersion"] = self.api_version
        return outputs | {name: olds[name] for name in ("name", "location") if olds and name in olds}

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        path = self._path(inputs)
        doing = f"cannot check existence of resource '{path}'"
        if self._provider.arm.find(doing, path, **self._version()):
            raise ProviderError(f"cannot create already existing resource '{path}'")
        return self._put(f"creating resource '{path}'", path, inputs)

    @override
    def read(self, resource_id: str, olds: Properties, old_inputs: Properties) -> State | None:
        found = self._provider.arm.find(f"reading resource '{resource_id}'", resource_id, **self._version())
        if found is None:
            return None
        outputs = self._outputs(found)
        body = [name for name, prop in self.schema.items() if prop.wire and not prop.output]
        if not old_inputs:
            inputs = {name: outputs[name] for name in body if name in outputs} | self._path_inputs(resource_id)
            return State(outputs, inputs | {"azureApiVersion": self.api_version})
        # What the service changed since the last time is what somebody changed: the rest are its own ways of writing.
        inputs = dict(old_inputs)
        for name in body:
            if olds.get(name) != outputs.get(name):
                inputs.pop(name, None)
                if name in outputs:
                    inputs[name] = outputs[name]
        return State(outputs, inputs)

    @override
    def update(self, resource_id: str, olds: Properties, news: Properties) -> Properties:
        path = self._path(news)
        return self._put(f"updating resource '{path}'", path, news)[1]

    @override
    def delete(self, resource_id: str, olds: Properties) -> None:
        doing = f"deleting resource '{resource_id}'"
        try:
            response = self._provider.arm.request(doing, "DELETE", resource_id, params=self._version())
        except ServiceError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return
        location = response.headers.get("Location")
        if response.status_code == HTTPStatus.ACCEPTED and location:
            wait_for(
                self._provider,
                f"the deletion of resource '{resource_id}'",
                lambda: self._finished(doing, location) or None,
            )

    def _finished(self, doing: str, location: str) -> bool:
        try:
            return self._provider.arm.request(doing, "GET", location).status_code != HTTPStatus.ACCEPTED
        except ServiceError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return True

    def _put(self, doing: str, path: str, inputs: Properties) -> tuple[str, Properties]:
        arm = self._provider.arm
        response = arm.request(doing, "PUT", path, params=self._version(), json=self._body(inputs))
        resource_id = response.json().get("id") or path
        return resource_id, self._outputs(arm.get(f"reading resource '{path}'", resource_id, **self._version()))

    def _body(self, inputs: Properties) -> Properties:
        body: Properties = {}
        for name, prop in self.schema.items():
            if prop.wire and not prop.output and name in inputs and name != "scope":  # the scope is in the path
                *parents, last = prop.wire.split(".")
                target = body
                for parent in parents:
                    target = target.setdefault(parent, {})
                target[last] = inputs[name]
        return body

    def _outputs(self, found: Properties) -> Properties:
        outputs: Properties = {"azureApiVersion": self.api_version}
        for name, prop in self.schema.items():
            value: Any = found if prop.wire else None
            for key in prop.wire.split("."):
                value = value.get(key) if isinstance(value, dict) else None
            if value is not None:
                outputs[name] = value
        return outputs

    def _version(self) -> dict[str, str]:
        return {"api-version": self.api_version}


class RoleAssignment(_ArmResource):
    """A role of a principal on a scope."""

    token = "azure-native:authorization:RoleAssignment"  # noqa: S105
    api_version = "2022-04-01"
    schema = _ROLE_ASSIGNMENT
    name_property = "roleAssignmentName"

    @override
    def _path(self, inputs: Properties) -> str:
        return _under(inputs["scope"], f"Microsoft.Authorization/roleAssignments/{inputs['roleAssignmentName']}")

    @override
    def _path_inputs(self, resource_id: str) -> Properties:
        match = _ROLE_ASSIGNMENT_ID.fullmatch(resource_id)
        if not match:
            raise ProviderError(f"{resource_id!r} is no role assignment id")
        return {"scope": match[1] or "/", "roleAssignmentName": match[2]}

    @override
    def _automatic_name(self, name: str, seed: bytes) -> str:
        return str(uuid.UUID(bytes=hashlib.sha256(seed).digest()[:16], version=4))


class ResourceGroup(_ArmResource):
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
