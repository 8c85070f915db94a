"""EligibleRoleAssignments: the role assignments that make a link count."""

import hashlib
import re
import uuid
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_azure_native import authorization
from typing_extensions import NotRequired, TypedDict

from pal_components.eligibility.roles import LEAST_PRIVILEGE, Role, Verdict, find_role, why_not_eligible, why_unlisted
from pal_components.eligibility.scopes import Scope, ScopeKind, parse_scope
from pal_components.inputs import InputError, checked, only_known_keys

_NAMES = uuid.UUID("6f1d3c0e-5c0b-5a55-9c0f-0f3a3d7c2b11")


class EligibleRoleAssignmentsArgs(TypedDict):
    """Who gets which roles where."""

    principal_id: pulumi.Input[str]
    """Object id of the principal, GUID."""
    scopes: list[pulumi.Input[str]]
    """ARM ids of management groups, subscriptions, resource groups or resources."""
    roles: NotRequired[list[pulumi.Input[str]]]
    """Roles that count, by name, GUID or full id. Default: `Support Request Contributor`, the least that counts."""
    supporting_roles: NotRequired[list[pulumi.Input[str]]]
    """Roles that the principal needs as well, by name, GUID or full id. Assigned, never counted."""
    accepted_roles: NotRequired[dict[str, str]]
    """Roles among `roles` that are not listed as eligible, each with the reason why it is assigned all the same."""
    principal_type: NotRequired[pulumi.Input[str]]
    """`ServicePrincipal` (default) or `User`."""


class EligibleRoleAssignments(pulumi.ComponentResource):
    """One role assignment for each pair of scope and role, checked for partner earned credit before anything is made.

    A role that is listed as not eligible is an error, one that is on no list a warning. Assignments have names that
    follow from principal, scope and role, so that one that a crash left behind is recognised.

    Source: Microsoft, Roles and permissions required to earn partner earned credit, 2022-11-08.
    """

    assignments: pulumi.Output[list[dict[str, Any]]]
    """What was assigned: `scope`, `id`, `roleName`, `roleType`, `eligible` (yes, no, unlisted), `supporting`,
    `since`."""

    def __init__(
        self, name: str, args: EligibleRoleAssignmentsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare them. Raises InputError for an input that cannot be right."""
        super().__init__("pal:index:EligibleRoleAssignments", name, None, opts)
        only_known_keys(name, args, EligibleRoleAssignmentsArgs)
        if args.get("principal_id") is None:
            raise InputError(name, "principal_id", "is missing: give the object id of the principal")
        scopes = _scopes(name, args.get("scopes"))
        self._accepted = _accepted(name, args.get("accepted_roles") or {})
        roles = self._roles(name, args)
        principal_id = pulumi.Output.from_input(args["principal_id"])

        evidence = []
        for scope_label, scope in scopes.items():
            for role_label, (role, counted) in roles.items():
                definition_id = pulumi.Output.all(scope, role).apply(_definition_id)
                assignment = authorization.RoleAssignment(
                    f"{name}-{scope_label}-{role_label}",
                    scope=pulumi.Output.from_input(scope).apply(str),
                    role_definition_id=definition_id,
                    principal_id=principal_id,
                    # Without it ARM looks the principal up, and one that is seconds old is not there yet.
                    principal_type=args.get("principal_type") or "ServicePrincipal",
                    role_assignment_name=pulumi.Output.all(principal_id, scope, role).apply(_assignment_name),
                    description=self._description(role, counted),
                    opts=pulumi.ResourceOptions(parent=self),
                )
                known = pulumi.Output.all(assignment.id, scope, role, counted, assignment.created_on)
                evidence.append(known.apply(self._evidence))
        self.assignments = pulumi.Output.all(*evidence)
        self.register_outputs({"assignments": self.assignments})

    def _roles(self, name: str, args: EligibleRoleAssignmentsArgs) -> dict[str, tuple[pulumi.Input[Role], bool]]:
        """Return the roles by label; one that counts and supports is one that counts."""
        counted = _sequence(name, "roles", _counted(args.get("roles")))
        if not counted:
            raise InputError(
                name,
                "roles",
                f"is empty, and without an eligible role nothing is earned: leave it out for {LEAST_PRIVILEGE!r}",
            )
        supporting = _sequence(name, "supporting_roles", args.get("supporting_roles") or [])
        result: dict[str, tuple[pulumi.Input[Role], bool]] = {}
        for i, given in enumerate(supporting):
            role = checked(name, f"supporting_roles[{i}]", given, _find_role)
            result[_label(role, f"supporting{i}")] = (role, False)
        for i, given in enumerate(counted):
            role = checked(name, f"roles[{i}]", given, self._counted_role)
            result[_label(role, f"role{i}")] = (role, True)
        return result

    def _counted_role(self, given: Any) -> Role:
        role = _find_role(given)
        if role.guid in self._accepted:
            return role
        if role.verdict is Verdict.NO:
            raise ValueError(why_not_eligible(role))
        if role.verdict is Verdict.UNLISTED:
            pulumi.log.warn(why_unlisted(role), self)
        return role

    def _description(self, role: pulumi.Input[Role], counted: bool) -> str | None:
        """Tell the policy pack, and who reads the assignment in the portal, that somebody decided about the role."""
        reason = self._accepted.get(role.guid) if counted and isinstance(role, Role) else None
        return f"pal-suppress PAL001: {reason}" if reason else None

    def _evidence(self, values: Sequence[Any]) -> dict[str, Any]:
        assignment_id, scope, role, counted, since = values
        accepted = self._accepted.get(role.guid) if counted and role.verdict is not Verdict.YES else None
        return {
            "scope": scope.id,
            "id": assignment_id,
            "roleName": role.name,
            "roleType": "BuiltInRole" if role.built_in else "CustomRole",
            "eligible": role.verdict.value,
            "supporting": not counted,
            "since": since,
            **({"accepted": accepted} if accepted else {}),
        }


def _counted(roles: Any) -> Any:
    return [LEAST_PRIVILEGE] if roles is None else roles


def grants(scopes: Any, roles: Any, supporting_roles: Any) -> list[tuple[Any, Any]]:
    """Return each pair of scope and role that these inputs declare, as they were given, for the rules to look at."""
    return [(scope, role) for scope in scopes or () for role in [*_counted(roles), *(supporting_roles or ())]]


def _accepted(name: str, given: dict[str, str]) -> dict[str, str]:
    """Return the reasons by the GUID of the role that each accepts."""
    result = {}
    for role, reason in given.items():
        path = f"accepted_roles[{role!r}]"
        if not isinstance(reason, str) or not reason.strip():
            raise InputError(name, path, "has no reason: say why a role that is not listed as eligible is assigned")
        found = checked(name, path, role, _find_role)
        assert isinstance(found, Role)
        result[found.guid] = reason.strip()
    return result


def _find_role(given: Any) -> Role:
    if not isinstance(given, str) or not given.strip():
        raise ValueError(f"is {given!r}: give a role's name, its GUID or its full id")
    try:
        return find_role(given)
    except ValueError as error:
        raise ValueError(f"is {given!r}: {error}") from None


def _sequence(name: str, property_path: str, value: Any) -> Sequence[Any]:
    if isinstance(value, (str, pulumi.Output)) or not isinstance(value, Sequence):
        raise InputError(
            name,
            property_path,
            f"must be a list (its elements may be outputs), not {type(value).__name__}",
        )
    return value


def _scopes(name: str, given: Any) -> dict[str, pulumi.Input[Scope]]:
    """Return the scopes by label, doubles once."""
    if not given:
        raise InputError(
            name,
            "scopes",
            "is empty: recognition runs over the resources under a scope, so name at least one ARM id",
        )
    result: dict[str, pulumi.Input[Scope]] = {}
    for i, value in enumerate(_sequence(name, "scopes", given)):
        scope = checked(name, f"scopes[{i}]", value, _parse_scope)
        result[_label(scope, f"scope{i}")] = scope
    return result


def _parse_scope(given: Any) -> Scope:
    if not isinstance(given, str) or not given.strip():
        raise ValueError(f"is {given!r}: give an ARM id such as /subscriptions/GUID")
    try:
        return parse_scope(given)
    except ValueError as error:
        raise ValueError(f"is no scope: {error}") from None


def role_label(role: Role) -> str:
    """Return how a role is called in the names of resources.

    Role names change and GUIDs do not, hence the GUID; some GUIDs differ in their middle alone, hence the digest.
    """
    return f"{role.guid[:8]}-{_digest(role.guid)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _label(value: Any, position: str) -> str:
    """Return what names the resource: from the value where it is known, so that the order does not matter."""
    if isinstance(value, Role):
        return role_label(value)
    if isinstance(value, Scope):
        last = re.sub(r"[^a-z0-9]+", "-", value.key.rsplit("/", 1)[1])[
            : 8 if value.kind is ScopeKind.SUBSCRIPTION else 24
        ].strip("-")
        return f"{last}-{_digest(value.key)}"
    return position


def _definition_id(values: Sequence[Any]) -> str:
    """Return the id of the role definition in the form in which ARM answers, so that a refresh finds no difference."""
    scope, role = values
    prefix = scope.role_definition_prefix if role.definition_scope is None else role.definition_scope
    return f"{prefix}/providers/Microsoft.Authorization/roleDefinitions/{role.guid}"


def _assignment_name(values: Sequence[Any]) -> str:
    principal_id, scope, role = values
    return str(uuid.uuid5(_NAMES, f"{principal_id.lower()}|{scope.key}|{role.guid}"))
