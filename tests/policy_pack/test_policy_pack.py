"""The policy pack in its own process, asked as the engine asks it: over gRPC."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2 as wire
from pulumi.runtime.proto import analyzer_pb2_grpc

from pal_components.eligibility.program import APPLICATION_PASSWORD, PARTNER_LINK, ROLE_ASSIGNMENT, SERVICE_PRINCIPAL
from pal_components.eligibility.rules import RULES, Severity, policy_name

ROOT = Path(__file__).parents[2]
# What the engine writes for a string that is not known at preview, and for a secret.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
CONTOSO = "c0000000-0000-4000-8000-000000000001"
OBJECT = "0b000000-0000-4000-8000-000000000001"
SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
DEFINITIONS = "/providers/Microsoft.Authorization/roleDefinitions/"
LEAST = "cfd33db0-3dd1-45e3-aa9d-cdbdf3b6f24e"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
APPROVAL = {"reference": "CHG-1", "who": "admin@contoso.onmicrosoft.com", "when": "2025-06-01"}
LINK = {"partner_id": "4567891", "tenant_id": CONTOSO, "object_id": OBJECT, "credential": {"kind": "ephemeral"}}
NEW_LINK = LINK | {"object_id": UNKNOWN}


def struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    message.update(properties)
    return message


def urn(name: str) -> str:
    return f"urn:pulumi:test::test::t::{name}"


def row(kind: str, name: str, properties: Mapping[str, Any], parent: str = "", **origins: str) -> wire.AnalyzerResource:
    """A resource as the engine sends it; `origins` name the resource that a property comes from."""
    return wire.AnalyzerResource(
        type=kind,
        urn=urn(name),
        name=name,
        properties=struct(properties),
        parent=urn(parent) if parent else "",
        propertyDependencies={
            key: wire.AnalyzerPropertyDependencies(urns=[urn(origin)]) for key, origin in origins.items()
        },
    )


def role(guid: str, principal: str = OBJECT, name: str = "role", **origins: str) -> wire.AnalyzerResource:
    properties = {"principalId": principal, "roleDefinitionId": DEFINITIONS + guid, "scope": SUBSCRIPTION}
    return row(ROLE_ASSIGNMENT, name, properties, **origins)


class Pack:
    """The engine's side of the conversation."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = analyzer_pb2_grpc.AnalyzerStub(channel)

    def info(self) -> wire.AnalyzerInfo:
        return self._stub.GetAnalyzerInfo(empty_pb2.Empty(), timeout=20)

    def configure(self, levels: Mapping[str, int] | None = None, **config: Mapping[str, Any]) -> None:
        """Give policies, by the rule's id, their configuration and level; all others keep their defaults."""
        chosen = {}
        for policy in self.info().policies:
            id_ = policy.tags[0]
            level = (levels or {}).get(id_, policy.enforcementLevel)
            chosen[policy.name] = wire.PolicyConfig(enforcementLevel=level, properties=struct(config.get(id_, {})))
        self._stub.Configure(wire.ConfigureAnalyzerRequest(policyConfig=chosen), timeout=20)

    def analyze(self, kind: str, properties: Mapping[str, Any], name: str = "one") -> list[wire.AnalyzeDiagnostic]:
        request = wire.AnalyzeRequest(type=kind, urn=urn(name), name=name, properties=struct(properties))
        return list(self._stub.Analyze(request, timeout=20).diagnostics)

    def analyze_stack(self, *resources: wire.AnalyzerResource) -> list[wire.AnalyzeDiagnostic]:
        return list(self._stub.AnalyzeStack(wire.AnalyzeStackRequest(resources=resources), timeout=20).diagnostics)


@pytest.fixture(scope="module")
def process() -> Iterator[Pack]:
    """The pack, started as the language host starts it."""
    pack = subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(ROOT / "policy-pack")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert pack.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{int(pack.stdout.readline())}") as channel:
            yield Pack(channel)
    finally:
        pack.kill()
        pack.communicate()


@pytest.fixture
def pack(process: Pack) -> Pack:
    """The pack with its defaults."""
    process.configure()
    return process


def told(diagnostics: list[wire.AnalyzeDiagnostic]) -> list[tuple[str, str]]:
    """Return the policy's id and the resource's name of each violation."""
    return [(one.policyName[:6].upper(), one.urn.rsplit("::", 1)[-1]) for one in diagnostics]


def test_every_rule_is_a_policy(pack: Pack) -> None:
    """With the rule's level, its title, and how to fix what it finds."""
    levels = {Severity.MANDATORY: wire.MANDATORY}
    types = {True: wire.POLICY_TYPE_STACK, False: wire.POLICY_TYPE_RESOURCE}
    info = pack.info()
    assert info.name == "pal-components"
    assert info.supportsConfig
    assert [policy.name for policy in info.policies] == [policy_name(rule) for rule in RULES.values()]
    for policy, rule in zip(info.policies, RULES.values(), strict=True):
        assert (policy.description, policy.remediation_steps) == (rule.title, rule.fix)
        assert policy.enforcementLevel == levels.get(rule.severity, wire.ADVISORY)
        assert policy.policy_type == types[rule.whole]
    schemas = {policy.tags[0]: set(policy.configSchema.properties) for policy in info.policies}
    assert schemas["PAL000"] == set()
    assert schemas["PAL002"] == {"allowedPartnerIds", "suppressions"}
    assert schemas["PAL004"] == {"maxSecretDays", "suppressions"}


def test_a_violation_says_what_why_and_how_to_fix(pack: Pack) -> None:
    """The whole text, the level and the resource."""
    pack.configure(PAL002={"allowedPartnerIds": ["4567891"]})
    (violation,) = pack.analyze(PARTNER_LINK, LINK | {"partner_id": "5127255"}, "link")
    rule = RULES["PAL002"]
    assert violation.policyName == "pal002-allowed-partner-id"
    assert violation.enforcementLevel == wire.MANDATORY
    assert violation.urn == urn("link")
    assert "link links partner ID 5127255; allowed are 4567891" in violation.message
    assert f"Why: {rule.why}" in violation.message
    assert f"Fix: {rule.fix}" in violation.message


def test_resources_are_judged_before_they_are_made(pack: Pack) -> None:
    """A secret of any program: that it stays, and how long."""
    assert told(pack.analyze(APPLICATION_PASSWORD, {})) == [("PAL003", "one"), ("PAL004", "one")]
    year = {"startDate": "2025-01-01T00:00:00Z", "endDate": "2025-12-31T00:00:00Z"}
    assert told(pack.analyze(APPLICATION_PASSWORD, year)) == [("PAL003", "one")]
    pack.configure(PAL004={"maxSecretDays": 30})
    assert told(pack.analyze(APPLICATION_PASSWORD, year)) == [("PAL003", "one"), ("PAL004", "one")]
    assert told(pack.analyze(APPLICATION_PASSWORD, {"endDate": "2000-01-01T00:00:00Z"})) == [("PAL003", "one")]
    assert pack.analyze("random:index/randomPet:RandomPet", {"length": 3, "keepers": [UNKNOWN, {"a": UNKNOWN}]}) == []


def test_a_customer_of_the_partner_itself_is_told_as_information(pack: Pack) -> None:
    """PAL adds nothing where the partner transacts: said, not enforced."""
    pack.configure(PAL009={"cspTenants": [CONTOSO]})
    (violation,) = pack.analyze(PARTNER_LINK, LINK)
    assert violation.enforcementLevel == wire.ADVISORY
    assert violation.severity == wire.POLICY_SEVERITY_LOW
    assert "For information. PAL009" in violation.message


def test_what_is_unknown_at_preview_is_no_violation(pack: Pack) -> None:
    """Nor is it the SDK's complaint that a policy cannot run."""
    pack.configure(PAL002={"allowedPartnerIds": ["1"]}, PAL009={"cspTenants": [CONTOSO]})
    unknown = dict.fromkeys(LINK, UNKNOWN)
    assert pack.analyze(PARTNER_LINK, unknown) == []
    assert pack.analyze(APPLICATION_PASSWORD, {"endDate": UNKNOWN})[1:] == []
    assert pack.analyze_stack(row(PARTNER_LINK, "link", unknown | {"approval": UNKNOWN}), role(READER, UNKNOWN)) == []


def test_a_stack_is_judged_as_a_whole(pack: Pack) -> None:
    """Who is linked decides what a role assignment means."""
    link = row(PARTNER_LINK, "link", LINK | {"approval": APPROVAL})
    assert told(pack.analyze_stack(link, role(LEAST), role(READER))) == []
    assert told(pack.analyze_stack(link, role(READER))) == [("PAL001", "role"), ("PAL007", "link")]
    assert told(pack.analyze_stack(link, role(OWNER))) == [("PAL005", "role")]
    assert told(pack.analyze_stack(role(OWNER))) == []
    identity = row("azure-native:managedidentity:UserAssignedIdentity", "identity", {"principalId": OBJECT})
    assert told(pack.analyze_stack(identity, link, role(LEAST))) == [("PAL006", "link")]
    second = row("azure-native:managementpartner:Partner", "second", {"partnerId": "4567891", "objectId": OBJECT})
    assert told(pack.analyze_stack(link, second, role(LEAST))) == [("PAL008", "second"), ("PAL010", "second")]


def test_a_new_principal_is_known_by_where_its_id_comes_from(pack: Pack) -> None:
    """At the first preview no object id is known, and the rules apply all the same."""
    principal = row(SERVICE_PRINCIPAL, "principal", {"objectId": UNKNOWN})
    link = row(PARTNER_LINK, "link", NEW_LINK | {"approval": APPROVAL}, object_id="principal")
    owner = role(OWNER, UNKNOWN, principalId="principal")
    assert told(pack.analyze_stack(principal, link, owner)) == [("PAL005", "role")]
    other = row(SERVICE_PRINCIPAL, "other", {"objectId": UNKNOWN})
    elsewhere = role(OWNER, UNKNOWN, principalId="other")
    assert told(pack.analyze_stack(principal, other, link, elsewhere)) == [("PAL007", "link")]


def test_an_approval_is_found_on_the_component_or_in_the_configuration(pack: Pack) -> None:
    """On record with the customer, in the program or by the organisation."""
    customer = row("pal:index:CustomerAccess", "customer", {"attestation": {"approval": APPROVAL}})
    link = row(PARTNER_LINK, "link", LINK, "customer")
    assert told(pack.analyze_stack(link, role(LEAST))) == [("PAL010", "link")]
    assert told(pack.analyze_stack(customer, link, role(LEAST))) == []
    pack.configure(PAL010={"approvals": {CONTOSO: APPROVAL}})
    assert told(pack.analyze_stack(link, role(LEAST))) == []


def test_levels_are_the_organisations(pack: Pack) -> None:
    """A policy can be made mandatory, or switched off."""
    pack.configure({"PAL003": wire.MANDATORY, "PAL004": wire.DISABLED})
    (violation,) = pack.analyze(APPLICATION_PASSWORD, {})
    assert (violation.policyName, violation.enforcementLevel) == ("pal003-no-standing-secret", wire.MANDATORY)


def test_suppressions_need_a_reason(pack: Pack) -> None:
    """With a reason one silences, for its resource; without one it is told beside what it should have silenced."""
    pack.configure(PAL004={"maxSecretDays": 9999}, PAL003={"suppressions": [{"reason": "lab", "resource": "one"}]})
    assert pack.analyze(APPLICATION_PASSWORD, {}, "one") == []
    assert told(pack.analyze(APPLICATION_PASSWORD, {}, "two")) == [("PAL003", "two")]
    pack.configure(PAL004={"maxSecretDays": 9999}, PAL003={"suppressions": [{"reason": " "}]})
    found = pack.analyze(APPLICATION_PASSWORD, {})
    assert told(found) == [("PAL003", "one"), ("PAL003", "one")]
    assert "PAL000: a suppression of PAL003 has no reason" in found[1].message


def test_a_resource_can_carry_its_suppression(pack: Pack) -> None:
    """In its description; without a reason that is a violation of PAL000."""
    link = row(PARTNER_LINK, "link", LINK | {"approval": APPROVAL})
    owner = {"principalId": OBJECT, "roleDefinitionId": DEFINITIONS + OWNER, "scope": SUBSCRIPTION}
    described = row(ROLE_ASSIGNMENT, "role", owner | {"description": "pal-suppress PAL005: break glass, until June"})
    assert told(pack.analyze_stack(link, described)) == []
    assert told(pack.analyze(ROLE_ASSIGNMENT, owner | {"description": "pal-suppress PAL005"})) == [("PAL000", "one")]


def test_secrets_stay_untold(pack: Pack) -> None:
    """The engine sends secrets in the clear to policies; no violation repeats one."""
    hidden = SECRET | {"value": "not-to-be-seen"}
    given = LINK | {"credential": SECRET | {"value": {"kind": "given", "client_secret": "not-to-be-seen"}}}
    found = [*pack.analyze(PARTNER_LINK, given), *pack.analyze(APPLICATION_PASSWORD, {"value": hidden})]
    assert [id_ for id_, _ in told(found)] == ["PAL003", "PAL003", "PAL004"]
    assert "not-to-be-seen" not in str(found)


def test_the_configuration_in_the_readme_works(pack: Pack) -> None:
    """Each policy that it names exists and has what it sets."""
    text = (ROOT / "policy-pack" / "README.md").read_text(encoding="utf-8")
    config = json.loads(text.split("```json")[1].split("```")[0])
    policies = {policy.name: policy for policy in pack.info().policies}
    for name, values in config.items():
        assert set(values) <= {*policies[name].configSchema.properties, "enforcementLevel"}
    pack.configure(**{name[:6].upper(): values for name, values in config.items()})
    assert told(pack.analyze(PARTNER_LINK, LINK | {"tenant_id": "fabrikam.onmicrosoft.com"})) == [("PAL009", "one")]
    assert told(pack.analyze(APPLICATION_PASSWORD, {}, "scanner")) == [("PAL004", "scanner")]
    assert told(pack.analyze_stack(row(PARTNER_LINK, "link", LINK), role(LEAST))) == []
