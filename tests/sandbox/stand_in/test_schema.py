"""What follows from a table of properties: checks, defaults, wire form and comparisons."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pal_components.sandbox.stand_in import azuread_tables as tables
from pal_components.sandbox.stand_in import schema as rules
from pal_components.sandbox.stand_in.plugin import UNKNOWN
from pal_components.sandbox.stand_in.schema import Kind, Property

GUID = "11111111-2222-3333-4444-555555555555"
APP_ROLE = {"id": GUID, "allowedMemberTypes": ["User"], "description": "d", "displayName": "n"}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"displayName": "a", "dysplayName": "b"}, "app has no input dysplayName; did you mean displayName?"),
        ({"displayName": "a", "clientId": GUID}, "app has no input clientId"),
        (
            {"displayName": "a", "appRoles": [APP_ROLE | {"vlue": "x"}]},
            "app has no input appRoles[0].vlue; did you mean",
        ),
        ({"displayName": "a", "web": {"implicitGrant": {"x": True}}}, "app has no input web.implicitGrant.x"),
        ({}, "app: missing required property displayName"),
        ({"displayName": ""}, "app: missing required property displayName"),
        ({"displayName": "a", "appRoles": [{"id": GUID}]}, "app: missing required property appRoles[0].displayName"),
        ({"displayName": 3}, "app: displayName must be a string"),
        ({"displayName": "a", "notes": True}, "app: notes must be a string"),
        ({"displayName": "a", "owners": "one"}, "app: owners must be a list of strings"),
        ({"displayName": "a", "owners": [1]}, "app: owners must be a list of strings"),
        ({"displayName": "a", "api": []}, "app: api must be an object"),
        ({"displayName": "a", "api": {"requestedAccessTokenVersion": True}}, "must be a whole number"),
        ({"displayName": "a", "tags": ["x"], "featureTags": [{"hide": True}]}, "cannot both be set"),
        ({"displayName": "a", "appRoles": [APP_ROLE | {"id": "x"}]}, "app: appRoles[0].id must be a GUID"),
    ],
)
def test_says_what_is_wrong(inputs: dict[str, Any], said: str) -> None:
    """Each mistake is one sentence that names the property."""
    failures = rules.check("app", tables.APPLICATION, inputs)[1]
    assert any(said in failure for failure in failures), failures


def test_a_mistake_is_said_once() -> None:
    """Two properties that exclude each other make one failure, not one from each side."""
    _, failures = rules.check("app", tables.APPLICATION, {"displayName": "a", "tags": [], "featureTags": []})
    assert failures == ["app: featureTags and tags cannot both be set"]


@pytest.mark.parametrize("value", [UNKNOWN, [UNKNOWN]])
def test_unknown_values_pass(value: Any) -> None:
    """At preview a value may not be known yet: nothing is wrong with that."""
    schema = {
        "given": Property(Kind.SET if isinstance(value, list) else Kind.STRING, required=True, valid=rules.is_guid)
    }
    assert rules.check("app", schema, {"given": value}) == ({"given": value}, [])


def test_defaults_are_filled_in() -> None:
    """A checked input holds the defaults, so that state and diff show them."""
    inputs, _ = rules.check("sp", tables.SERVICE_PRINCIPAL, {"clientId": GUID})
    assert inputs == {"clientId": GUID, "accountEnabled": True}


@pytest.mark.parametrize(
    ("state", "inputs", "changes"),
    [
        ({"displayName": "a", "notes": ""}, {"displayName": "a"}, {}),
        ({"displayName": "a", "notes": "outside"}, {"displayName": "a"}, {"notes": "delete"}),
        ({"displayName": "a", "notes": "b"}, {"displayName": "a", "notes": "c"}, {"notes": "update"}),
        ({"displayName": "a"}, {"displayName": "a", "notes": "c"}, {"notes": "add"}),
        ({"displayName": "a"}, {"displayName": UNKNOWN}, {"displayName": "update"}),
        ({"displayName": "a", "tags": ["x"]}, {"displayName": "a"}, {}),
        ({"displayName": "a", "tags": ["x", "y"]}, {"displayName": "a", "tags": ["y", "x"]}, {}),
        ({"displayName": "a", "owners": ["x"]}, {"displayName": "a"}, {"owners": "delete"}),
        (
            {"displayName": "a", "api": {"requestedAccessTokenVersion": 1, "mappedClaimsEnabled": False}},
            {"displayName": "a"},
            {},
        ),
        ({"displayName": "a"}, {"displayName": "a", "api": {"requestedAccessTokenVersion": 2}}, {"api": "add"}),
        (
            {"displayName": "a", "appRoles": [APP_ROLE | {"enabled": True, "value": ""}]},
            {"displayName": "a", "appRoles": [APP_ROLE]},
            {},
        ),
    ],
)
def test_compares_state_with_wishes(state: dict[str, Any], inputs: dict[str, Any], changes: dict[str, str]) -> None:
    """Empty is absent, order in a set says nothing, what the service computes is its own, and drift is a change."""
    assert rules.diff(tables.APPLICATION, state, inputs).changes == changes


def test_knows_what_replaces() -> None:
    """A principal of another application is another principal; its notes are not."""
    olds = {"clientId": GUID, "accountEnabled": True, "notes": "a"}
    diff = rules.diff(tables.SERVICE_PRINCIPAL, olds, {"clientId": GUID.replace("1", "9"), "accountEnabled": True})
    assert set(diff.changes) == {"clientId", "notes"}
    assert diff.replaces == {"clientId"}


def _values(schema: rules.Schema) -> st.SearchStrategy[dict[str, Any]]:
    text = st.text("abc", min_size=1, max_size=3)

    def of(prop: Property) -> st.SearchStrategy[Any]:
        return {
            Kind.STRING: text,
            Kind.BOOL: st.booleans(),
            Kind.INT: st.integers(1, 2),
            Kind.MAP: st.dictionaries(text, text, max_size=2),
            Kind.BLOCK: _values(prop.fields),
            Kind.BLOCKS: st.lists(_values(prop.fields), max_size=2),
        }.get(prop.kind, st.lists(text, max_size=3, unique=True))

    written = {n: p for n, p in schema.items() if not p.output and (p.wire or (p.fields and not p.computed))}
    return st.fixed_dictionaries({}, optional={name: of(prop) for name, prop in written.items()})


@given(_values(tables.APPLICATION))
def test_what_was_sent_is_read_back(inputs: dict[str, Any]) -> None:
    """An object that comes back as it was sent is no change, whatever was written and whatever was left out."""
    outputs = rules.from_wire(tables.APPLICATION, rules.to_wire(tables.APPLICATION, inputs))
    assert rules.diff(tables.APPLICATION, outputs, inputs).changes == {}


@given(_values(tables.SERVICE_PRINCIPAL))
def test_an_import_needs_no_change(inputs: dict[str, Any]) -> None:
    """The inputs that an import suggests lead to the object as it is."""
    outputs = rules.from_wire(tables.SERVICE_PRINCIPAL, rules.to_wire(tables.SERVICE_PRINCIPAL, inputs))
    suggested = rules.read_inputs(tables.SERVICE_PRINCIPAL, {}, outputs)
    assert rules.diff(tables.SERVICE_PRINCIPAL, outputs, suggested).changes == {}


def test_a_refresh_takes_over_what_changed() -> None:
    """Refreshed inputs are the old ones, but for what somebody changed; what was never written stays unwritten."""
    old = {"displayName": "a", "tags": ["x", "y"]}
    outputs = {"displayName": "b", "tags": ["y", "x"], "notes": "outside"}
    assert rules.read_inputs(tables.APPLICATION, old, outputs) == {"displayName": "b", "tags": ["x", "y"]}
