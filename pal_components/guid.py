"""The form of a GUID, which subscriptions, tenants, roles and principals share."""

import re

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def is_guid(value: str) -> bool:
    """Whether a text has the form of a GUID, in any case."""
    return _GUID.fullmatch(value) is not None
