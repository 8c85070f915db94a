"""The rules PAL001 and so on: what is wrong with a program's partner links, why it matters, how to fix it.

One rule is one function over a neutral model of resources, so that components, the policy pack and anything else that
has resources in hand apply the same rules. Values that are not known yet are never a finding.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, Final

from pal_components.eligibility.program import (
    APPLICATION,
    APPLICATION_PASSWORD,
    LINKS,
    NATIVE_PARTNER,
    PARTNER_LINK,
    PRINCIPAL_PASSWORD,
    UNKNOWN,
    Program,
    Resource,
    known_id,
)
from pal_components.eligibility.roles import LEAST_PRIVILEGE, Verdict
from pal_components.eligibility.scopes import Scope, ScopeKind

_ADMINISTRATORS = {"Owner", "User Access Administrator", "Role Based Access Control Administrator"}
_DEFAULT_LIFETIME = timedelta(days=730)
_SUPPRESSION = re.compile(r"pal-suppress\b[ \t]*(?P<id>[^\s:]*)[ \t]*:?[ \t]*(?P<reason>[^\r\n]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Suppression:
    """A decision to live with a finding."""

    id: str
    """Id of the rule, as `PAL003`."""
    reason: str
    """Why the finding is acceptable here. Without it the suppression has no effect and is a finding itself."""
    resource: str | None = None
    """Name or URN of the one resource that it is for. None: all."""


@dataclass(frozen=True)
class Settings:
    """What the organisation has decided."""

    allowed_partner_ids: frozenset[str] = frozenset()
    """Partner IDs that may be linked, digits. Empty: any."""
    max_secret_days: float = 365
    """How long a client secret may live, days. Default: a year, the longest that Microsoft recommends."""
    csp_tenants: frozenset[str] = frozenset()
    """Customers whose Azure the partner itself sells as a CSP: tenant ids (GUID) or domains."""
    approvals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The customers' approvals by tenant id or domain: `reference`, `who`, `when`."""
    suppressions: tuple[Suppression, ...] = ()
    """Findings that are accepted, each with a reason."""
    now: datetime | None = None
    """From when a secret without a start date lives, with a time zone. None: such a secret is not judged."""


class Severity(str, Enum):
    """What a finding means for a deployment."""

    MANDATORY = "mandatory"
    """It must not be deployed."""
    ADVISORY = "advisory"
    """Somebody should decide about it."""
    INFORMATIONAL = "informational"
    """Good to know: nothing is wrong."""


@dataclass(frozen=True)
class Finding:
    """What one rule has to say about one resource."""

    rule: "Rule"
    """The rule."""
    urn: str
    """URN of the resource."""
    what: str
    """What is wrong, with the values that are."""

    @property
    def message(self) -> str:
        """The whole text: id, what is wrong, why it matters, how to fix it."""
        return f"{self.rule.id}: {self.what}\nWhy: {self.rule.why}\nFix: {self.rule.fix}"


Found = Iterator[tuple[Resource, str]]


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong."""

    id: str
    """`PAL` and three digits. An id is never used again for something else."""
    name: str
    """Short name, in lower case with hyphens."""
    title: str
    """What the rule demands, in one sentence."""
    severity: Severity
    """What a finding means, unless the organisation decides otherwise."""
    why: str
    """Why it matters."""
    fix: str
    """What to do about a finding."""
    source: str
    """Where the fact comes from."""
    find: Callable[["Program", Settings], Found]
    """The check: yields resources and what is wrong with them."""
    whole: bool = True
    """Whether it needs all resources of a program; otherwise each can be judged by itself, before it is deployed."""

    def check(self, resources: Iterable[Resource], settings: Settings | None = None) -> list[Finding]:
        """Return what this rule has to say about the resources, without what is suppressed with a reason."""
        settings = settings or Settings()
        program = Program(tuple(resources))
        found = [
            Finding(self, resource.urn, what)
            for resource, what in self.find(program, settings)
            if not _suppressed(self.id, resource, settings)
        ]
        return list(dict.fromkeys(found))


def check(resources: Iterable[Resource], settings: Settings | None = None) -> list[Finding]:
    """Apply every rule and return what is found and not suppressed with a reason.

    A suppression that names no rule or no reason is a finding of PAL000. One in the settings is reported without a URN.
    """
    settings = settings or Settings()
    program = tuple(resources)
    found = [Finding(RULES["PAL000"], given.resource or "", what) for given, what in refused(settings.suppressions)]
    return found + [finding for rule in RULES.values() for finding in rule.check(program, settings)]


def refused(suppressions: Iterable[Suppression]) -> list[tuple[Suppression, str]]:
    """Return the suppressions that have no effect, each with what is wrong with it."""
    return [(given, what) for given in suppressions if (what := _why_refused(given)) is not None]


def _why_refused(given: Suppression) -> str | None:
    if given.id == "PAL000" or given.id not in RULES:
        return f"a suppression names {given.id!r}, which is no rule that can be suppressed"
    if not given.reason.strip():
        return f"a suppression of {given.id} has no reason"
    return None


def _suppressed(id_: str, resource: Resource, settings: Settings) -> bool:
    return any(
        given.id == id_ and given.resource in (None, resource.urn, resource.name) and _why_refused(given) is None
        for given in (*settings.suppressions, *own_suppressions(resource))
    )


def own_suppressions(resource: Resource) -> list[Suppression]:
    """Return the suppressions that a resource itself carries.

    They are lines `pal-suppress PAL003: reason` in its `description` or `notes`, or elements of a list of `tags`; in a
    mapping of `tags` the key is `pal-suppress PAL003` and the value the reason.
    """
    texts = [resource.properties.get("description"), resource.properties.get("notes")]
    tags = resource.properties.get("tags")
    if isinstance(tags, Mapping):
        texts += [f"{key}: {'' if value is UNKNOWN else value}" for key, value in tags.items()]
    elif isinstance(tags, Sequence) and not isinstance(tags, str):
        texts += tags
    return [
        Suppression(match["id"].upper(), match["reason"], resource.urn)
        for text in texts
        if isinstance(text, str)
        for match in _SUPPRESSION.finditer(text)
    ]


def _bad_suppression(program: Program, _settings: Settings) -> Found:
    for resource in program.resources:
        for _, what in refused(own_suppressions(resource)):
            yield resource, f"{resource.name}: {what}"


def _ineligible_role(program: Program, _settings: Settings) -> Found:
    for _, keys in program.links:
        mine = [grant for grant in program.grants if grant.keys & keys]
        for grant in mine:
            if grant.role is None or grant.role.verdict is not Verdict.NO:
                continue
            others = [other for other in mine if other.role is None or other.role.verdict is not Verdict.NO]
            if not any(_may_contain(other.scope, grant.scope) for other in others):
                yield (
                    grant.resource,
                    f"{grant.resource.name} gives a linked principal {grant.role.name!r}, which earns nothing "
                    f"({grant.role.verdict_source}, {grant.role.verdict_date}), and no role that may count beside it",
                )


def _partner_id_not_allowed(program: Program, settings: Settings) -> Found:
    for link in program.of(*LINKS):
        given = _text(link.properties.get("partner_id" if link.kind == PARTNER_LINK else "partnerId"))
        if settings.allowed_partner_ids and given is not None and given not in settings.allowed_partner_ids:
            allowed = ", ".join(sorted(settings.allowed_partner_ids))
            yield link, f"{link.name} links partner ID {given}; allowed are {allowed}"


def _standing_secret(program: Program, _settings: Settings) -> Found:
    for resource in program.of(APPLICATION_PASSWORD, PRINCIPAL_PASSWORD):
        yield resource, f"{resource.name} is a client secret that stays"
    for resource, _ in _inline_secrets(program):
        yield resource, f"{resource.name} has a client secret that stays"
    for link in program.of(PARTNER_LINK):
        credential = link.properties.get("credential")
        if (
            isinstance(credential, Mapping)
            and credential.get("kind") == "given"
            and credential.get("client_secret") not in (None, "")
        ):
            yield link, f"{link.name} signs in with a given client secret, which stays"


def _long_lived_secret(program: Program, settings: Settings) -> Found:
    secrets = [(row, row.properties) for row in program.of(APPLICATION_PASSWORD, PRINCIPAL_PASSWORD)]
    for resource, secret in [*secrets, *_inline_secrets(program)]:
        lifetime = _lifetime(secret, settings.now)
        if lifetime is not None and lifetime > timedelta(days=settings.max_secret_days):
            days = lifetime / timedelta(days=1)
            unset = "" if secret.get("endDate") else ", because without endDate it gets two years"
            yield (
                resource,
                f"{resource.name} is a client secret that lives {days:.0f} days{unset}; "
                f"allowed are {settings.max_secret_days:g}",
            )


def _administrator(program: Program, _settings: Settings) -> Found:
    linked = frozenset[str]().union(*(keys for _, keys in program.links))
    for grant in program.grants:
        if grant.keys & linked and grant.role is not None and grant.role.name in _ADMINISTRATORS:
            yield grant.resource, f"{grant.resource.name} makes a linked principal {grant.role.name!r}"


def _managed_identity(program: Program, _settings: Settings) -> Found:
    for link, keys in program.links:
        found = next((urn.rsplit("::", 1)[-1] for urn in program.managed_identities if urn in keys), None)
        if found is None and link.kind == NATIVE_PARTNER and str(link.provider.get("useMsi")).casefold() == "true":
            found = "its provider"
        if found is not None:
            yield link, f"{link.name} links a managed identity ({found})"


def _nothing_eligible(program: Program, _settings: Settings) -> Found:
    if any(not grant.keys for grant in program.grants):
        return
    for link, keys in program.links:
        if not keys:
            continue
        roles = [grant.role for grant in program.grants if grant.keys & keys]
        if any(role is None or role.verdict is Verdict.YES for role in roles):
            continue
        unlisted = sorted({role.name for role in roles if role is not None and role.verdict is Verdict.UNLISTED})
        but = f"; whether {', '.join(unlisted)} counts nobody can say" if unlisted else ""
        yield link, f"{link.name} links a principal that this program gives no role that counts{but}"


def _shared_principal(program: Program, _settings: Settings) -> Found:
    seen: list[tuple[Resource, frozenset[str], str | None]] = []
    for link, keys in program.links:
        tenant = _text(link.properties.get("tenant_id" if link.kind == PARTNER_LINK else "tenantId"))
        identity = keys | _application(link)
        for other, others, other_tenant in seen:
            if not identity & others:
                continue
            if keys & others or None in (tenant, other_tenant):
                yield link, f"{link.name} and {other.name} link the same principal"
            elif tenant != other_tenant:
                yield link, f"{link.name} ({tenant}) and {other.name} ({other_tenant}) share one application"
            break
        seen.append((link, identity, tenant))


def _own_csp_customer(program: Program, settings: Settings) -> Found:
    tenants = {tenant.casefold() for tenant in settings.csp_tenants}
    for link in program.of(*LINKS):
        if found := _tenant_names(link) & tenants:
            yield link, f"{link.name} is for {min(found)}, whose Azure the partner itself sells as a CSP"


def _no_approval(program: Program, settings: Settings) -> Found:
    recorded = {tenant.casefold(): approval for tenant, approval in settings.approvals.items()}
    for link in program.of(*LINKS):
        given = [_approval(row) for row in (link, *program.ancestors(link))]
        names = _tenant_names(link)
        given += [recorded[name] for name in sorted(names) if name in recorded]
        if any(_complete(approval) for approval in given) or (recorded and not names):
            continue
        partial = next((approval for approval in given if isinstance(approval, Mapping) and approval), None)
        lacks = "no approval on record"
        if partial is not None:
            lacks = f"an approval without {', '.join(key for key in _APPROVAL if partial.get(key) in (None, ''))}"
        yield link, f"{link.name} has {lacks}"


_APPROVAL = ("reference", "who", "when")


def _approval(resource: Resource) -> Any:
    """Return the approval that a resource or component carries, itself or in its attestation."""
    if "approval" in resource.properties:
        return resource.properties["approval"]
    attestation = resource.properties.get("attestation")
    return attestation.get("approval") if isinstance(attestation, Mapping) else attestation


def _complete(approval: Any) -> bool:
    return approval is UNKNOWN or (
        isinstance(approval, Mapping) and all(approval.get(key) not in (None, "") for key in _APPROVAL)
    )


def _tenant_names(link: Resource) -> set[str]:
    declared = link.properties.get("declared")
    values = [link.properties.get("tenant_id"), link.properties.get("tenantId")]
    values += [declared.get("tenant_id")] if isinstance(declared, Mapping) else []
    return {value.casefold() for value in values if isinstance(value, str) and value}


def _application(link: Resource) -> frozenset[str]:
    """Return what identifies the application as which a link signs in."""
    credential = link.properties.get("credential")
    client_id = credential.get("client_id") if isinstance(credential, Mapping) else None
    return frozenset(f"application {key}" for key in known_id(client_id))


def _inline_secrets(program: Program) -> list[tuple[Resource, Mapping[str, Any]]]:
    rows = [(row, row.properties.get("password")) for row in program.of(APPLICATION)]
    return [(row, secret) for row, secret in rows if isinstance(secret, Mapping)]


def _lifetime(secret: Mapping[str, Any], now: datetime | None) -> timedelta | None:
    """Return how long a secret lives, None where that is not known.

    A relative end is not looked at: the azuread provider does not send it, so the default holds.
    """
    start, end = secret.get("startDate"), secret.get("endDate")
    if end is None or end == "":
        return _DEFAULT_LIFETIME
    since = now if start is None or start == "" else _time(start)
    until = _time(end)
    return None if since is None or until is None else until - since


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    # Before Python 3.11 fromisoformat knows neither the Z nor any number of fractional digits but 3 and 6.
    text = re.sub(r"\.\d+", "", value.strip())
    try:
        time = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _text(value: Any) -> str | None:
    """Return an identifier, also where it came as a number; None where it is not known."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().casefold() if isinstance(value, (str, int)) and value != "" else None


def _may_contain(scope: Scope | None, other: Scope | None) -> bool:
    """Whether a role on one scope may hold on another; nobody knows what is below a management group."""
    if scope is None or other is None or scope.kind is ScopeKind.MANAGEMENT_GROUP:
        return True
    return scope.contains(other)


_PAL = "Microsoft, Link a partner ID to your account that's used to manage customers"
_PEC = "Microsoft, Roles and permissions required to earn partner earned credit, 2022-11-08"

RULES: Final[Mapping[str, Rule]] = {
    rule.id: rule
    for rule in (
        Rule(
            "PAL000",
            "suppression-with-id-and-reason",
            "A suppression names a rule and a reason.",
            Severity.MANDATORY,
            "What is accepted without a reason, or by a misspelt id, nobody can review later.",
            "Name one of the ids in docs/rules.md and say why the finding is acceptable there.",
            "This project's design.",
            _bad_suppression,
            whole=False,
        ),
        Rule(
            "PAL001",
            "eligible-role",
            "A linked principal has a role that may count wherever it has one that does not.",
            Severity.MANDATORY,
            "A role that is listed as not eligible earns no partner earned credit on its scope, so the work there is "
            "not recognised.",
            f"Assign {LEAST_PRIVILEGE!r}, the least privilege that counts, or another eligible role on the same scope "
            "or above; the other role may stay beside it.",
            _PEC,
            _ineligible_role,
        ),
        Rule(
            "PAL002",
            "allowed-partner-id",
            "Only partner IDs that the organisation allows are linked.",
            Severity.MANDATORY,
            "A link with another partner's ID credits that partner with this customer's consumption.",
            "Correct the partner ID, or add it to allowedPartnerIds if it is one of yours.",
            _PAL,
            _partner_id_not_allowed,
            whole=False,
        ),
        Rule(
            "PAL003",
            "no-standing-secret",
            "No client secret stays after the link is made.",
            Severity.ADVISORY,
            "The link stays without the secret, and a secret that nobody needs can only leak.",
            "Use the credential kind 'ephemeral' or 'federated', or remove the secret once the principal is linked.",
            f"{_PAL}; Microsoft, Security best practices for application properties in Microsoft Entra ID",
            _standing_secret,
            whole=False,
        ),
        Rule(
            "PAL004",
            "short-lived-secret",
            "A client secret lives no longer than the organisation allows.",
            Severity.ADVISORY,
            "The longer a secret is valid, the longer a leaked one can be used.",
            "Set endDate nearer (endDateRelative is not sent to the service), and rotate with rotateWhenChanged; "
            "maxSecretDays is what is allowed.",
            "Microsoft, Register an application in Microsoft Entra ID: less than 12 months; Microsoft Graph, "
            "application: addPassword: two years where no end is set",
            _long_lived_secret,
            whole=False,
        ),
        Rule(
            "PAL005",
            "least-privilege",
            "A linked principal cannot give itself or others access.",
            Severity.MANDATORY,
            "Recognition needs no right to assign roles, and whoever gets hold of such a principal has everything.",
            f"Assign {LEAST_PRIVILEGE!r} or the eligible role that the work needs instead.",
            f"{_PAL}; Microsoft, Best practices for Azure RBAC",
            _administrator,
        ),
        Rule(
            "PAL006",
            "no-managed-identity",
            "No managed identity is linked.",
            Severity.MANDATORY,
            "Managed identities cannot be used with Partner Admin Link: such a link is made, but not supported.",
            "Link a service principal of an application registration, which CustomerServicePrincipal makes.",
            _PAL,
            _managed_identity,
        ),
        Rule(
            "PAL007",
            "link-with-eligible-role",
            "A linked principal has an eligible role.",
            Severity.ADVISORY,
            "A link without an eligible role assignment on the same principal earns nothing.",
            f"Assign {LEAST_PRIVILEGE!r} or another eligible role to the same principal. If another program does, or "
            "a group that it is in, suppress this with that as the reason.",
            _PEC,
            _nothing_eligible,
        ),
        Rule(
            "PAL008",
            "principal-per-customer",
            "Each customer has a principal and an application of its own.",
            Severity.ADVISORY,
            "What is shared cannot be taken from one customer alone, a leak reaches all of them, and two links of one "
            "principal undo each other.",
            "Declare a CustomerAccess per customer: it makes a dedicated application and principal.",
            "Microsoft, Security best practices for application properties in Microsoft Entra ID",
            _shared_principal,
        ),
        Rule(
            "PAL009",
            "own-csp-customer",
            "Customers to whom the partner itself sells Azure as a CSP need no link.",
            Severity.INFORMATIONAL,
            "The partner in the transaction chain is recognised without a link, so it usually adds nothing; it does "
            "where another partner transacts, or before a move to another agreement.",
            "Leave the link out, or keep it and suppress this with the reason.",
            _PAL,
            _own_csp_customer,
            whole=False,
        ),
        Rule(
            "PAL010",
            "approval-on-record",
            "The customer's approval of a link is on record.",
            Severity.ADVISORY,
            "A link makes the partner's influence on the customer's consumption known to Microsoft: the customer "
            "should have agreed, and an auditor will ask who did and when.",
            "Give the component an approval with reference, who and when, or record it under approvals by tenant.",
            "This project's security practice: approval on record, periodic review, removal at the end.",
            _no_approval,
        ),
    )
}
"""Every rule by its id."""


def document() -> str:
    """Return the text of docs/rules.md."""
    lines = [
        "# Rules",
        "",
        "Generated by `python -m pal_components.eligibility.rules > docs/rules.md`: change the rules, not this page.",
        "",
        "The rules look at any program's resources, also those that this library did not make. A value that is not",
        "known yet is never a finding. *Mandatory* stops a deployment, *advisory* warns, *informational* tells.",
        "Components apply them at preview to what they declare, the [policy pack](../policy-pack/README.md) to any",
        "program; its page says how to set and to suppress them.",
        "",
        "| id | demands | severity |",
        "|---|---|---|",
        *(f"| [{rule.id}](#{rule.id.lower()}) | {rule.title} | {rule.severity.value} |" for rule in RULES.values()),
    ]
    for rule in RULES.values():
        lines += [
            "",
            f"### {rule.id}",
            "",
            f"**{rule.title}** ({rule.severity.value}; policy `{policy_name(rule)}`, "
            f"judged {'over the whole program' if rule.whole else 'resource by resource'})",
            "",
            f"- Why: {rule.why}",
            f"- Fix: {rule.fix}",
            f"- Source: {rule.source}",
        ]
    return "\n".join(lines) + "\n"


def policy_name(rule: Rule) -> str:
    """Return the rule's name as a policy: what its configuration is found under."""
    return f"{rule.id.lower()}-{rule.name}"


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201 it is what this module is run for
