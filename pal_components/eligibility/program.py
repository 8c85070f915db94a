"""A program's resources as the rules see them, free of Pulumi: who is linked, who has which role where."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pal_components.eligibility.roles import Role, UnknownRole, find_role
from pal_components.eligibility.scopes import InvalidScope, Scope, parse_scope

PARTNER_LINK = "pulumi-python:dynamic/pal:PartnerLink"
NATIVE_PARTNER = "azure-native:managementpartner:Partner"
ROLE_ASSIGNMENT = "azure-native:authorization:RoleAssignment"
REGISTRATION_DEFINITION = "azure-native:managedservices:RegistrationDefinition"
MANAGED_IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"
APPLICATION = "azuread:index/application:Application"
SERVICE_PRINCIPAL = "azuread:index/servicePrincipal:ServicePrincipal"
USER = "azuread:index/user:User"
APPLICATION_PASSWORD = "azuread:index/applicationPassword:ApplicationPassword"  # noqa: S105 a type, no password
PRINCIPAL_PASSWORD = "azuread:index/servicePrincipalPassword:ServicePrincipalPassword"  # noqa: S105 the same

LINKS = (PARTNER_LINK, NATIVE_PARTNER)
"""What links a principal to a partner ID."""
_CLOUD_VERSION = re.compile(r"(azure-native)(?:_\w+)?:(\w+)(?:/v\w+)?:(\w+)")


class _Unknown:
    """A value that only the next update will tell."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = _Unknown()
"""Stands in properties, at any depth, for a value that is not known at preview."""


@dataclass(frozen=True)
class Resource:
    """A resource of a program, as far as the rules look at it."""

    type: str
    """Pulumi type token. API versions in azure-native's are ignored."""
    urn: str
    """URN, or whatever tells resources apart."""
    properties: Mapping[str, Any]
    """Inputs or outputs under the provider's names, unknown values as UNKNOWN."""
    dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """For each property the URNs of the resources that it comes from: tells whose id it is before the id is known."""
    parent: str | None = None
    """URN of the component that it belongs to."""
    provider: Mapping[str, Any] = field(default_factory=dict)
    """Configuration of the explicit provider that manages it."""

    @property
    def name(self) -> str:
        """The resource's name: the last part of its URN."""
        return self.urn.rsplit("::", 1)[-1]

    @cached_property
    def kind(self) -> str:
        """The type token without an API version."""
        match = _CLOUD_VERSION.fullmatch(self.type)
        return ":".join(match.groups()) if match else self.type


@dataclass(frozen=True)
class Grant:
    """A role that a principal has on a scope."""

    resource: Resource
    """The resource that assigns it."""
    keys: frozenset[str]
    """What identifies the principal. Empty: not known."""
    role: Role | None
    """The role. None: not known."""
    scope: Scope | None
    """The scope. None: not known."""


@dataclass(frozen=True)
class Program:
    """All resources of a program, and who in it is who."""

    resources: tuple[Resource, ...]
    """The resources."""

    def of(self, *kinds: str) -> list[Resource]:
        """Return the resources of some kinds."""
        return [resource for resource in self.resources if resource.kind in kinds]

    @cached_property
    def links(self) -> list[tuple[Resource, frozenset[str]]]:
        """Every partner link, and what identifies the principal that is linked."""
        return [
            (link, self.principal(link, "object_id" if link.kind == PARTNER_LINK else "objectId"))
            for link in self.of(*LINKS)
        ]

    @cached_property
    def grants(self) -> list[Grant]:
        """Every role that the program assigns, directly or through Lighthouse."""
        return [
            *(
                Grant(
                    row, self.principal(row, "principalId"), _role(row.properties.get("roleDefinitionId")), _scope(row)
                )
                for row in self.of(ROLE_ASSIGNMENT)
            ),
            *(
                Grant(row, known_id(one.get("principalId")), _role(one.get("roleDefinitionId")), _scope(row))
                for row in self.of(REGISTRATION_DEFINITION)
                for one in _authorizations(row)
            ),
        ]

    def principal(self, resource: Resource, name: str) -> frozenset[str]:
        """Return what identifies the principal whose object id a property holds.

        That is its id where it is known, and the URN of the resource that it comes from where there is exactly one.
        """
        origins = {urn for urn in resource.dependencies.get(name, ()) if urn in self._principals}
        value = known_id(resource.properties.get(name))
        made = {urn for urn, ids in self._principals.items() if ids & value}
        return value | made | (origins if len(origins) == 1 else frozenset())

    @cached_property
    def _principals(self) -> dict[str, frozenset[str]]:
        """The ids, as far as they are known, of the principals that resources of the program make."""
        users = {row.urn: known_id(row.properties.get("objectId")) for row in self.of(SERVICE_PRINCIPAL, USER)}
        return users | self.managed_identities

    @cached_property
    def managed_identities(self) -> dict[str, frozenset[str]]:
        """The ids, as far as they are known, of managed identities by the URN of the resource that has them."""
        made = {row.urn: known_id(row.properties.get("principalId")) for row in self.of(MANAGED_IDENTITY)}
        for row in self.resources:
            identity = row.properties.get("identity")
            if isinstance(identity, Mapping) and "systemassigned" in str(identity.get("type")).casefold():
                made[row.urn] = known_id(identity.get("principalId"))
        return made

    def ancestors(self, resource: Resource) -> Iterator[Resource]:
        """Yield the components that a resource belongs to, the nearest first."""
        seen = {resource.urn}
        while (parent := self._by_urn.get(resource.parent or "")) is not None and parent.urn not in seen:
            yield parent
            seen.add(parent.urn)
            resource = parent

    @cached_property
    def _by_urn(self) -> dict[str, Resource]:
        return {resource.urn: resource for resource in self.resources}


def known_id(value: Any) -> frozenset[str]:
    """Return an identifier in the form in which identifiers are compared; nothing where it is not known."""
    return frozenset({value.strip().lower()}) if isinstance(value, str) and value.strip() else frozenset()


def _role(value: Any) -> Role | None:
    try:
        return find_role(value) if isinstance(value, str) else None
    except UnknownRole:
        return None


def _scope(resource: Resource) -> Scope | None:
    value = resource.properties.get("scope")
    try:
        return parse_scope("/" + value.strip().strip("/")) if isinstance(value, str) else None
    except InvalidScope:
        return None


def _authorizations(resource: Resource) -> list[Mapping[str, Any]]:
    inner = resource.properties.get("properties")
    rows = inner.get("authorizations") if isinstance(inner, Mapping) else None
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        return [{}] if rows is UNKNOWN or inner is UNKNOWN else []
    return [row if isinstance(row, Mapping) else {} for row in rows]
