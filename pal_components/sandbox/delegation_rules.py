"""What Azure Lighthouse refuses in a registration definition, as one function over the request's properties.

Sources: Azure Lighthouse, "Tenants, users, and roles", "Create eligible authorizations" and "Onboard a customer"
(Microsoft Learn, 2026), and recorded refusals where the messages are Azure's; what is inferred is on the fidelity page.
"""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from pal_components.sandbox.errors import ArmError
from pal_components.sandbox.roles import Role, built_in_roles
from pal_components.sandbox.state import State

REFUSED = "InvalidRegistrationDefinitionCreateRequest"
_OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
_USER_ACCESS_ADMINISTRATOR = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
_RESTRICTED = (_OWNER, _USER_ACCESS_ADMINISTRATOR)
_DURATION = re.compile(r"PT(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?")
_SHORTEST, _LONGEST = 30 * 60, 8 * 60 * 60
_MOST_APPROVERS = 10


def refuse(message: str) -> ArmError:
    """Return Azure Lighthouse's refusal of a registration definition."""
    return ArmError(400, REFUSED, message)


def is_guid(value: object) -> bool:
    """Whether a value is a GUID as text, with dashes."""
    try:
        return str(uuid.UUID(str(value))) == str(value).lower()
    except ValueError:
        return False


def check(state: State, name: str, properties: Mapping[str, Any], tenant_id: str) -> None:
    """Raise what Azure Lighthouse answers to a definition of this name in a customer's tenant, if it is refused."""
    managing = properties.get("managedByTenantId")
    if not is_guid(managing):
        raise refuse(f"The managing tenant identifier '{managing}' of registration definition '{name}' is no GUID.")
    if str(managing).lower() == tenant_id:
        raise refuse(
            f"The managing tenant '{managing}' of registration definition '{name}' is the tenant of the subscription "
            "itself: a subscription is delegated to another tenant."
        )
    authorizations = _objects(properties, "authorizations", name)
    if not authorizations:
        raise refuse(f"The registration definition '{name}' has no authorizations.")
    for entry in authorizations:
        role = _authorized(state, name, entry)
        _check_delegated(name, role, entry)
    policies: dict[str, Any] = {}
    for entry in _objects(properties, "eligibleAuthorizations", name):
        role = _authorized(state, name, entry, eligible=True)
        _refuse_service_principal(state, name, entry, str(managing).lower())
        policy = _policy(state, name, entry)
        if policies.setdefault(role.guid, policy) != policy:
            raise refuse(
                f"The eligible authorizations of registration definition '{name}' with the same role definition "
                f"'{role.guid}' must use the same just-in-time access policy."
            )


def _objects(owner: Mapping[str, Any], key: str, name: str) -> list[dict[str, Any]]:
    value = owner.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise refuse(f"The property '{key}' of registration definition '{name}' is no list of objects.")
    return value


def _authorized(state: State, name: str, entry: Mapping[str, Any], *, eligible: bool = False) -> Role:
    """Return the role of an authorization whose principal and role may be used."""
    _check_principal(state, name, entry.get("principalId"))
    role = _usable_role(name, entry.get("roleDefinitionId"))
    if role.guid == _OWNER or (eligible and role.guid in _RESTRICTED):
        kind, restricted = ("eligible authorization", _RESTRICTED) if eligible else ("authorization", (_OWNER,))
        raise refuse(
            f"The role definition '{role.guid}' is restricted for {kind} in registration definition '{name}'. "
            f"Restricted role definitions are '{';'.join(restricted)}'."
        )
    return role


def _check_principal(state: State, name: str, principal_id: object) -> None:
    if not is_guid(principal_id):
        raise refuse(f"The principal identifier '{principal_id}' in registration definition '{name}' is no GUID.")
    # A frequent mistake: the object id of the registration instead of that of its principal.
    if state.one("SELECT 1 FROM application WHERE id = ?", str(principal_id).lower()):
        raise refuse("Principals of type Application cannot validly be used in role assignments.")


def _usable_role(name: str, role_id: object) -> Role:
    role = built_in_roles().get(str(role_id).lower())
    if role is None or role.lighthouse == "data-actions":
        which = f"'{role_id}' with data actions" if role else f"'{role_id}'"
        raise refuse(
            f"The role definition {which} not allowed for registration definition '{name}'. Only built in role "
            "definitions without any data and notData actions are allowed."
        )
    if role.lighthouse == "authorization-actions":
        raise refuse(
            f"The role definition '{role_id}' is not allowed for registration definition '{name}' because of "
            "restricted actions."
        )
    return role


def _check_delegated(name: str, role: Role, entry: Mapping[str, Any]) -> None:
    delegated = entry.get("delegatedRoleDefinitionIds") or []
    if not isinstance(delegated, list):
        raise refuse(f"The delegatedRoleDefinitionIds in registration definition '{name}' are no list.")
    if bool(delegated) != (role.guid == _USER_ACCESS_ADMINISTRATOR):
        raise refuse(
            f"The registration definition '{name}' needs delegatedRoleDefinitionIds where the role definition is "
            f"'{_USER_ACCESS_ADMINISTRATOR}' (User Access Administrator), and nowhere else."
        )
    for role_id in delegated:
        if _usable_role(name, role_id).guid in _RESTRICTED:
            raise refuse(
                f"The role definition '{role_id}' is restricted for delegated role definitions in registration "
                f"definition '{name}'. Restricted role definitions are '{';'.join(_RESTRICTED)}'."
            )


def _refuse_service_principal(state: State, name: str, entry: Mapping[str, Any], tenant_id: str) -> None:
    principal_id = str(entry["principalId"]).lower()
    if state.one("SELECT 1 FROM service_principal WHERE id = ? AND tenant_id = ?", principal_id, tenant_id):
        raise refuse(
            f"The principal '{principal_id}' is a service principal, which cannot have an eligible authorization in "
            f"registration definition '{name}': only users and groups can."
        )


def _policy(state: State, name: str, entry: Mapping[str, Any]) -> tuple[object, ...]:
    """Return an eligible authorization's checked just-in-time policy in a form that can be compared."""
    policy = entry.get("justInTimeAccessPolicy")
    if policy is None:
        policy = {"multiFactorAuthProvider": "None"}
    if not isinstance(policy, dict) or policy.get("multiFactorAuthProvider") not in ("Azure", "None"):
        raise refuse(f"The multiFactorAuthProvider in registration definition '{name}' is neither 'Azure' nor 'None'.")
    duration = policy.get("maximumActivationDuration", "PT8H")
    match = _DURATION.fullmatch(str(duration))
    parts = match.groups(default="0") if match else ()
    seconds = sum(int(part) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not _SHORTEST <= seconds <= _LONGEST:
        raise refuse(
            f"The maximumActivationDuration '{duration}' in registration definition '{name}' is not between 'PT30M' "
            "and 'PT8H'."
        )
    approvers = _objects(policy, "managedByTenantApprovers", name)
    if len(approvers) > _MOST_APPROVERS:
        raise refuse(
            f"The eligible authorizations of registration definition '{name}' may have {_MOST_APPROVERS} approvers, "
            f"not {len(approvers)}."
        )
    for approver in approvers:
        _check_principal(state, name, approver.get("principalId"))
    ids = tuple(sorted(str(approver["principalId"]).lower() for approver in approvers))
    return (policy["multiFactorAuthProvider"], seconds, ids)
