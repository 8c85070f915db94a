"""The rules PAL001 and so on, applied to what a component is about to declare."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pulumi

from pal_components.attestation import ApprovalArgs
from pal_components.eligibility.program import APPLICATION_PASSWORD, PARTNER_LINK, ROLE_ASSIGNMENT, UNKNOWN, Resource
from pal_components.eligibility.rules import RULES, Settings, Severity, Suppression, check
from pal_components.inputs import InputError, only_known_keys

_PRINCIPAL = "the principal"


def review(
    component: pulumi.Resource,
    name: str,
    *,
    link: Mapping[str, Any],
    approval: Mapping[str, Any] | None,
    grants: Iterable[tuple[Any, Any]],
    standing_secret: bool,
    suppressions: Mapping[str, str],
) -> None:
    """Say at preview what the rules have against a linked principal and its (scope, role) grants.

    What must not be deployed raises InputError, the rest is a warning or, where nothing is wrong, an information.
    """
    only_known_keys(name, approval or {}, ApprovalArgs, "approval.")
    for rule_id, reason in suppressions.items():
        if rule_id not in RULES:
            raise InputError(name, f"suppressions[{rule_id!r}]", f"is no rule: there are {', '.join(RULES)}")
        if not isinstance(reason, str) or not reason.strip():
            raise InputError(name, f"suppressions[{rule_id!r}]", "has no reason: say why the finding is acceptable")
    resources = [
        Resource(PARTNER_LINK, f"{name}-link", _plain({**link, "object_id": _PRINCIPAL, "approval": approval})),
        *(
            Resource(
                ROLE_ASSIGNMENT,
                f"{name}-roles",
                _plain({"principalId": _PRINCIPAL, "scope": scope, "roleDefinitionId": role}),
            )
            for scope, role in grants
        ),
    ]
    if standing_secret:
        resources.append(Resource(APPLICATION_PASSWORD, f"{name}-password", {}))
    settings = Settings(suppressions=tuple(Suppression(rule_id, reason) for rule_id, reason in suppressions.items()))
    for finding in check(resources, settings):
        line = f"{finding.rule.id}: {finding.what}. {finding.rule.fix} See docs/rules.md#{finding.rule.id.lower()}"
        if finding.rule.severity is Severity.MANDATORY:
            raise InputError(name, "declares what must not be:", line)
        say = pulumi.log.warn if finding.rule.severity is Severity.ADVISORY else pulumi.log.info
        say(line, component)


def _plain(value: Any) -> Any:
    """Return what the rules look at: what is not known now, or only to Pulumi, is unknown."""
    if isinstance(value, pulumi.Output):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
