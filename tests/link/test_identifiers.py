"""Partner and tenant IDs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pal_components.link.identifiers import InvalidIdentifier, parse_partner_id, parse_tenant_id


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "is missing"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("abc", "digits only"),
        ("4567 891", "digits only"),
        ("४५६", "digits only"),
        ("4567891 ", "white space around it: give '4567891'"),
        ("c0000000-0000-4000-8000-000000000001", "is the GUID"),
        (4567891, "in quotes"),
    ],
)
def test_wrong_partner_id(value: object, says: str) -> None:
    """Each wrong form is told in its own words."""
    with pytest.raises(InvalidIdentifier, match=says):
        parse_partner_id(value)


@pytest.mark.parametrize(
    "value", [None, "", "contoso", "not a tenant", "c0000000-0000-4000-8000", "/subscriptions/x", 1]
)
def test_wrong_tenant(value: object) -> None:
    """A tenant is a GUID or a domain, and nothing else."""
    with pytest.raises(InvalidIdentifier):
        parse_tenant_id(value)


@pytest.mark.parametrize("value", ["C0000000-0000-4000-8000-000000000001", "Contoso.onmicrosoft.com", "contoso.co.uk"])
def test_tenant_in_lower_case(value: str) -> None:
    """Tenants are compared in lower case."""
    assert parse_tenant_id(value) == value.lower()


@given(st.one_of(st.none(), st.integers(), st.text(), st.floats(), st.lists(st.text())))
def test_anything_at_all(value: object) -> None:
    """Whatever comes in, the outcome is the value's digits or an InvalidIdentifier."""
    try:
        assert parse_partner_id(value) == value
    except InvalidIdentifier:
        assert not (isinstance(value, str) and value.isascii() and value.isdigit())
