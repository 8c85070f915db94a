"""How a principal signs in to make its own link: the inputs."""

import pulumi
from typing_extensions import NotRequired, TypedDict

from pal_components.link.principal import CredentialKind


class CredentialArgs(TypedDict):
    """How the principal signs in to make its own link."""

    kind: CredentialKind
    """`ephemeral` (the default elsewhere), `secret`, `given` or `ambient`."""
    client_id: NotRequired[pulumi.Input[str]]
    """Application (client) id of an existing principal, GUID. For `given`; components fill it in for what they make."""
    client_secret: NotRequired[pulumi.Input[str]]
    """Client secret of an existing principal, best a Pulumi secret. For `given`."""
    object_id: NotRequired[pulumi.Input[str]]
    """Object id of the existing service principal in the customer's tenant, GUID. For `given`; looked up if absent."""
    application_id: NotRequired[pulumi.Input[str]]
    """Object id of the application registration, GUID. For `ephemeral`; components fill it in."""
    generation: NotRequired[pulumi.Input[str]]
    """Any text; another one makes a new client secret. For `secret`."""
