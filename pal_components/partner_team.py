"""PartnerTeam: the people of a partner in the customer's tenant, who link themselves."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, cast

import pulumi
import pulumi_azuread as azuread
from typing_extensions import NotRequired, TypedDict

from pal_components.attestation import ApprovalArgs, attest
from pal_components.inputs import InputError, checked, only_known_keys
from pal_components.link.identifiers import parse_object_id, parse_partner_id
from pal_components.review import review
from pal_components.role_assignments import EligibleRoleAssignments, EligibleRoleAssignmentsArgs, grants

_PORTAL = "https://portal.azure.com"
_WAYS = ("email", "user_principal_name", "object_id")


class MemberArgs(TypedDict):
    """One person: a guest to invite (`email`), a directory account to create (`user_principal_name`), or an object."""

    email: NotRequired[str]
    """Mail address of a guest to invite."""
    user_principal_name: NotRequired[str]
    """Name of a directory account to create, as `jo@contoso.onmicrosoft.com`; with `initial_password`."""
    initial_password: NotRequired[pulumi.Input[str]]
    """First password of the account, which has to be changed at the first sign-in. Best a Pulumi secret."""
    object_id: NotRequired[pulumi.Input[str]]
    """Object id of somebody who is in the directory already, GUID."""
    display_name: NotRequired[str]
    """The person's name. Default: the address, account or id."""
    linked_on: NotRequired[str]
    """Day on which the person said to have linked, ISO 8601. Nobody else can see it."""


class PartnerTeamArgs(TypedDict):
    """What a team is made of: members, or an existing group."""

    partner_id: pulumi.Input[str]
    """The partner's location account ID (PLA, 'Associated Partner ID'), digits only. It has no default."""
    scopes: list[pulumi.Input[str]]
    """ARM ids on which the team works."""
    members: NotRequired[dict[str, MemberArgs]]
    """The people, each by a short name that stays: it names the resources."""
    group_id: NotRequired[str]
    """Object id of an existing group in place of members, GUID. Its members count one by one, not the group."""
    roles: NotRequired[list[pulumi.Input[str]]]
    """Roles that count. Default: `Support Request Contributor`."""
    supporting_roles: NotRequired[list[pulumi.Input[str]]]
    """Roles beside them. Default: `Reader`, with which the default role is the recommended standing pair."""
    approval: NotRequired[ApprovalArgs]
    """The customer's approval, for the evidence."""
    suppressions: NotRequired[dict[str, str]]
    """Rules whose findings are acceptable here, each with the reason."""
    customer: NotRequired[pulumi.Input[str]]
    """The customer's name, for the evidence. Default: the component's name."""


class PartnerTeam(pulumi.ComponentResource):
    """People link themselves, and nobody can do or see it for them: this prepares it and says who has to do what.

    Guests are invited, accounts created; each person gets the recommended standing pair of roles, Reader and Support
    Request Contributor. Who leaves the list loses the access. With a group the group gets the roles.

    Source: Microsoft, Link a partner ID to your account that's used to manage customers, 2025.
    """

    to_link: pulumi.Output[list[dict[str, Any]]]
    """Who has not said to have linked yet: `name`, `objectId`, `commands`."""
    attestation: pulumi.Output[list[dict[str, Any]]]
    """The evidence, one attestation for each person."""

    def __init__(self, name: str, args: PartnerTeamArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the team. Raises InputError for an input that cannot be right."""
        super().__init__("pal:index:PartnerTeam", name, None, opts)
        only_known_keys(name, args, PartnerTeamArgs)
        partner_id = checked(name, "partner_id", args.get("partner_id"), parse_partner_id)
        review(
            self,
            name,
            link={"partner_id": partner_id},
            approval=args.get("approval"),
            grants=grants(args.get("scopes"), args.get("roles"), _supporting(args)),
            standing_secret=False,
            suppressions=args.get("suppressions") or {},
        )
        child = pulumi.ResourceOptions(parent=self)
        tenant_id = azuread.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self)).tenant_id
        if bool(args.get("members")) == bool(args.get("group_id")):
            raise InputError(name, "members", "or group_id is needed, one of the two")

        if args.get("group_id"):
            group_id = checked(name, "group_id", args["group_id"], _parse_object_id)
            roles = self._roles(f"{name}-group", args, group_id, "Group", child)
            members = azuread.get_group_output(object_id=group_id, opts=pulumi.InvokeOutputOptions(parent=self)).members
            people = pulumi.Output.all(members, roles.assignments).apply(
                lambda known: [{"name": member, "object_id": member, "assignments": known[1]} for member in known[0]]
            )
        else:
            people = pulumi.Output.all(
                *[self._person(name, key, member, args, child) for key, member in (args.get("members") or {}).items()]
            )
        known = pulumi.Output.all(
            people=people,
            tenant_id=tenant_id,
            partner_id=partner_id,
            customer=args.get("customer") or name,
            approval=args.get("approval"),
        )
        self.to_link = known.apply(
            lambda values: [_instruction(person, values) for person in values["people"] if not person.get("linked_on")]
        )
        self.attestation = known.apply(lambda values: [_attest(person, values) for person in values["people"]])
        self.register_outputs({"toLink": self.to_link, "attestation": self.attestation})

    def _person(
        self, name: str, key: str, member: MemberArgs, args: PartnerTeamArgs, child: pulumi.ResourceOptions
    ) -> pulumi.Output[dict[str, Any]]:
        path = f"members[{key!r}]"
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", key):
            raise InputError(name, path, "is no short name: use letters, digits and dashes")
        only_known_keys(name, member, MemberArgs, f"{path}.")
        ways = [way for way in _WAYS if member.get(way) is not None]
        if len(ways) != 1:
            raise InputError(name, path, f"needs exactly one of {', '.join(_WAYS)}")
        linked_on = checked(name, f"{path}.linked_on", member.get("linked_on"), _parse_day)
        account: pulumi.Input[str] | None = None
        if ways == ["email"]:
            email = member["email"]
            if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
                raise InputError(name, f"{path}.email", f"is {email!r}, which is no mail address")
            object_id: pulumi.Input[str] = azuread.Invitation(
                f"{name}-{key}",
                user_email_address=email,
                user_display_name=member.get("display_name"),
                redirect_url=_PORTAL,
                opts=child,
            ).user_id
        elif ways == ["user_principal_name"]:
            if member.get("initial_password") is None:
                raise InputError(name, f"{path}.initial_password", "is missing: a new account needs a first password")
            account = member["user_principal_name"]
            object_id = azuread.User(
                f"{name}-{key}",
                user_principal_name=account,
                display_name=member.get("display_name") or account,
                password=pulumi.Output.secret(member["initial_password"]),
                force_password_change=True,
                opts=child,
            ).object_id
        else:
            object_id = checked(name, f"{path}.object_id", member["object_id"], _parse_object_id)
        roles = self._roles(f"{name}-{key}", args, object_id, "User", child)
        return pulumi.Output.all(
            name=member.get("display_name") or member.get("email") or account or object_id,
            user_principal_name=account,
            object_id=object_id,
            linked_on=linked_on,
            assignments=roles.assignments,
        )

    def _roles(
        self,
        name: str,
        args: PartnerTeamArgs,
        principal_id: pulumi.Input[str],
        principal_type: str,
        child: pulumi.ResourceOptions,
    ) -> EligibleRoleAssignments:
        wanted = {
            "principal_id": principal_id,
            "principal_type": principal_type,
            "scopes": args.get("scopes"),
            "roles": args.get("roles"),
            "supporting_roles": _supporting(args),
        }
        return EligibleRoleAssignments(f"{name}-roles", cast(EligibleRoleAssignmentsArgs, wanted), child)


def _supporting(args: PartnerTeamArgs) -> list[pulumi.Input[str]]:
    """Return the roles beside those that count; Reader completes the recommended standing pair."""
    given = args.get("supporting_roles")
    return ["Reader"] if given is None else given


def _parse_object_id(value: Any) -> str:
    return parse_object_id(value, "an object id of the directory")


def _parse_day(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise ValueError(f"is {value!r}: give a day as 2026-11-22") from None


def _instruction(person: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a person has to do: as itself, in the customer's tenant."""
    return {
        "name": person["name"],
        "objectId": person["object_id"],
        "commands": [
            f"az login --tenant {values['tenant_id']} --allow-no-subscriptions",
            "az extension add --name managementpartner",
            f"az managementpartner create --partner-id {values['partner_id']}",
        ],
    }


def _attest(person: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    assignments: Sequence[Mapping[str, Any]] = person["assignments"]
    return attest(
        tenant_id=values["tenant_id"],
        tenant_display_name=values["customer"],
        tenant_default_domain=None,
        principal_type="User",
        display_name=person["name"],
        user_principal_name=person.get("user_principal_name"),
        client_id=None,
        object_id=person["object_id"],
        partner_id=values["partner_id"],
        partner_name=None,
        state="Active" if person.get("linked_on") else "unknown: nobody but the person can see it",
        assignments=assignments,
        linked_since=f"{person['linked_on']}T00:00:00Z" if person.get("linked_on") else None,
        approval=values["approval"],
    )
