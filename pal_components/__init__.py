"""Pulumi components for Azure Partner Admin Link (PAL).

The public names resolve on first use, so that importing this package costs nothing over importing Pulumi, and so that
the process that manages links never loads the Azure providers' SDKs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pal_components.attestation import (
        ApprovalArgs as ApprovalArgs,
    )
    from pal_components.attestation import (
        attestation_json as attestation_json,
    )
    from pal_components.attestation import (
        attestation_markdown as attestation_markdown,
    )
    from pal_components.credential import (
        CredentialArgs as CredentialArgs,
    )
    from pal_components.customer_access import (
        CustomerAccess as CustomerAccess,
    )
    from pal_components.customer_access import (
        CustomerAccessArgs as CustomerAccessArgs,
    )
    from pal_components.lighthouse import (
        AuthorizationArgs as AuthorizationArgs,
    )
    from pal_components.lighthouse import (
        EligibleAuthorizationArgs as EligibleAuthorizationArgs,
    )
    from pal_components.lighthouse import (
        HomeLinkArgs as HomeLinkArgs,
    )
    from pal_components.lighthouse import (
        LighthouseDelegation as LighthouseDelegation,
    )
    from pal_components.lighthouse import (
        LighthouseDelegationArgs as LighthouseDelegationArgs,
    )
    from pal_components.lighthouse import (
        recommended_authorizations as recommended_authorizations,
    )
    from pal_components.link.decide import (
        OnConflict as OnConflict,
    )
    from pal_components.link.decide import (
        Origin as Origin,
    )
    from pal_components.link.errors import (
        ApplicationGone as ApplicationGone,
    )
    from pal_components.link.errors import (
        FederationMismatch as FederationMismatch,
    )
    from pal_components.link.errors import (
        LinkConflict as LinkConflict,
    )
    from pal_components.link.errors import (
        LinkError as LinkError,
    )
    from pal_components.link.errors import (
        NoDeployingIdentity as NoDeployingIdentity,
    )
    from pal_components.link.errors import (
        NoOidcToken as NoOidcToken,
    )
    from pal_components.link.errors import (
        OtherCloud as OtherCloud,
    )
    from pal_components.link.errors import (
        PartnerIdRefused as PartnerIdRefused,
    )
    from pal_components.link.errors import (
        PrincipalGone as PrincipalGone,
    )
    from pal_components.link.errors import (
        PrincipalNotLinkable as PrincipalNotLinkable,
    )
    from pal_components.link.errors import (
        RemovalBlocked as RemovalBlocked,
    )
    from pal_components.link.errors import (
        SecretNotAllowed as SecretNotAllowed,
    )
    from pal_components.link.errors import (
        ServiceRefused as ServiceRefused,
    )
    from pal_components.link.errors import (
        ServiceUnavailable as ServiceUnavailable,
    )
    from pal_components.link.errors import (
        SignInFailed as SignInFailed,
    )
    from pal_components.link.errors import (
        TenantNotFound as TenantNotFound,
    )
    from pal_components.link.errors import (
        UnreadableAnswer as UnreadableAnswer,
    )
    from pal_components.link.errors import (
        WrongPrincipal as WrongPrincipal,
    )
    from pal_components.link.principal import (
        CredentialKind as CredentialKind,
    )
    from pal_components.partner_link import (
        PartnerLink as PartnerLink,
    )
    from pal_components.partner_link import (
        PartnerLinkArgs as PartnerLinkArgs,
    )
    from pal_components.partner_link import (
        Removal as Removal,
    )
    from pal_components.partner_team import (
        MemberArgs as MemberArgs,
    )
    from pal_components.partner_team import (
        PartnerTeam as PartnerTeam,
    )
    from pal_components.partner_team import (
        PartnerTeamArgs as PartnerTeamArgs,
    )
    from pal_components.role_assignments import (
        EligibleRoleAssignments as EligibleRoleAssignments,
    )
    from pal_components.role_assignments import (
        EligibleRoleAssignmentsArgs as EligibleRoleAssignmentsArgs,
    )
    from pal_components.service_principal import (
        CustomerServicePrincipal as CustomerServicePrincipal,
    )
    from pal_components.service_principal import (
        CustomerServicePrincipalArgs as CustomerServicePrincipalArgs,
    )

_HOME = {
    "ApprovalArgs": "attestation",
    "attestation_json": "attestation",
    "attestation_markdown": "attestation",
    "AuthorizationArgs": "lighthouse",
    "EligibleAuthorizationArgs": "lighthouse",
    "HomeLinkArgs": "lighthouse",
    "LighthouseDelegation": "lighthouse",
    "LighthouseDelegationArgs": "lighthouse",
    "recommended_authorizations": "lighthouse",
    "MemberArgs": "partner_team",
    "PartnerTeam": "partner_team",
    "PartnerTeamArgs": "partner_team",
    "CredentialArgs": "credential",
    "CustomerAccess": "customer_access",
    "CustomerAccessArgs": "customer_access",
    "OnConflict": "link.decide",
    "Origin": "link.decide",
    "ApplicationGone": "link.errors",
    "FederationMismatch": "link.errors",
    "LinkConflict": "link.errors",
    "LinkError": "link.errors",
    "NoDeployingIdentity": "link.errors",
    "NoOidcToken": "link.errors",
    "OtherCloud": "link.errors",
    "PartnerIdRefused": "link.errors",
    "PrincipalGone": "link.errors",
    "PrincipalNotLinkable": "link.errors",
    "RemovalBlocked": "link.errors",
    "SecretNotAllowed": "link.errors",
    "ServiceRefused": "link.errors",
    "ServiceUnavailable": "link.errors",
    "SignInFailed": "link.errors",
    "TenantNotFound": "link.errors",
    "UnreadableAnswer": "link.errors",
    "WrongPrincipal": "link.errors",
    "CredentialKind": "link.principal",
    "PartnerLink": "partner_link",
    "PartnerLinkArgs": "partner_link",
    "Removal": "partner_link",
    "EligibleRoleAssignments": "role_assignments",
    "EligibleRoleAssignmentsArgs": "role_assignments",
    "CustomerServicePrincipal": "service_principal",
    "CustomerServicePrincipalArgs": "service_principal",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
