"""The rules, each on what it finds and what it leaves alone."""

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pal_components.eligibility import program as model
from pal_components.eligibility.program import UNKNOWN, Resource
from pal_components.eligibility.rules import RULES, Finding, Settings, Severity, Suppression, check, document, refused

ROOT = Path(__file__).parents[2]
CONTOSO = "c0000000-0000-4000-8000-000000000001"
FABRIKAM = "f0000000-0000-4000-8000-000000000002"
OBJECT = "0b000000-0000-4000-8000-000000000001"
SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = "/providers/Microsoft.Management/managementGroups/contoso-root"
DEFINITIONS = "/providers/Microsoft.Authorization/roleDefinitions/"
LEAST = "cfd33db0-3dd1-45e3-aa9d-cdbdf3b6f24e"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
ACCESS = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
CUSTOM = "00000000-1111-2222-3333-444444444444"
APPROVAL = {"reference": "CHG-1", "who": "admin@contoso.onmicrosoft.com", "when": "2025-06-01"}
NOW = datetime(2025, 6, 1, tzinfo=timezone.utc)


def urn(name: str) -> str:
    return f"urn:pulumi:test::test::t::{name}"


def resource(kind: str, name: str, /, **properties: Any) -> Resource:
    return Resource(kind, urn(name), properties)


def link(name: str = "link", **properties: Any) -> Resource:
    given = {"partner_id": "4567891", "tenant_id": CONTOSO, "object_id": OBJECT, "approval": APPROVAL, **properties}
    return resource(model.PARTNER_LINK, name, **given)


def native(**properties: Any) -> Resource:
    given = {"partnerId": "4567891", "objectId": OBJECT, "tenantId": CONTOSO, "approval": APPROVAL, **properties}
    return resource("azure-native:managementpartner/v20180201:Partner", "native", **given)


def role(guid: Any, scope: Any = SUBSCRIPTION, principal: Any = OBJECT, name: str | None = None) -> Resource:
    definition = DEFINITIONS + guid if isinstance(guid, str) else guid
    return resource(
        "azure-native:authorization/v20220401:RoleAssignment",
        name or f"role-{guid}"[:13],
        principalId=principal,
        roleDefinitionId=definition,
        scope=scope,
    )


def password(**properties: Any) -> Resource:
    return resource(model.APPLICATION_PASSWORD, "password", **properties)


def delegation(guid: str, principal: Any = OBJECT) -> Resource:
    authorization = {"principalId": principal, "roleDefinitionId": guid}
    return resource(
        model.REGISTRATION_DEFINITION, "lighthouse", scope=SUBSCRIPTION, properties={"authorizations": [authorization]}
    )


def comes_from(row: Resource, name: str, *origins: Resource) -> Resource:
    """Return the resource with a property unknown, but known to come from others."""
    return Resource(
        row.type, row.urn, {**row.properties, name: UNKNOWN}, {name: [origin.urn for origin in origins]}, row.parent
    )


PRINCIPAL = resource(model.SERVICE_PRINCIPAL, "principal", objectId=UNKNOWN)
IDENTITY = resource("azure-native:managedidentity/v20230131:UserAssignedIdentity", "identity", principalId=OBJECT)
MACHINE = resource(
    "azure-native:compute:VirtualMachine", "machine", identity={"type": "SystemAssigned", "principalId": OBJECT}
)
NEW_LINK = comes_from(link(), "object_id", PRINCIPAL)
ELIGIBLE = role(LEAST)
ALLOWED = Settings(allowed_partner_ids=frozenset({"4567891"}))
CSP = Settings(csp_tenants=frozenset({CONTOSO.upper()}))
YEAR = {"startDate": "2025-01-01T00:00:00Z", "endDate": "2026-01-01T00:00:00.1234567Z"}


@pytest.mark.parametrize(
    ("id_", "resources", "settings", "where", "says"),
    [
        ("PAL000", [password(notes="pal-suppress PAL003")], None, "password", "no reason"),
        (
            "PAL000",
            [password(notes="one\npal-suppress PAL099: because\ntwo")],
            None,
            "password",
            "'PAL099', which is no",
        ),
        ("PAL000", [password(tags=["pal-suppress"])], None, "password", "names ''"),
        ("PAL000", [password(tags={"pal-suppress PAL003": ""})], None, "password", "no reason"),
        ("PAL000", [password(description="pal-suppress PAL000: all of it")], None, "password", "'PAL000'"),
        ("PAL001", [link(), role(READER)], None, "role-acdd72a7", "'Reader', which earns nothing"),
        ("PAL001", [link(), role(READER), role(LEAST, f"{SUBSCRIPTION}/resourceGroups/a")], None, "role-acdd72a7", ""),
        ("PAL001", [link(), role(READER), role(LEAST, principal=CONTOSO)], None, "role-acdd72a7", ""),
        ("PAL001", [link(), delegation(READER)], None, "lighthouse", "'Reader'"),
        ("PAL001", [native(), role(READER)], None, "role-acdd72a7", "'Reader'"),
        (
            "PAL001",
            [PRINCIPAL, NEW_LINK, comes_from(role(READER), "principalId", PRINCIPAL)],
            None,
            "role-acdd72a7",
            "'Reader'",
        ),
        ("PAL002", [link(partner_id="5127255")], ALLOWED, "link", "partner ID 5127255; allowed are 4567891"),
        ("PAL002", [native(partnerId=5127255.0)], ALLOWED, "native", "partner ID 5127255"),
        ("PAL003", [password()], None, "password", "a client secret that stays"),
        ("PAL003", [resource(model.PRINCIPAL_PASSWORD, "sp")], None, "sp", "a client secret that stays"),
        ("PAL003", [resource(model.APPLICATION, "app", password={"displayName": "x"})], None, "app", "has a client"),
        ("PAL003", [link(credential={"kind": "given", "client_secret": "a"})], None, "link", "given client secret"),
        ("PAL004", [password()], None, "password", "lives 730 days, because without endDate"),
        ("PAL004", [password(endDateRelative="24h")], None, "password", "lives 730 days"),
        ("PAL004", [password(**YEAR)], Settings(max_secret_days=180), "password", "lives 365 days; allowed are 180"),
        ("PAL004", [password(endDate="2027-06-01T02:00:00+02:00")], Settings(now=NOW), "password", "lives 730 days;"),
        ("PAL004", [resource(model.APPLICATION, "app", password={})], None, "app", "lives 730 days"),
        ("PAL005", [link(), role(OWNER)], None, "role-8e3af657", "'Owner'"),
        ("PAL005", [native(), role(ACCESS, GROUP)], None, "role-18d7d88d", "'User Access Administrator'"),
        ("PAL006", [IDENTITY, link()], None, "link", "(identity)"),
        ("PAL006", [MACHINE, link()], None, "link", "(machine)"),
        ("PAL006", [IDENTITY, NEW_LINK, comes_from(link("other"), "object_id", IDENTITY)], None, "other", "(identity)"),
        ("PAL006", [Resource(native().type, urn("msi"), {}, provider={"useMsi": "true"})], None, "msi", "provider"),
        ("PAL007", [link()], None, "link", "no role that counts"),
        ("PAL007", [link(), role(READER), role(LEAST, principal=CONTOSO)], None, "link", "no role that counts"),
        ("PAL007", [link(), role(CUSTOM)], None, "link", f"whether {CUSTOM} counts nobody can say"),
        ("PAL007", [PRINCIPAL, NEW_LINK], None, "link", "no role that counts"),
        ("PAL008", [link("one"), link("two")], None, "two", "two and one link the same principal"),
        (
            "PAL008",
            [
                link("one", object_id="a", credential={"client_id": "C"}),
                link("two", object_id="b", credential={"client_id": "c"}, tenant_id=FABRIKAM),
            ],
            None,
            "two",
            "share one application",
        ),
        ("PAL009", [link()], CSP, "link", "sells as a CSP"),
        ("PAL009", [link(tenant_id="A", declared={"tenant_id": CONTOSO})], CSP, "link", "sells as a CSP"),
        ("PAL010", [link(approval=None)], None, "link", "no approval on record"),
        ("PAL010", [link(approval={"reference": "x", "who": ""})], None, "link", "an approval without who, when"),
        ("PAL010", [link(approval=None)], Settings(approvals={FABRIKAM: APPROVAL}), "link", "no approval on record"),
    ],
)
def test_what_a_rule_finds(
    id_: str, resources: list[Resource], settings: Settings | None, where: str, says: str
) -> None:
    """One finding, on the resource that has to change, with the values that are wrong."""
    (finding,) = RULES[id_].check(resources, settings)
    assert finding.urn == urn(where)
    assert says in finding.what
    assert finding.message.startswith(f"{id_}: ")
    assert finding.rule.why in finding.message
    assert finding.rule.fix in finding.message


COMPONENT = resource("pal:index:CustomerAccess", "customer", attestation={"approval": APPROVAL})


def inside(component: Resource, row: Resource) -> Resource:
    return Resource(row.type, row.urn, row.properties, row.dependencies, component.urn)


@pytest.mark.parametrize(
    ("id_", "resources", "settings"),
    [
        ("PAL000", [password(notes="pal-suppress PAL003: rotated weekly", description=UNKNOWN, tags=UNKNOWN)], None),
        ("PAL001", [link(), role(READER), ELIGIBLE], None),
        ("PAL001", [link(), role(READER, f"{SUBSCRIPTION}/resourceGroups/a"), ELIGIBLE], None),
        ("PAL001", [link(), role(READER), role(LEAST, GROUP)], None),
        ("PAL001", [link(), role(READER), role(CUSTOM)], None),
        ("PAL001", [link(), role(READER), role(UNKNOWN)], None),
        ("PAL001", [link(), role(READER), role(LEAST, UNKNOWN)], None),
        ("PAL001", [link(), role(READER, principal=CONTOSO)], None),
        ("PAL001", [link(), role(READER, principal=UNKNOWN)], None),
        ("PAL001", [link(object_id=UNKNOWN), role(READER, principal=UNKNOWN)], None),
        ("PAL002", [link(partner_id="5127255")], None),
        ("PAL002", [link(), native(partnerId=4567891.0)], ALLOWED),
        ("PAL002", [link(partner_id=UNKNOWN)], ALLOWED),
        ("PAL003", [link(credential={"kind": "ephemeral"}), link(credential=UNKNOWN)], None),
        ("PAL004", [password(**YEAR)], None),
        ("PAL004", [password(endDate=UNKNOWN)], Settings(now=NOW)),
        ("PAL004", [password(endDate="2099-01-01T00:00:00Z")], None),
        ("PAL004", [password(endDate="tomorrow")], Settings(now=NOW)),
        ("PAL005", [link(), role(LEAST), role(OWNER, principal=CONTOSO)], None),
        (
            "PAL005",
            [PRINCIPAL, IDENTITY, comes_from(link(), "object_id", PRINCIPAL, IDENTITY), role(OWNER)],
            None,
        ),
        ("PAL006", [resource(model.MANAGED_IDENTITY, "i", principalId=UNKNOWN), link()], None),
        ("PAL006", [PRINCIPAL, NEW_LINK, IDENTITY], None),
        ("PAL007", [link(), ELIGIBLE], None),
        ("PAL007", [link(), role(UNKNOWN)], None),
        ("PAL007", [link(), role(LEAST, principal=UNKNOWN)], None),
        ("PAL007", [link(object_id=UNKNOWN), role(READER)], None),
        ("PAL007", [link(), delegation(LEAST)], None),
        ("PAL007", [link(), resource(model.REGISTRATION_DEFINITION, "l", properties=UNKNOWN)], None),
        ("PAL007", [PRINCIPAL, NEW_LINK, comes_from(ELIGIBLE, "principalId", PRINCIPAL)], None),
        ("PAL007", [resource(model.SERVICE_PRINCIPAL, "p", objectId=OBJECT), link(), ELIGIBLE], None),
        ("PAL008", [link("one", object_id=UNKNOWN), link("two", object_id=UNKNOWN)], None),
        ("PAL008", [link("one"), link("two", object_id="b", tenant_id=FABRIKAM)], None),
        ("PAL009", [link()], Settings(csp_tenants=frozenset({FABRIKAM}))),
        ("PAL009", [link(tenant_id=UNKNOWN)], CSP),
        ("PAL010", [link()], None),
        ("PAL010", [link(approval=UNKNOWN)], None),
        ("PAL010", [link(approval=None)], Settings(approvals={CONTOSO.upper(): APPROVAL})),
        ("PAL010", [link(approval=None, tenant_id=UNKNOWN)], Settings(approvals={CONTOSO: APPROVAL})),
        ("PAL010", [COMPONENT, inside(COMPONENT, link(approval=None))], None),
    ],
)
def test_what_a_rule_leaves_alone(id_: str, resources: list[Resource], settings: Settings | None) -> None:
    """What is right, what is not the rule's, and what is not known yet."""
    assert RULES[id_].check(resources, settings) == []


def ids(found: Iterable[Finding]) -> list[str]:
    return [finding.rule.id for finding in found]


def test_a_program_as_this_library_makes_it_has_no_finding() -> None:
    """At preview, when every id is unknown, and after the update."""
    preview = [
        COMPONENT,
        PRINCIPAL,
        inside(COMPONENT, comes_from(link(approval=None), "object_id", PRINCIPAL)),
        comes_from(role(LEAST), "principalId", PRINCIPAL),
        comes_from(role(READER), "principalId", PRINCIPAL),
    ]
    assert check(preview) == []
    assert check([COMPONENT, inside(COMPONENT, link()), ELIGIBLE, role(READER)]) == []


@pytest.mark.parametrize(
    "suppressed",
    [
        (password(endDate=UNKNOWN), (Suppression("PAL003", "rotated weekly"),)),
        (password(endDate=UNKNOWN), (Suppression("PAL003", "rotated weekly", "password"),)),
        (password(endDate=UNKNOWN), (Suppression("PAL003", "rotated weekly", urn("password")),)),
        (password(endDate=UNKNOWN, notes="pal-suppress PAL003: rotated weekly"), ()),
        (password(endDate=UNKNOWN, tags=["x", "pal-suppress pal003: rotated weekly"]), ()),
        (password(endDate=UNKNOWN, tags={"pal-suppress PAL003": "rotated weekly"}), ()),
    ],
)
def test_a_suppression_with_id_and_reason_silences(suppressed: tuple[Resource, tuple[Suppression, ...]]) -> None:
    """In the settings, for all or for one resource by name or URN, or on the resource itself."""
    row, suppressions = suppressed
    assert check([row], Settings(suppressions=suppressions)) == []


@pytest.mark.parametrize(
    ("suppression", "says"),
    [
        (Suppression("PAL003", " "), "has no reason"),
        (Suppression("PAL099", "why not"), "'PAL099', which is no rule"),
        (Suppression("PAL000", "why not"), "'PAL000', which is no rule that can be suppressed"),
    ],
)
def test_a_bad_suppression_is_a_finding_and_silences_nothing(suppression: Suppression, says: str) -> None:
    """Without a reason or for an unknown id there is one finding more, not one less."""
    found = check([password(endDate=UNKNOWN)], Settings(suppressions=(suppression,)))
    assert ids(found) == ["PAL000", "PAL003"]
    assert says in found[0].what
    assert [what for _, what in refused([suppression])] == [found[0].what]


def test_a_suppression_for_another_resource_silences_nothing() -> None:
    """It holds for the resource that it names."""
    settings = Settings(suppressions=(Suppression("PAL003", "rotated weekly", "other"),))
    assert ids(check([password(endDate=UNKNOWN)], settings)) == ["PAL003"]


def test_secrets_are_never_told() -> None:
    """A finding about a secret names the resource, not the value."""
    secret = "not-to-be-seen"
    found = check([password(value=secret), link(credential={"kind": "given", "client_secret": secret})])
    assert {"PAL003", "PAL004"} <= set(ids(found))
    assert secret not in "".join(finding.message for finding in found)


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=8), st.just(UNKNOWN), st.sampled_from([OBJECT])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=4,
)
NAMES = [
    "partner_id",
    "partnerId",
    "object_id",
    "objectId",
    "tenant_id",
    "tenantId",
    "principalId",
    "roleDefinitionId",
    "scope",
    "credential",
    "password",
    "endDate",
    "startDate",
    "properties",
    "identity",
    "approval",
    "attestation",
    "declared",
    "notes",
    "description",
    "tags",
]
KINDS = [value for value in vars(model).values() if isinstance(value, str) and value.count(":") >= 2]


@given(
    st.lists(
        st.builds(
            Resource,
            st.sampled_from(KINDS),
            st.sampled_from("abcd"),
            st.dictionaries(st.sampled_from(NAMES), ANYTHING),
            st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from("abcd"))),
            st.sampled_from([None, *"abcd"]),
        ),
        max_size=4,
    )
)
def test_any_program_can_be_judged(resources: Sequence[Resource]) -> None:
    """Whatever the properties are, the rules come to an end with findings, not with an error."""
    for finding in check(resources, Settings(allowed_partner_ids=frozenset({"1"}), now=NOW)):
        assert finding.message


@given(st.lists(st.sampled_from([PRINCIPAL, IDENTITY, COMPONENT]), max_size=3))
def test_nothing_known_is_nothing_found(others: list[Resource]) -> None:
    """A link and a role of which everything is unknown are no finding of any rule."""
    unknown: Mapping[str, Any] = dict.fromkeys(NAMES, UNKNOWN)
    rows = [Resource(model.PARTNER_LINK, "l", unknown), Resource(model.ROLE_ASSIGNMENT, "r", unknown)]
    assert (
        check([*rows, *others], Settings(allowed_partner_ids=frozenset({"1"}), csp_tenants=frozenset({CONTOSO}))) == []
    )


def test_ids_are_in_order_and_names_are_distinct() -> None:
    """PAL000, PAL001 and so on, each with all of its texts."""
    assert list(RULES) == [f"PAL{i:03}" for i in range(len(RULES))]
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    for rule in RULES.values():
        assert all((rule.title, rule.why, rule.fix, rule.source))
        assert isinstance(rule.severity, Severity)


def test_the_page_is_up_to_date() -> None:
    """docs/rules.md is what the rules say."""
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == document()


def test_the_rules_are_free_of_pulumi_and_azure() -> None:
    """Neither Pulumi nor an Azure SDK is loaded with them."""
    code = (
        "import sys, pal_components.eligibility.rules, pal_components.eligibility.share\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('azure', 'pulumi', 'pulumi_policy', 'msal')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
