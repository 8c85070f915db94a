"""The evidence of a customer's recognition, under the keys that the community's attestation has, and as text."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from typing_extensions import NotRequired, TypedDict

from pal_components.eligibility.scopes import coverage, parse_scope
from pal_components.version import __version__


class ApprovalArgs(TypedDict):
    """The customer's approval of the link."""

    reference: pulumi.Input[str]
    """Where it is on record: a contract's or a ticket's number, a link."""
    who: NotRequired[pulumi.Input[str]]
    """Who approved, on the customer's side."""
    when: NotRequired[pulumi.Input[str]]
    """When, ISO 8601 date."""


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
    user_principal_name: str | None = None,
    linked_since: str | None = None,
    approval: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the attestation of one principal: who it is, which partner it is linked to, what it may do where.

    `partnerAdminLink` is true while the link is active. Each of `assignments` has `scope`, `id`, `roleName`,
    `roleType`, `eligible` (yes, no, unlisted), `supporting` (assigned, not meant to count), `since` and, for a role
    that was accepted although it is not listed as eligible, `accepted` with the reason. `recognisedSince` is when link
    and an eligible assignment stood together first, ISO 8601, `recognisedUntil` null while they stand. `covered` is
    the union of the scopes of eligible assignments.
    """
    linked = state.casefold() == "active"
    counting = [row for row in assignments if row["eligible"] == "yes" and not row["supporting"]]
    union = coverage(parse_scope(row["scope"]) for row in counting)
    verdicts = {"no": "listed as not eligible", "unlisted": "on no list"}
    warnings = [
        f"{row['roleName']} on {row['scope']} is {verdicts[row['eligible']]}"
        + (f", accepted: {row['accepted']}" if row.get("accepted") else "")
        for row in assignments
        if row["eligible"] != "yes" and not row["supporting"]
    ]
    warnings += [f"{item.scope} counts once: it lies inside {item.because}" for item in union.redundant]
    if not linked:
        warnings.append("the link is not active: nothing is recognised")
    if not counting:
        warnings.append("no eligible role is assigned: nothing is recognised")
    if not approval:
        warnings.append("no approval of the customer is on record")
    return {
        "tenantId": tenant_id,
        "tenantDisplayName": tenant_display_name,
        "tenantDefaultDomain": tenant_default_domain,
        "type": principal_type,
        "displayName": display_name,
        "userPrincipalName": user_principal_name,
        "appId": client_id,
        "objectId": object_id,
        "partnerAdminLink": linked,
        "partnerName": partner_name,
        "partnerId": partner_id,
        "assignments": [dict(assignment) for assignment in assignments],
        "recognisedSince": _since(linked_since, counting) if linked else None,
        "recognisedUntil": None,
        "covered": [scope.id for scope in union.covered],
        "approval": dict(approval) if approval else None,
        "warnings": warnings,
        "libraryVersion": __version__,
    }


def _since(linked_since: str | None, counting: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the later of the link and the first assignment that counts. UTC times compare as texts without their Z."""
    assigned: list[str] = [row["since"] for row in counting if row.get("since")]
    if not linked_since or not assigned:
        return None
    return max(linked_since, min(assigned, key=_key), key=_key)


def _key(time: str) -> str:
    return time.rstrip("Z").replace("+00:00", "")


def attestation_json(attestation: Mapping[str, Any]) -> str:
    """Return an attestation as JSON text, keys in their order."""
    return json.dumps(attestation, indent=2, ensure_ascii=False) + "\n"


def attestation_markdown(attestation: Mapping[str, Any]) -> str:
    """Return an attestation as Markdown that a customer can read and sign."""
    a = attestation
    partner = f"{a['partnerName']} ({a['partnerId']})" if a["partnerName"] else a["partnerId"]
    approval = a["approval"] or {}
    approved = ", ".join(
        text
        for text in (
            approval.get("reference"),
            f"by {approval['who']}" if approval.get("who") else None,
            f"on {approval['when']}" if approval.get("when") else None,
        )
        if text
    )
    lines = [
        f"# Partner admin link: {_cell(a['tenantDisplayName'] or a['tenantId'])}",
        "",
        "| | |",
        "|---|---|",
        f"| Partner | {_cell(partner)} |",
        f"| Linked | {'yes' if a['partnerAdminLink'] else 'no'} |",
        f"| Recognised since | {_cell(a['recognisedSince'] or 'unknown')} |",
        f"| Tenant | {_cell(a['tenantId'])} |",
        f"| {_cell(a['type'])} | {_cell(a['displayName'] or a['userPrincipalName'] or '')} |",
        f"| Object id | {_cell(a['objectId'])} |",
        f"| Approval | {_cell(approved or 'none on record')} |",
        "",
        "## What it may do",
        "",
        "| role | scope | counts | since |",
        "|---|---|---|---|",
    ]
    for row in a["assignments"]:
        counts = "no, supporting" if row["supporting"] else row["eligible"]
        if row.get("accepted"):
            counts += f", accepted: {row['accepted']}"
        cells = (row["roleName"], row["scope"], counts, row.get("since") or "")
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    lines += ["", "## What is covered", "", *(f"- {_cell(scope)}" for scope in a["covered"] or ["nothing"])]
    if a["warnings"]:
        lines += ["", "## To look at", "", *(f"- {_cell(warning)}" for warning in a["warnings"])]
    lines += ["", f"Made by pal-components {a['libraryVersion']}."]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Return a text that cannot end its cell or line."""
    return str(text).replace("|", "\\|").replace("\n", " ")
