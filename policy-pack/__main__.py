"""The rules PAL000 and so on as a Pulumi policy pack: one policy per rule.

A rule that can judge a resource by itself is a resource policy, which the engine asks before it makes the resource;
the others are stack policies, which see the whole program at the end of a preview or an update.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy import Severity as PolicySeverity
from pulumi_policy.proxy import UnknownValueError

from pal_components.eligibility.program import UNKNOWN, Resource
from pal_components.eligibility.rules import RULES, Rule, Settings, Severity, Suppression, policy_name, refused

_LEVELS = {
    Severity.MANDATORY: (EnforcementLevel.MANDATORY, PolicySeverity.HIGH),
    Severity.ADVISORY: (EnforcementLevel.ADVISORY, PolicySeverity.MEDIUM),
    # Pulumi knows no level below a warning; who does not want to be told disables the policy.
    Severity.INFORMATIONAL: (EnforcementLevel.ADVISORY, PolicySeverity.LOW),
}
_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": _TEXT}
_SUPPRESSIONS = {
    "type": "array",
    "description": "Findings that are accepted: the reason, and the resource's name or URN unless it is for all.",
    "items": {"type": "object", "properties": {"reason": _TEXT, "resource": _TEXT}, "required": ["reason"]},
}
_OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "PAL002": {"allowedPartnerIds": {**_TEXTS, "description": "Partner IDs that may be linked. Default: any."}},
    "PAL004": {
        "maxSecretDays": {
            "type": "number",
            "default": Settings.max_secret_days,
            "description": "How long a client secret may live, days.",
        }
    },
    "PAL009": {
        "cspTenants": {
            **_TEXTS,
            "description": "Tenant ids or domains of the customers that you sell Azure to as a CSP.",
        }
    },
    "PAL010": {
        "approvals": {
            "type": "object",
            "description": "The customers' approvals by tenant id or domain.",
            "additionalProperties": {
                "type": "object",
                "properties": {"reference": _TEXT, "who": _TEXT, "when": _TEXT},
                "required": ["reference", "who", "when"],
            },
        }
    },
}


def policy(rule: Rule) -> Policy:
    """Return the policy that applies a rule."""
    level, severity = _LEVELS[rule.severity]
    # A suppression of a suppression's own rule has no effect, so there is none to configure.
    options = {} if rule.id == "PAL000" else {**_OPTIONS.get(rule.id, {}), "suppressions": _SUPPRESSIONS}
    common: dict[str, Any] = {
        "name": policy_name(rule),
        "description": rule.title,
        "enforcement_level": level,
        "severity": severity,
        "config_schema": PolicyConfigSchema(options) if options else None,
        "display_name": f"{rule.id}: {rule.title}",
        "tags": [rule.id, "partner-admin-link"],
        "remediation_steps": rule.fix,
    }
    if rule.whole:
        return StackValidationPolicy(validate=_on_stack(rule), **common)
    return ResourceValidationPolicy(validate=_on_resource(rule), **common)


def _on_resource(rule: Rule) -> Callable[[ResourceValidationArgs, ReportViolation], None]:
    def validate(args: ResourceValidationArgs, report_violation: ReportViolation) -> None:
        provider = {} if args.provider is None else known(args.provider.props)
        one = Resource(args.resource_type, args.urn, known(args.props), provider=provider)
        _report(rule, [one], args.get_config(), report_violation)

    return validate


def _on_stack(rule: Rule) -> Callable[[StackValidationArgs, ReportViolation], None]:
    def validate(args: StackValidationArgs, report_violation: ReportViolation) -> None:
        _report(rule, [resource(one) for one in args.resources], args.get_config(), report_violation)

    return validate


def _report(
    rule: Rule, resources: Sequence[Resource], config: Mapping[str, Any], report_violation: ReportViolation
) -> None:
    chosen = settings(rule, config)
    found = rule.check(resources, chosen)
    for finding in found:
        note = "For information. " if rule.severity is Severity.INFORMATIONAL else ""
        report_violation(note + finding.message, finding.urn)
    # The engine refuses a suppression without a reason by the schema; one of blanks is told where it would matter.
    for _, what in refused(chosen.suppressions) if found else ():
        report_violation(f"PAL000: {what}\nFix: {RULES['PAL000'].fix}", found[0].urn)


def settings(rule: Rule, config: Mapping[str, Any]) -> Settings:
    """Return what a policy's configuration says; the id of its suppressions is the policy's own."""
    return Settings(
        allowed_partner_ids=frozenset(str(one).strip() for one in config.get("allowedPartnerIds", ())),
        max_secret_days=float(config.get("maxSecretDays", Settings.max_secret_days)),
        csp_tenants=frozenset(config.get("cspTenants", ())),
        approvals=config.get("approvals", {}),
        suppressions=tuple(
            Suppression(rule.id, str(one.get("reason") or ""), one.get("resource"))
            for one in config.get("suppressions", ())
        ),
        now=datetime.now(timezone.utc),
    )


def resource(given: PolicyResource) -> Resource:
    """Return a resource of the engine's as the rules know them."""
    return Resource(
        given.resource_type,
        given.urn,
        known(given.props),
        {name: [origin.urn for origin in origins] for name, origins in given.property_dependencies.items()},
        None if given.parent is None else given.parent.urn,
        {} if given.provider is None else known(given.provider.props),
    )


def known(value: Any) -> Any:
    """Return a plain copy of properties, in which what is not known yet is UNKNOWN instead of an error."""

    def at(key: Any) -> Any:
        try:
            return known(value[key])
        except UnknownValueError:
            return UNKNOWN

    if isinstance(value, Mapping):
        return {key: at(key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [at(i) for i in range(len(value))]
    return value


PolicyPack(
    "pal-components",
    [policy(rule) for rule in RULES.values()],
    display_name="Azure Partner Admin Link",
    tags=["azure", "partner-admin-link"],
)
