"""Partner and tenant IDs: which forms are right, and what to say of the wrong ones."""

import re

from pal_components.guid import is_guid

_DOMAIN = re.compile(
    r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.IGNORECASE
)
_WHERE = "the digits of the location account (PLA), in Partner Center under Account settings > Identifiers"


class InvalidIdentifier(ValueError):
    """A value that is no partner ID or no tenant."""


def parse_partner_id(value: object) -> str:
    """Return a partner ID of the right form, digits only.

    Whether it belongs to a location account only the service knows. Raises InvalidIdentifier.
    """
    if value is None:
        raise InvalidIdentifier(f"is missing: give {_WHERE}")
    if not isinstance(value, str):
        raise InvalidIdentifier(f"is {value!r}, a {type(value).__name__}: give it as text, in quotes")
    if not value.strip():
        raise InvalidIdentifier(f"is empty: give {_WHERE}")
    if is_guid(value.strip()):
        raise InvalidIdentifier(
            f"is the GUID {value.strip()!r}, which is something else (customer usage attribution, or a tenant): "
            f"give {_WHERE}"
        )
    if value != value.strip():
        raise InvalidIdentifier(f"is {value!r}, with white space around it: give {value.strip()!r}")
    if not re.fullmatch("[0-9]+", value):
        raise InvalidIdentifier(f"is {value!r}, but a partner ID has digits only: give {_WHERE}")
    return value


def parse_tenant_id(value: object) -> str:
    """Return a tenant as a lower-case GUID or a lower-case domain name. Raises InvalidIdentifier."""
    if value is None:
        raise InvalidIdentifier(
            "is missing: give the customer's tenant, its GUID or a domain such as contoso.onmicrosoft.com"
        )
    if isinstance(value, str) and (is_guid(value) or _DOMAIN.fullmatch(value)):
        return value.lower()
    raise InvalidIdentifier(
        f"is {value!r}, which is neither a GUID nor a domain: give the customer's tenant, "
        "as Microsoft Entra shows it under Overview, or a domain of it such as contoso.onmicrosoft.com"
    )


def parse_object_id(value: object, what: str) -> str:
    """Return an object id of a directory as a lower-case GUID.

    `what` says whose it should be. Raises InvalidIdentifier.
    """
    if isinstance(value, str) and is_guid(value):
        return value.lower()
    raise InvalidIdentifier(f"is {value!r}: give {what}, a GUID")
