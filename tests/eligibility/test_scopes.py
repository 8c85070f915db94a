"""Scopes: parsed, normalised, compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pal_components.eligibility.scopes import (
    Hierarchy,
    InvalidHierarchy,
    InvalidScope,
    Scope,
    ScopeKind,
    coverage,
    parse_scope,
    uncovered,
)

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


GROUP = "/providers/Microsoft.Management/managementGroups/"
OTHER = "/subscriptions/22222222-2222-2222-2222-222222222222"
WEB = f"{SUBSCRIPTION}/resourceGroups/rg-web"
SERVER = f"{WEB}/providers/Microsoft.Sql/servers/one"


@pytest.mark.parametrize(
    ("given", "parent"),
    [
        (f"{GROUP}contoso-root", None),
        (SUBSCRIPTION, None),
        (WEB, SUBSCRIPTION),
        (f"{SUBSCRIPTION}/resourceGroups/providers", SUBSCRIPTION),
        (SERVER, WEB),
        (f"{SERVER}/databases/two", SERVER),
        (f"{SERVER}/databases/two/providers/Microsoft.Insights/settings/x", f"{SERVER}/databases/two"),
        (
            f"{SERVER}/providers/Microsoft.Insights/settings/x/parts/y",
            f"{SERVER}/providers/Microsoft.Insights/settings/x",
        ),
        (f"{SUBSCRIPTION}/providers/A.B/c/d", SUBSCRIPTION),
        (f"{SUBSCRIPTION}/resourceGroups/providers/providers/A.B/c/d", f"{SUBSCRIPTION}/resourceGroups/providers"),
    ],
)
def test_parents_follow_from_ids(given: str, parent: str | None) -> None:
    """A part of a resource belongs to the resource, and so on up to the subscription; groups above it are not known."""
    found = parse_scope(given).parent
    assert found == (None if parent is None else parse_scope(parent))
    assert found is None or parse_scope(found.id).kind is found.kind


def scopes(*ids: str) -> list[Scope]:
    return [parse_scope(id_) for id_ in ids]


def hierarchy(**members: list[str]) -> dict[Scope, list[Scope]]:
    return {parse_scope(GROUP + group): scopes(*ids) for group, ids in members.items()}


NESTED = hierarchy(root=[f"{GROUP}prod"], prod=[SUBSCRIPTION])


@pytest.mark.parametrize(
    ("scope", "other", "known", "contained"),
    [
        (SUBSCRIPTION, SUBSCRIPTION.upper(), None, True),
        (SUBSCRIPTION, f"{SERVER}/databases/two", None, True),
        (WEB, SERVER.upper(), None, True),
        (WEB, SUBSCRIPTION, None, False),
        (WEB, f"{WEB}2", None, False),
        (SERVER, f"{WEB}/providers/Microsoft.Sql/servers/one2", None, False),
        (OTHER, WEB, None, False),
        (f"{GROUP}root", SUBSCRIPTION, None, False),
        (f"{GROUP}root", SERVER, NESTED, True),
        (f"{GROUP}root", f"{GROUP}prod", NESTED, True),
        (f"{GROUP}prod", f"{GROUP}root", NESTED, False),
        (f"{GROUP}root", OTHER, NESTED, False),
    ],
)
def test_what_contains_what(scope: str, other: str, known: Hierarchy | None, contained: bool) -> None:
    """A scope contains itself and what is below it; what is below management groups only a hierarchy says."""
    assert parse_scope(scope).contains(parse_scope(other), known) is contained


@pytest.mark.parametrize(
    ("given", "known", "covered", "redundant"),
    [
        ([], None, [], []),
        ([WEB, WEB.upper()], None, [WEB], []),
        ([WEB, SERVER, SUBSCRIPTION], None, [SUBSCRIPTION], [(WEB, SUBSCRIPTION), (SERVER, SUBSCRIPTION)]),
        ([f"{GROUP}root", SUBSCRIPTION], None, [f"{GROUP}root", SUBSCRIPTION], []),
        (
            [SUBSCRIPTION, f"{GROUP}prod", OTHER, f"{GROUP}root"],
            NESTED,
            [OTHER, f"{GROUP}root"],
            [(SUBSCRIPTION, f"{GROUP}root"), (f"{GROUP}prod", f"{GROUP}root")],
        ),
    ],
)
def test_the_union_of_scopes(
    given: list[str], known: Hierarchy | None, covered: list[str], redundant: list[tuple[str, str]]
) -> None:
    """The union is the fewest scopes, and each of the others names the one that makes it redundant."""
    union = coverage(scopes(*given), known)
    assert list(union.covered) == scopes(*covered)
    assert [(row.scope, row.because) for row in union.redundant] == [tuple(scopes(*pair)) for pair in redundant]


@pytest.mark.parametrize(
    ("wanted", "given", "known", "left"),
    [
        ([WEB], [SUBSCRIPTION], None, []),
        ([SUBSCRIPTION, SERVER], [WEB], None, [SUBSCRIPTION]),
        ([WEB, SERVER, OTHER], [], None, [WEB, OTHER]),
        ([f"{GROUP}root"], [SUBSCRIPTION], None, [f"{GROUP}root"]),
        ([f"{GROUP}root"], [SUBSCRIPTION], NESTED, []),
        ([f"{GROUP}root"], [SUBSCRIPTION], hierarchy(root=[SUBSCRIPTION, OTHER]), [OTHER]),
        ([f"{GROUP}root"], [], hierarchy(root=[]), [f"{GROUP}root"]),
    ],
)
def test_what_is_not_covered(wanted: list[str], given: list[str], known: Hierarchy | None, left: list[str]) -> None:
    """What is wanted and not covered; of a management group whose contents are known, the part."""
    assert list(uncovered(scopes(*wanted), scopes(*given), known)) == scopes(*left)


def test_a_group_below_itself_is_refused() -> None:
    """A circle is no hierarchy."""
    circle = hierarchy(a=[f"{GROUP}b"], b=[f"{GROUP}a"])
    with pytest.raises(InvalidHierarchy, match="below itself"):
        coverage(scopes(f"{GROUP}a"), circle)
    with pytest.raises(InvalidHierarchy, match="below itself"):
        uncovered(scopes(f"{GROUP}a"), [], circle)


ANY_SCOPE = st.builds(
    lambda subscription, parts: parse_scope(subscription + "".join(parts)),
    st.sampled_from([SUBSCRIPTION, OTHER]),
    st.sampled_from(["/resourceGroups/a", "/resourceGroups/b", "/resourceGroups/providers"]).flatmap(
        lambda group: st.sampled_from(
            [[], [group], [group, "/providers/N.S/t/x"], [group, "/providers/N.S/t/x", "/u/y"], ["/providers/N.S/t/x"]]
        )
    ),
)
GROUPS = [f"{GROUP}{letter}" for letter in "abc"]
ANY_HIERARCHY = st.tuples(
    st.sets(st.sampled_from([*GROUPS[1:], SUBSCRIPTION, OTHER])),
    st.sets(st.sampled_from([GROUPS[2], SUBSCRIPTION, OTHER])),
    st.sets(st.sampled_from([SUBSCRIPTION, OTHER])),
).map(lambda rows: {parse_scope(group): scopes(*sorted(row)) for group, row in zip(GROUPS, rows, strict=True)})
SOME = st.lists(st.one_of(ANY_SCOPE, st.sampled_from(scopes(*GROUPS))))


@given(SOME, SOME, ANY_HIERARCHY)
def test_unions_of_anything(some: list[Scope], wanted: list[Scope], known: Hierarchy) -> None:
    """The union loses nothing and has nothing twice; what is not covered is in none of it."""
    union = coverage(some, known)
    assert set(union.covered) | {row.scope for row in union.redundant} == set(some)
    for one in union.covered:
        assert not any(other.contains(one, known) for other in union.covered if other != one)
    for row in union.redundant:
        assert row.because in union.covered
        assert row.because != row.scope
        assert row.because.contains(row.scope, known)
    left = uncovered(wanted, some, known)
    assert not any(scope.contains(one, known) for one in left for scope in some)
    assert not uncovered(left, [*some, *left], known)
    assert not uncovered(wanted, [*some, *left], known)


@given(ANY_SCOPE)
def test_every_lineage_ends_at_the_subscription(scope: Scope) -> None:
    """Going up from parent to parent ends, and each step contains the one below."""
    while scope.parent is not None:
        assert scope.parent.contains(scope)
        assert not scope.contains(scope.parent)
        scope = scope.parent
    assert scope.kind is ScopeKind.SUBSCRIPTION
