"""Scopes: parsed, normalised, compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pal_components.eligibility.scopes import InvalidScope, ScopeKind, parse_scope

SUBSCRIPTION = "/subscriptions/11111111-aaaa-1111-1111-111111111111"


@pytest.mark.parametrize(
    ("given", "kind", "normal"),
    [
        (
            "/providers/microsoft.management/MANAGEMENTGROUPS/contoso-root",
            ScopeKind.MANAGEMENT_GROUP,
            "/providers/Microsoft.Management/managementGroups/contoso-root",
        ),
        (SUBSCRIPTION.upper() + "/", ScopeKind.SUBSCRIPTION, SUBSCRIPTION),
        (f" {SUBSCRIPTION}\n", ScopeKind.SUBSCRIPTION, SUBSCRIPTION),
        (f"{SUBSCRIPTION}/resourcegroups/rg-Web", ScopeKind.RESOURCE_GROUP, f"{SUBSCRIPTION}/resourceGroups/rg-Web"),
        (
            f"{SUBSCRIPTION}/resourceGroups/rg/PROVIDERS/Microsoft.Sql/servers/one/databases/two",
            ScopeKind.RESOURCE,
            f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Sql/servers/one/databases/two",
        ),
        (
            f"{SUBSCRIPTION}/resourceGroups/rg/providers/A.B/c/d/providers/E.F/g/h",
            ScopeKind.RESOURCE,
            f"{SUBSCRIPTION}/resourceGroups/rg/providers/A.B/c/d/providers/E.F/g/h",
        ),
        (f"{SUBSCRIPTION}/providers/A.B/c/d", ScopeKind.RESOURCE, f"{SUBSCRIPTION}/providers/A.B/c/d"),
    ],
)
def test_the_four_kinds(given: str, kind: ScopeKind, normal: str) -> None:
    """Each kind in any case, in its normal form."""
    scope = parse_scope(given)
    assert (scope.kind, scope.id) == (kind, normal)
    assert parse_scope(scope.id) == scope


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("/", "whole tenant"),
        ("11111111-1111-1111-1111-111111111111", "Did you mean '/subscriptions/11111111"),
        ("my subscription", "must start with '/'"),
        ("", "must start with '/'"),
        ("/subscriptions", "no scope"),
        ("/subscriptions/production", "'production' is not a subscription's GUID"),
        (f"{SUBSCRIPTION}/resourceGroups", "names no resource group"),
        (f"{SUBSCRIPTION}//resourceGroups/rg", "a part of it is empty"),
        (f"{SUBSCRIPTION}/resourceGroups/rg/Microsoft.Sql/servers/x", "no resource's id"),
        (f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Sql/servers", "no resource's id"),
        (f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Sql/servers/x/databases", "without its NAME"),
        ("/providers/Microsoft.Management/managementGroups", "no management group"),
        ("/providers/Microsoft.Management/managementGroups/a/b", "no management group"),
        ("/providers/Microsoft.Sql/servers/x", "no scope"),
        ("/subscriptions/<your subscription>", "characters that no name has"),
    ],
)
def test_what_is_no_scope(given: str, says: str) -> None:
    """Each wrong form is told in its own words."""
    with pytest.raises(InvalidScope, match=says):
        parse_scope(given)


def test_scopes_are_equal_in_any_case() -> None:
    """Azure takes names that differ in case for the same."""
    assert parse_scope(f"{SUBSCRIPTION}/resourceGroups/RG") == parse_scope(f"{SUBSCRIPTION.upper()}/resourcegroups/rg")
    assert len({parse_scope(SUBSCRIPTION), parse_scope(SUBSCRIPTION.upper())}) == 1


@given(st.one_of(st.text(), st.text(alphabet="/subcriptonegG1-", max_size=40).map(lambda text: SUBSCRIPTION + text)))
def test_anything_at_all(text: str) -> None:
    """Whatever comes in, the outcome is a scope whose normal form is stable, or an InvalidScope."""
    try:
        scope = parse_scope(text)
    except InvalidScope:
        return
    assert parse_scope(scope.id).id == scope.id
