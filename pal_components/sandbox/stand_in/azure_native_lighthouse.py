"""Azure Lighthouse's registrations in the stand-in for azure-native.

Source: the published schema of pulumi-azure-native 3.29 (module managedservices, api-version 2022-10-01).
"""

import hashlib
import re
from typing import Any

from typing_extensions import override

from pal_components.sandbox.stand_in import schema as rules
from pal_components.sandbox.stand_in.azure_native_base import ArmResource, told, under
from pal_components.sandbox.stand_in.plugin import Properties, ProviderError
from pal_components.sandbox.stand_in.schema import Kind, Property

_PRINCIPAL = {
    "principalId": Property(wire="principalId", required=True),
    "principalIdDisplayName": Property(wire="principalIdDisplayName"),
}
_AUTHORIZATION = {
    **_PRINCIPAL,
    "delegatedRoleDefinitionIds": Property(Kind.LIST, "delegatedRoleDefinitionIds"),
    "roleDefinitionId": Property(wire="roleDefinitionId", required=True),
}
_POLICY = {
    "managedByTenantApprovers": Property(Kind.BLOCKS, "managedByTenantApprovers", fields=_PRINCIPAL),
    "maximumActivationDuration": Property(wire="maximumActivationDuration"),
    "multiFactorAuthProvider": Property(wire="multiFactorAuthProvider", required=True),
}
_ELIGIBLE_AUTHORIZATION = {
    **_PRINCIPAL,
    "justInTimeAccessPolicy": Property(Kind.BLOCK, "justInTimeAccessPolicy", fields=_POLICY),
    "roleDefinitionId": Property(wire="roleDefinitionId", required=True),
}
_ANSWERED = {"name": told("name"), "systemData": told("systemData", Kind.MAP), "type": told("type")}
_DEFINITION = {
    "plan": Property(
        Kind.BLOCK,
        "plan",
        fields={name: Property(wire=name, required=True) for name in ("name", "product", "publisher", "version")},
    ),
    "properties": Property(
        Kind.BLOCK,
        "properties",
        fields={
            "authorizations": Property(Kind.BLOCKS, "authorizations", required=True, fields=_AUTHORIZATION),
            "description": Property(wire="description"),
            "eligibleAuthorizations": Property(Kind.BLOCKS, "eligibleAuthorizations", fields=_ELIGIBLE_AUTHORIZATION),
            "managedByTenantId": Property(wire="managedByTenantId", required=True),
            "registrationDefinitionName": Property(wire="registrationDefinitionName"),
        },
    ),
    "registrationDefinitionId": Property(replaces=True),
    "scope": Property(required=True, replaces=True),
    **_ANSWERED,
}
_ASSIGNMENT = {
    "properties": Property(
        Kind.BLOCK,
        "properties",
        # No replacement: the real plugin sends another definition under the old name.
        fields={"registrationDefinitionId": Property(wire="registrationDefinitionId", required=True)},
    ),
    "registrationAssignmentId": Property(replaces=True),
    "scope": Property(required=True, replaces=True),
    **_ANSWERED,
}


class _Registration(ArmResource):
    """A definition or an assignment: its name is an input, its properties are one object."""

    api_version = "2022-10-01"
    kind: str

    @override
    def _path(self, inputs: Properties) -> str:
        return under(inputs["scope"], f"Microsoft.ManagedServices/{self.kind}/{inputs[self.name_property]}")

    @override
    def _path_inputs(self, resource_id: str) -> Properties:
        match = re.fullmatch(
            rf"(.*)/providers/Microsoft\.ManagedServices/{self.kind}/([^/]+)", resource_id, re.IGNORECASE
        )
        if not match:
            raise ProviderError(f"{resource_id!r} is no id of {self.token}")
        return {"scope": match[1], self.name_property: match[2]}

    @override
    def _automatic_name(self, name: str, seed: bytes) -> str:
        # As the real plugin makes it up, although the service takes nothing but a GUID.
        return f"{name}{hashlib.sha256(seed).hexdigest()[:8]}"

    @override
    def _input(self, name: str, value: Any) -> Any:
        return _writable(self.schema[name], value)


def _writable(prop: Property, value: Any) -> Any:
    """Return of a value that the service answered what a program can write."""
    if prop.kind is Kind.BLOCKS:
        return [_writable_fields(prop.fields, item) for item in value]
    return _writable_fields(prop.fields, value) if prop.kind is Kind.BLOCK else value


def _writable_fields(fields: rules.Schema, value: Properties) -> Properties:
    return {name: _writable(fields[name], inner) for name, inner in value.items() if name in fields}


class RegistrationDefinition(_Registration):
    """What a customer's subscription offers to a managing tenant."""

    token = "azure-native:managedservices:RegistrationDefinition"  # noqa: S105
    kind = "registrationDefinitions"
    schema = _DEFINITION
    name_property = "registrationDefinitionId"


class RegistrationAssignment(_Registration):
    """A definition put to use on a subscription or a resource group."""

    token = "azure-native:managedservices:RegistrationAssignment"  # noqa: S105
    kind = "registrationAssignments"
    schema = _ASSIGNMENT
    name_property = "registrationAssignmentId"
