"""LighthouseDelegation: what a customer delegates to principals of the partner's tenant through Azure Lighthouse."""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pulumi
from pulumi_azure_native import managedservices
from typing_extensions import NotRequired, TypedDict

from pal_components.attestation import ApprovalArgs, attest
from pal_components.eligibility.roles import Role, Verdict, find_role, why_not_eligible
from pal_components.eligibility.scopes import Scope, ScopeKind, parse_scope
from pal_components.inputs import InputError, checked, only_known_keys
from pal_components.link.identifiers import parse_object_id, parse_tenant_id
from pal_components.review import review

_NAMES = uuid.UUID("0f0f8a52-8f0e-5a0f-9d6a-6b1f5f6a2c77")
_MAX_APPROVERS = 10
_SHORTEST, _LONGEST = 30, 8 * 60
_WHY_NOT = {
    "owner": "Azure Lighthouse never delegates Owner",
    "data-actions": "Azure Lighthouse delegates no role with data actions",
    "authorization-actions": "Azure Lighthouse delegates no role that writes or deletes authorizations",
}


class AuthorizationArgs(TypedDict):
    """What a principal of the managing tenant may do."""

    principal_id: pulumi.Input[str]
    """Object id of a user, group or service principal in the managing tenant, GUID."""
    principal_name: pulumi.Input[str]
    """What the customer's administrators read in its place."""
    role: str
    """Built-in role, by name, GUID or full id."""
    delegated_roles: NotRequired[list[str]]
    """Roles that it may assign to managed identities. Only with User Access Administrator, and then required."""


class ApproverArgs(TypedDict):
    """Who approves an activation."""

    principal_id: pulumi.Input[str]
    """Object id of a user or group in the managing tenant, GUID."""
    principal_name: pulumi.Input[str]
    """What the customer's administrators read in its place."""


class EligibleAuthorizationArgs(TypedDict):
    """What a user or group of the managing tenant may activate just in time."""

    principal_id: pulumi.Input[str]
    """Object id of a user or group in the managing tenant, GUID. It needs a permanent authorization too."""
    principal_name: pulumi.Input[str]
    """What the customer's administrators read in its place."""
    principal_type: str
    """`User` or `Group`: service principals cannot activate anything."""
    role: str
    """Built-in role, by name, GUID or full id."""
    maximum_duration: NotRequired[str]
    """How long an activation may last, ISO 8601 duration from `PT30M` to `PT8H`. Default: `PT8H`."""
    multi_factor: NotRequired[bool]
    """Whether an activation asks for multi-factor authentication. Default: true."""
    approvers: NotRequired[list[ApproverArgs]]
    """Who approves an activation, at most 10. Default: nobody has to."""


class HomeLinkArgs(TypedDict):
    """The one link of the partner's principal, in the partner's home tenant."""

    partner_id: pulumi.Input[str]
    """Partner ID that it names, digits."""
    tenant_id: pulumi.Input[str]
    """The partner's home tenant, GUID."""
    object_id: pulumi.Input[str]
    """Object id of the linked principal in the home tenant, GUID."""
    partner_name: NotRequired[pulumi.Input[str]]
    """The partner's name."""
    client_id: NotRequired[pulumi.Input[str]]
    """Application (client) id of the linked principal, GUID."""
    display_name: NotRequired[pulumi.Input[str]]
    """Name of the linked principal."""
    state: NotRequired[pulumi.Input[str]]
    """State of the link. Default: `Active`."""


class LighthouseDelegationArgs(TypedDict):
    """What a delegation is made of."""

    scopes: list[str]
    """ARM ids of subscriptions or resource groups of the customer. Management groups cannot be delegated."""
    home_link: HomeLinkArgs
    """The partner's link: an output of the stack of the partner's home tenant."""
    authorizations: list[AuthorizationArgs]
    """What principals of the managing tenant may do, permanently. The linked principal is one of them."""
    eligible_authorizations: NotRequired[list[EligibleAuthorizationArgs]]
    """What users and groups of the managing tenant may activate just in time."""
    offer: NotRequired[pulumi.Input[str]]
    """What the customer's administrators read as the name of the offer. Default: the component's name."""
    description: NotRequired[pulumi.Input[str]]
    """What they read below it."""
    customer: NotRequired[pulumi.Input[str]]
    """The customer's name, for the evidence. Default: the component's name."""
    approval: NotRequired[ApprovalArgs]
    """The customer's approval, for the evidence."""
    suppressions: NotRequired[dict[str, str]]
    """Rules whose findings are acceptable here, each with the reason."""


def recommended_authorizations(
    *,
    managers: tuple[pulumi.Input[str], str],
    consultants: tuple[pulumi.Input[str], str],
    linked_principal: tuple[pulumi.Input[str], str],
    working_role: str = "Support Request Contributor",
) -> list[AuthorizationArgs]:
    """Return the permanent authorizations that are recommended, each principal as (object id, name).

    Managers may remove the delegation (Managed Services Registration assignment Delete Role), consultants read and open
    support requests, the linked service principal has its working role.

    Source: Microsoft, Onboard a customer to Azure Lighthouse, 2025.
    """
    return [
        {
            "principal_id": managers[0],
            "principal_name": managers[1],
            "role": "91c1777a-f3dc-4fae-b103-61d183457e46",
        },
        {"principal_id": consultants[0], "principal_name": consultants[1], "role": "Reader"},
        {"principal_id": consultants[0], "principal_name": consultants[1], "role": "Support Request Contributor"},
        {"principal_id": linked_principal[0], "principal_name": linked_principal[1], "role": working_role},
    ]


class LighthouseDelegation(pulumi.ComponentResource):
    """A registration definition in each of the customer's subscriptions, and its assignment to each scope.

    The partner's principal is linked once, in the partner's home tenant; every customer's delegation refers to that
    link. All that Azure refuses is refused at preview.

    Source: Microsoft, Tenants, users, and roles in Azure Lighthouse scenarios; Link a partner ID for Lighthouse, 2025.
    """

    attestation: pulumi.Output[dict[str, Any]]
    """The evidence: the home tenant's link, and what its principal may do in the customer's subscriptions."""
    registrations: pulumi.Output[list[str]]
    """ARM ids of the registration assignments."""

    def __init__(self, name: str, args: LighthouseDelegationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the delegation. Raises InputError for what Azure Lighthouse would refuse, or what earns nothing."""
        super().__init__("pal:index:LighthouseDelegation", name, None, opts)
        only_known_keys(name, args, LighthouseDelegationArgs)
        scopes = _scopes(name, args.get("scopes"))
        link = args.get("home_link")
        if not isinstance(link, Mapping):
            raise InputError(name, "home_link", "is missing: give the link of the partner's home tenant")
        only_known_keys(name, link, HomeLinkArgs, "home_link.")
        for key in ("partner_id", "tenant_id", "object_id"):
            if link.get(key) is None:
                raise InputError(name, f"home_link.{key}", "is missing: it is an output of the PartnerLink")
        managing_tenant = checked(name, "home_link.tenant_id", link["tenant_id"], parse_tenant_id)
        permanent = _permanent(name, args.get("authorizations"))
        eligible = _eligible(name, args.get("eligible_authorizations") or [], permanent)
        linked = [role for principal_id, role, _ in permanent if _same(principal_id, link["object_id"])]
        if not linked:
            raise InputError(
                name,
                "authorizations",
                "has none for the linked principal (home_link.object_id): its link would earn nothing",
            )
        if all(role.verdict is Verdict.NO for role in linked):
            raise InputError(
                name, "authorizations", f"gives the linked principal no role that counts: {why_not_eligible(linked[0])}"
            )

        review(
            self,
            name,
            link={"partner_id": link["partner_id"], "tenant_id": managing_tenant},
            approval=args.get("approval"),
            grants=[(scope.id, role.guid) for scope in scopes for role in linked],
            standing_secret=False,
            suppressions=args.get("suppressions") or {},
        )

        child = pulumi.ResourceOptions(parent=self)
        properties: dict[str, Any] = {
            "registration_definition_name": args.get("offer") or name,
            "description": args.get("description"),
            "managed_by_tenant_id": managing_tenant,
            "authorizations": [authorization for _, _, authorization in permanent],
        }
        if eligible:
            properties["eligible_authorizations"] = eligible
        definitions: dict[str, managedservices.RegistrationDefinition] = {}
        registrations = []
        for scope in scopes:
            subscription = scope.subscription
            label = subscription.rsplit("/", 1)[1][:8]
            if subscription not in definitions:
                definitions[subscription] = managedservices.RegistrationDefinition(
                    f"{name}-{label}",
                    scope=subscription.lstrip("/"),
                    # Azure changes neither the managing tenant of a definition nor the definition of an assignment:
                    # the names follow from them, so that another one is another resource.
                    registration_definition_id=_guid(name, managing_tenant, subscription.lower()),
                    properties=cast(Any, {key: value for key, value in properties.items() if value is not None}),
                    opts=child,
                )
            last = re.sub(r"[^a-z0-9]+", "-", scope.key.rsplit("/", 1)[1]).strip("-")[:24]
            registrations.append(
                managedservices.RegistrationAssignment(
                    f"{name}-{label}-{last}",
                    scope=scope.id.lstrip("/"),
                    registration_assignment_id=_guid(name, managing_tenant, scope.key),
                    properties={"registration_definition_id": definitions[subscription].id},
                    opts=child,
                )
            )
        self.registrations = pulumi.Output.all(*[registration.id for registration in registrations])
        self.attestation = pulumi.Output.all(
            tenant_id=managing_tenant,
            tenant_display_name=args.get("customer") or name,
            tenant_default_domain=None,
            principal_type="ServicePrincipal",
            display_name=link.get("display_name"),
            client_id=link.get("client_id"),
            object_id=link["object_id"],
            partner_id=link["partner_id"],
            partner_name=link.get("partner_name"),
            state=link.get("state") or "Active",
            approval=args.get("approval"),
            assignments=self.registrations.apply(lambda ids: _evidence(ids, scopes, linked)),
        ).apply(lambda known: attest(**known))
        self.register_outputs({"attestation": self.attestation, "registrations": self.registrations})


def _guid(*parts: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.all(*parts).apply(lambda known: str(uuid.uuid5(_NAMES, "|".join(known))))


def _scopes(name: str, given: Any) -> list[Scope]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise InputError(name, "scopes", "is empty: name the customer's subscriptions or resource groups, a list")
    result: dict[Scope, None] = {}
    for i, value in enumerate(given):
        scope = checked(name, f"scopes[{i}]", value, lambda text: parse_scope(str(text)))
        assert isinstance(scope, Scope)
        if scope.kind not in (ScopeKind.SUBSCRIPTION, ScopeKind.RESOURCE_GROUP):
            raise InputError(
                name,
                f"scopes[{i}]",
                f"is a {scope.kind.value}: Azure Lighthouse delegates subscriptions and resource groups, name those",
            )
        result[scope] = None
    return list(result)


def _role(name: str, path: str, given: Any) -> Role:
    role = checked(name, path, given, lambda text: find_role(str(text)))
    assert isinstance(role, Role)
    if role.lighthouse is None:
        raise InputError(name, path, f"is {given!r}, a custom role: Azure Lighthouse delegates built-in roles only")
    if role.lighthouse in _WHY_NOT:
        raise InputError(name, path, f"is {role.name!r}: {_WHY_NOT[role.lighthouse]}")
    return role


def _principal_id(name: str, path: str, entry: Mapping[str, Any]) -> pulumi.Input[str]:
    what = "the object id of a principal of the managing tenant"
    return checked(name, f"{path}.principal_id", entry.get("principal_id"), lambda value: parse_object_id(value, what))


def _permanent(name: str, given: Any) -> list[tuple[pulumi.Input[str], Role, dict[str, Any]]]:
    """Return principal, role and wire form of each permanent authorization."""
    if not isinstance(given, Sequence) or not given:
        raise InputError(name, "authorizations", "is empty: a delegation needs at least one")
    result = []
    for i, entry in enumerate(given):
        path = f"authorizations[{i}]"
        only_known_keys(name, entry, AuthorizationArgs, f"{path}.")
        role = _role(name, f"{path}.role", entry.get("role"))
        delegated = [
            _role(name, f"{path}.delegated_roles[{j}]", text)
            for j, text in enumerate(entry.get("delegated_roles") or [])
        ]
        if (role.lighthouse == "delegated-roles-only") != bool(delegated):
            raise InputError(
                name,
                f"{path}.delegated_roles",
                "is needed with User Access Administrator, which Azure Lighthouse delegates only for assigning these "
                "roles to managed identities"
                if not delegated
                else f"goes with User Access Administrator only, not with {role.name!r}",
            )
        if any(inner.lighthouse == "delegated-roles-only" for inner in delegated):
            raise InputError(name, f"{path}.delegated_roles", "cannot have User Access Administrator itself")
        principal_id = _principal_id(name, path, entry)
        wire: dict[str, Any] = {
            "principal_id": principal_id,
            "principal_id_display_name": entry.get("principal_name"),
            "role_definition_id": role.guid,
        }
        if delegated:
            wire["delegated_role_definition_ids"] = [inner.guid for inner in delegated]
        result.append((principal_id, role, wire))
    return result


def _eligible(
    name: str, given: Sequence[Mapping[str, Any]], permanent: list[tuple[pulumi.Input[str], Role, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return the wire form of each just-in-time authorization."""
    result = []
    for i, entry in enumerate(given):
        path = f"eligible_authorizations[{i}]"
        only_known_keys(name, entry, EligibleAuthorizationArgs, f"{path}.")
        if entry.get("principal_type") not in ("User", "Group"):
            raise InputError(
                name,
                f"{path}.principal_type",
                f"is {entry.get('principal_type')!r}: only a User or a Group can activate a role, "
                "a service principal needs a permanent authorization",
            )
        principal_id = _principal_id(name, path, entry)
        if not any(_same(other, principal_id) for other, _, _ in permanent):
            raise InputError(
                name, f"{path}.principal_id", "has no permanent authorization, which it needs too: Reader, as a rule"
            )
        role = _role(name, f"{path}.role", entry.get("role"))
        if role.lighthouse == "delegated-roles-only":
            raise InputError(
                name, f"{path}.role", "is User Access Administrator, which cannot be activated just in time"
            )
        duration = entry.get("maximum_duration") or "PT8H"
        if not _SHORTEST <= _minutes(duration) <= _LONGEST:
            raise InputError(
                name, f"{path}.maximum_duration", f"is {duration!r}: give an ISO 8601 duration from PT30M to PT8H"
            )
        approvers = entry.get("approvers") or []
        if len(approvers) > _MAX_APPROVERS:
            raise InputError(
                name, f"{path}.approvers", f"has {len(approvers)}: Azure Lighthouse takes {_MAX_APPROVERS} at most"
            )
        policy: dict[str, Any] = {
            "maximum_activation_duration": duration,
            "multi_factor_auth_provider": "Azure" if entry.get("multi_factor", True) else "None",
        }
        if approvers:
            policy["managed_by_tenant_approvers"] = [
                {
                    "principal_id": _principal_id(name, f"{path}.approvers[{j}]", approver),
                    "principal_id_display_name": approver.get("principal_name"),
                }
                for j, approver in enumerate(approvers)
            ]
        result.append(
            {
                "principal_id": principal_id,
                "principal_id_display_name": entry.get("principal_name"),
                "role_definition_id": role.guid,
                "just_in_time_access_policy": policy,
            }
        )
    return result


def _minutes(duration: str) -> int:
    """Return the minutes of an ISO 8601 duration of hours and minutes; -1 for what is none."""
    match = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?", duration)
    if match is None or not (match[1] or match[2]):
        return -1
    return int(match[1] or 0) * 60 + int(match[2] or 0)


def _same(one: Any, other: Any) -> bool:
    """Whether two principals are the same, as far as it is known: an Output is the same as itself."""
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return one is other or isinstance(one, pulumi.Output) or isinstance(other, pulumi.Output)


def _evidence(ids: Sequence[str], scopes: Sequence[Scope], roles: Sequence[Role]) -> list[dict[str, Any]]:
    return [
        {
            "scope": scope.id,
            "id": registration,
            "roleName": role.name,
            "roleType": "BuiltInRole",
            "eligible": role.verdict.value,
            "supporting": role.verdict is Verdict.NO,
        }
        for registration, scope in zip(ids, scopes, strict=True)
        for role in roles
    ]
