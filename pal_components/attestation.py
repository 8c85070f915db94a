"""The evidence of a customer's recognition, under the keys that the community's attestation has."""

from collections.abc import Mapping, Sequence
from typing import Any


def attest(
    *,
    tenant_id: str,
    tenant_display_name: str | None,
    tenant_default_domain: str | None,
    principal_type: str,
    display_name: str | None,
    client_id: str | None,
    object_id: str,
    partner_id: str,
    partner_name: str | None,
    state: str,
    assignments: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the attestation of one principal: who it is, which partner it is linked to, what it may do where.

    `partnerAdminLink` is true while the link is active; `assignments` has `scope`, `id`, `roleName`, `roleType`,
    `eligible` (yes, no, unlisted) and `supporting` (assigned, not meant to count).
    """
    return {
        "tenantId": tenant_id,
        "tenantDisplayName": tenant_display_name,
        "tenantDefaultDomain": tenant_default_domain,
        "type": principal_type,
        "displayName": display_name,
        "userPrincipalName": None,
        "appId": client_id,
        "objectId": object_id,
        "partnerAdminLink": state.casefold() == "active",
        "partnerName": partner_name,
        "partnerId": partner_id,
        "assignments": [dict(assignment) for assignment in assignments],
    }
