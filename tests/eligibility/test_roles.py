"""The role table and its verdicts."""

from collections import Counter

import pytest

from pal_components.eligibility.roles import (
    LEAST_PRIVILEGE,
    VERDICTS_DATE,
    VERDICTS_SOURCE,
    UnknownRole,
    Verdict,
    find_role,
    table,
)

LEAST = "cfd33db0-3dd1-45e3-aa9d-cdbdf3b6f24e"


def test_the_table_is_whole() -> None:
    """928 built-in roles: 98 eligible, 24 not, the others unlisted."""
    assert Counter(role.verdict for role in table()) == {Verdict.YES: 98, Verdict.NO: 24, Verdict.UNLISTED: 806}
    assert len({role.guid for role in table()}) == 928


@pytest.mark.parametrize(
    "given",
    [
        LEAST_PRIVILEGE,
        "support request CONTRIBUTOR",
        "  Support  Request Contributor ",
        LEAST,
        LEAST.upper(),
        f"/providers/Microsoft.Authorization/roleDefinitions/{LEAST}",
        f"/subscriptions/11111111-1111-1111-1111-111111111111/providers/microsoft.authorization/roledefinitions/{LEAST}",
    ],
)
def test_name_guid_and_full_id_find_the_same(given: str) -> None:
    """A role is found by whatever names it."""
    assert find_role(given).guid == LEAST
    assert find_role(given).verdict is Verdict.YES


def test_former_names_are_found() -> None:
    """The list of verdicts has names that have changed since."""
    assert find_role("ACRDelete").name == "AcrDelete"


def test_every_role_is_found_by_each_of_its_names() -> None:
    """Current names win over former ones."""
    for role in table():
        assert find_role(role.name) == role
        assert find_role(role.guid) == role


def test_unknown_names_come_with_the_nearest() -> None:
    """A misspelt name is answered with what was probably meant."""
    with pytest.raises(UnknownRole, match="Support Request Contributor") as raised:
        find_role("Suport Request Contributer")
    assert raised.value.nearest[0] == LEAST_PRIVILEGE
    with pytest.raises(UnknownRole, match="give a built-in role's name"):
        find_role("xyzzy 12345")


def test_custom_roles_are_unlisted() -> None:
    """A full id that the table does not have is a custom role, and keeps the scope of its definition."""
    scope = "/subscriptions/11111111-1111-1111-1111-111111111111"
    role = find_role(f"{scope}/providers/Microsoft.Authorization/roleDefinitions/00000000-1111-2222-3333-444444444444")
    assert role.verdict is Verdict.UNLISTED
    assert not role.built_in
    assert role.definition_scope == scope


@pytest.mark.parametrize("given", [LEAST_PRIVILEGE, "Reader", "AcrDelete", "00000000-1111-2222-3333-444444444444"])
def test_every_verdict_has_its_date_and_source(given: str) -> None:
    """A verdict never stands alone: also `unlisted` says of which list."""
    role = find_role(given)
    assert (role.verdict_date, role.verdict_source) == (VERDICTS_DATE, VERDICTS_SOURCE)


def test_what_lighthouse_can_delegate() -> None:
    """Of the 98 eligible roles Lighthouse takes 71; of a role outside the table nothing is known."""
    assert Counter(role.lighthouse for role in table() if role.verdict is Verdict.YES)["yes"] == 71
    assert find_role("Owner").lighthouse == "owner"
    assert find_role("00000000-1111-2222-3333-444444444444").lighthouse is None
