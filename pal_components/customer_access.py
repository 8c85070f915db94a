"""CustomerAccess: a whole customer in one component."""

from collections.abc import Mapping
from typing import Any, cast

import pulumi
import pulumi_azuread as azuread
from typing_extensions import NotRequired, TypedDict

from pal_components.attestation import ApprovalArgs, attest
from pal_components.credential import CredentialArgs
from pal_components.guid import is_guid
from pal_components.inputs import InputError, checked, only_known_keys
from pal_components.link.decide import OnConflict
from pal_components.link.identifiers import parse_partner_id, parse_tenant_id
from pal_components.link.principal import CredentialKind
from pal_components.partner_link import PartnerLink, PartnerLinkArgs, Removal, parse_kind, parse_on_conflict
from pal_components.review import review
from pal_components.role_assignments import EligibleRoleAssignments, EligibleRoleAssignmentsArgs, grants
from pal_components.service_principal import NOTES, TAGS, CustomerServicePrincipal

_AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""Client id under which a person who signed in with the Azure CLI acts, the same in every tenant."""


class CustomerAccessArgs(TypedDict):
    """What a customer's access is made of."""

    partner_id: pulumi.Input[str]
    """The partner's location account ID (PLA, 'Associated Partner ID'), digits only. It has no default."""
    scopes: list[pulumi.Input[str]]
    """ARM ids on which the partner works: management groups, subscriptions, resource groups or resources."""
    roles: NotRequired[list[pulumi.Input[str]]]
    """Roles that count, by name, GUID or full id. Default: `Support Request Contributor`, the least that counts."""
    supporting_roles: NotRequired[list[pulumi.Input[str]]]
    """Roles that the principal needs as well, by name, GUID or full id. Assigned, never counted."""
    accepted_roles: NotRequired[dict[str, str]]
    """Roles among `roles` that are not listed as eligible, each with the reason why it is assigned all the same."""
    approval: NotRequired[ApprovalArgs]
    """The customer's approval of the link, for the evidence."""
    suppressions: NotRequired[dict[str, str]]
    """Rules whose findings are acceptable here, each with the reason: `{"PAL003": "until the pipeline has OIDC"}`."""
    customer: NotRequired[pulumi.Input[str]]
    """The customer's name, for the evidence. Default: the component's name."""
    tenant_id: NotRequired[pulumi.Input[str]]
    """The customer's tenant, GUID or domain. Default: the tenant of the azuread provider in use."""
    credential: NotRequired[CredentialArgs]
    """How the principal signs in to make its own link. Default: `ephemeral`, which keeps no secret."""
    on_conflict: NotRequired[pulumi.Input[OnConflict]]
    """What to do with a link that names another partner: `fail` (default) or `replace`."""
    removal: NotRequired[pulumi.Input[Removal]]
    """What destroy does where the link cannot be removed: `strict` (default) fails, `best_effort` warns and goes on."""
    max_wait: NotRequired[pulumi.Input[float]]
    """How long one operation on the link may wait in all for what is not there yet, in seconds. Default: 300."""
    deployer_environment: NotRequired[pulumi.Input[str]]
    """Prefix of the environment variables of the deploying identity, such as `CONTOSO_`. Default: none."""


class CustomerAccess(pulumi.ComponentResource):
    """A dedicated service principal in the customer's tenant, its eligible role assignments, and its partner link.

    Destroying it removes the link first, then the assignments, then the credential, principal and application.
    """

    partner_id: pulumi.Output[str]
    """Partner ID that the link names, digits."""
    tenant_id: pulumi.Output[str]
    """The customer's tenant, GUID."""
    object_id: pulumi.Output[str]
    """Object id of the linked principal, GUID."""
    client_id: pulumi.Output[str]
    """Application (client) id of the linked principal, GUID."""
    origin: pulumi.Output[str]
    """How the link came about: `created`, `adopted` or `switched`."""
    attestation: pulumi.Output[dict[str, Any]]
    """The evidence: principal, link and assignments, under the community's keys."""

    def __init__(self, name: str, args: CustomerAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the customer's access. Raises InputError for an input that cannot be right."""
        super().__init__("pal:index:CustomerAccess", name, None, opts)
        only_known_keys(name, args, CustomerAccessArgs)
        partner_id = checked(name, "partner_id", args.get("partner_id"), parse_partner_id)
        on_conflict = checked(name, "on_conflict", args.get("on_conflict"), parse_on_conflict)
        child = pulumi.ResourceOptions(parent=self)

        provider = azuread.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self))
        tenant_id = pulumi.Output.from_input(provider.tenant_id)
        if args.get("tenant_id") is not None:
            declared = checked(name, "tenant_id", args["tenant_id"], parse_tenant_id)
            tenant_id = pulumi.Output.all(declared, provider.tenant_id).apply(
                lambda tenants: _one_tenant(name, *tenants)
            )

        credential: CredentialArgs = args.get("credential") or {"kind": CredentialKind.EPHEMERAL}
        principal = _principal(name, partner_id, credential, provider, child)
        keys = ("scopes", "roles", "supporting_roles", "accepted_roles")
        roles: dict[str, Any] = {key: args.get(key) for key in keys}
        assignments = EligibleRoleAssignments(
            f"{name}-roles",
            cast(
                EligibleRoleAssignmentsArgs,
                {"principal_id": principal["object_id"], "principal_type": principal["type"], **roles},
            ),
            child,
        )
        review(
            self,
            name,
            link={"partner_id": partner_id, "tenant_id": args.get("tenant_id"), "credential": credential},
            approval=args.get("approval"),
            grants=grants(args.get("scopes"), args.get("roles"), args.get("supporting_roles")),
            standing_secret=credential.get("kind") == CredentialKind.SECRET,
            suppressions=args.get("suppressions") or {},
        )
        link: dict[str, Any] = {
            "partner_id": partner_id,
            "tenant_id": tenant_id,
            "object_id": principal["object_id"],
            "credential": principal["credential"],
            "on_conflict": on_conflict,
            **{key: args.get(key) for key in ("removal", "max_wait", "deployer_environment")},
        }
        # Nothing but the link needs this order: it is the last to come and the first to go.
        ordered = pulumi.ResourceOptions(parent=self, depends_on=[assignments])
        made = PartnerLink(f"{name}-link", cast(PartnerLinkArgs, link), ordered)

        self.partner_id = made.partner_id
        self.tenant_id = made.tenant_id
        self.object_id = made.object_id
        self.client_id = pulumi.Output.from_input(principal["client_id"])
        self.origin = made.origin
        self.attestation = pulumi.Output.all(
            tenant_id=made.tenant_id,
            tenant_display_name=args.get("customer") or name,
            tenant_default_domain=_domain(args.get("tenant_id")),
            principal_type=principal["type"],
            display_name=principal["display_name"],
            client_id=principal["client_id"],
            object_id=made.object_id,
            partner_id=made.partner_id,
            partner_name=made.partner_name,
            state=made.state,
            assignments=assignments.assignments,
            linked_since=made.updated_time,
            approval=args.get("approval"),
        ).apply(lambda known: attest(**known))
        self.register_outputs(
            {
                "partnerId": self.partner_id,
                "tenantId": self.tenant_id,
                "objectId": self.object_id,
                "clientId": self.client_id,
                "origin": self.origin,
                "attestation": self.attestation,
            }
        )


def _principal(
    name: str,
    partner_id: pulumi.Input[str],
    credential: CredentialArgs,
    provider: Any,
    child: pulumi.ResourceOptions,
) -> Mapping[str, Any]:
    """Return who is linked: found for `given` and `ambient`, made here for the other kinds."""
    only_known_keys(name, credential, CredentialArgs, "credential.")
    kind = checked(name, "credential", credential.get("kind"), parse_kind)
    if kind is CredentialKind.GIVEN:
        return _given(name, credential, child)
    if kind is CredentialKind.AMBIENT:
        return {
            "type": pulumi.Output.from_input(provider.client_id).apply(
                lambda client_id: "User" if client_id == _AZURE_CLI else "ServicePrincipal"
            ),
            "object_id": provider.object_id,
            "client_id": provider.client_id,
            "display_name": None,
            "credential": {"kind": kind},
        }
    made = CustomerServicePrincipal(
        f"{name}-identity",
        {
            "display_name": pulumi.Output.concat("PAL (Partner Admin Link) for ", partner_id, f" ({name})"),
            "credential": credential,
        },
        child,
    )
    return {
        "type": "ServicePrincipal",
        "object_id": made.object_id,
        "client_id": made.client_id,
        "display_name": made.display_name,
        "credential": made.sign_in(),
    }


def _given(name: str, credential: CredentialArgs, child: pulumi.ResourceOptions) -> Mapping[str, Any]:
    """Return an existing principal: found in the customer's tenant, or made there of a multi-tenant application."""
    if credential.get("client_id") is None:
        raise InputError(name, "credential.client_id", "is missing: kind 'given' needs the application's client id")
    if credential.get("client_secret") is None and credential.get("certificate") is None:
        raise InputError(
            name, "credential.client_secret", "is missing: kind 'given' needs client_secret or certificate"
        )
    found: Any
    if credential.get("enterprise_application"):
        found = azuread.ServicePrincipal(
            f"{name}-principal", client_id=credential["client_id"], notes=NOTES, tags=TAGS, opts=child
        )
    else:
        lookup: dict[str, Any] = (
            {"client_id": credential["client_id"]}
            if credential.get("object_id") is None
            else {"object_id": credential["object_id"]}
        )
        found = azuread.get_service_principal_output(**lookup, opts=pulumi.InvokeOutputOptions(parent=child.parent))
    secrets = {
        key: pulumi.Output.secret(credential[key])
        for key in ("client_secret", "certificate", "certificate_password")
        if credential.get(key) is not None
    }
    return {
        "type": "ServicePrincipal",
        "object_id": found.object_id,
        "client_id": credential["client_id"],
        "display_name": found.display_name,
        "credential": {
            "kind": CredentialKind.GIVEN,
            "client_id": credential["client_id"],
            "enterprise_application": credential.get("enterprise_application"),
            **secrets,
        },
    }


def _one_tenant(name: str, declared: str, provider: str) -> str:
    """Return the declared tenant, unless principal and assignments would be made in another one."""
    if is_guid(declared) and is_guid(provider) and declared != provider.lower():
        raise InputError(
            name,
            "tenant_id",
            f"is {declared}, but the azuread provider acts in {provider}: pass providers for the customer's tenant "
            "in opts, or set ARM_TENANT_ID",
        )
    return declared


def _domain(tenant_id: pulumi.Input[str] | None) -> pulumi.Output[str | None]:
    return pulumi.Output.from_input(tenant_id).apply(lambda value: value if value and not is_guid(value) else None)
