"""Pulumi components for Azure Partner Admin Link (PAL).

The public names resolve on first use, so that importing this package costs nothing over importing Pulumi, and so that
the process that manages links never loads the Azure providers' SDKs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pal_components.credential import CredentialArgs
    from pal_components.customer_access import CustomerAccess, CustomerAccessArgs
    from pal_components.link.decide import OnConflict, Origin
    from pal_components.link.errors import (
        LinkConflict,
        LinkError,
        PartnerIdRefused,
        ServiceUnavailable,
        SignInFailed,
        UnreadableAnswer,
        WrongPrincipal,
    )
    from pal_components.link.principal import CredentialKind
    from pal_components.partner_link import PartnerLink, PartnerLinkArgs
    from pal_components.role_assignments import EligibleRoleAssignments, EligibleRoleAssignmentsArgs
    from pal_components.service_principal import CustomerServicePrincipal, CustomerServicePrincipalArgs

_HOME = {
    "CredentialArgs": "credential",
    "CredentialKind": "link.principal",
    "CustomerAccess": "customer_access",
    "CustomerAccessArgs": "customer_access",
    "CustomerServicePrincipal": "service_principal",
    "CustomerServicePrincipalArgs": "service_principal",
    "EligibleRoleAssignments": "role_assignments",
    "EligibleRoleAssignmentsArgs": "role_assignments",
    "LinkConflict": "link.errors",
    "LinkError": "link.errors",
    "OnConflict": "link.decide",
    "Origin": "link.decide",
    "PartnerIdRefused": "link.errors",
    "PartnerLink": "partner_link",
    "PartnerLinkArgs": "partner_link",
    "ServiceUnavailable": "link.errors",
    "SignInFailed": "link.errors",
    "UnreadableAnswer": "link.errors",
    "WrongPrincipal": "link.errors",
}

__all__ = [
    "CredentialArgs",
    "CredentialKind",
    "CustomerAccess",
    "CustomerAccessArgs",
    "CustomerServicePrincipal",
    "CustomerServicePrincipalArgs",
    "EligibleRoleAssignments",
    "EligibleRoleAssignmentsArgs",
    "LinkConflict",
    "LinkError",
    "OnConflict",
    "Origin",
    "PartnerIdRefused",
    "PartnerLink",
    "PartnerLinkArgs",
    "ServiceUnavailable",
    "SignInFailed",
    "UnreadableAnswer",
    "WrongPrincipal",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
