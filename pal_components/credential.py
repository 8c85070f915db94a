"""How a principal signs in to make its own link: the inputs."""

import pulumi
from typing_extensions import NotRequired, TypedDict

from pal_components.link.principal import CredentialKind


class CredentialArgs(TypedDict):
    """How the principal signs in to make its own link."""

    kind: CredentialKind
    """`ephemeral` (the default elsewhere), `federated`, `certificate`, `secret`, `given` or `ambient`."""
    client_id: NotRequired[pulumi.Input[str]]
    """Application (client) id of an existing principal, GUID. For `given`; components fill it in for what they make."""
    client_secret: NotRequired[pulumi.Input[str]]
    """Client secret of an existing principal, best a Pulumi secret. For `given`."""
    certificate: NotRequired[pulumi.Input[str]]
    """Certificate with its private key, best a Pulumi secret: PEM text, or a PFX in base64.

    For `certificate`, where one is generated if it is absent, and for `given` in place of a client secret.
    """
    certificate_password: NotRequired[pulumi.Input[str]]
    """Password of the certificate's private key. For `certificate` and `given`."""
    issuer: NotRequired[pulumi.Input[str]]
    """Issuer of the OpenID Connect tokens to trust, URL, as `https://token.actions.githubusercontent.com`.
    For `federated`."""
    subject: NotRequired[pulumi.Input[str]]
    """Subject of the tokens to trust, as `repo:contoso/infra:ref:refs/heads/main`. For `federated`."""
    audience: NotRequired[pulumi.Input[str]]
    """Audience of the tokens to trust. Default: `api://AzureADTokenExchange`. For `federated`."""
    enterprise_application: NotRequired[bool]
    """Whether to make the service principal of a multi-tenant application in the customer's tenant. For `given`."""
    object_id: NotRequired[pulumi.Input[str]]
    """Object id of the existing service principal in the customer's tenant, GUID. For `given`; looked up if absent."""
    application_id: NotRequired[pulumi.Input[str]]
    """Object id of the application registration, GUID. For `ephemeral`; components fill it in.

    With the other kinds it allows an ephemeral secret to stand in at removal, when their credential fails.
    """
    generation: NotRequired[pulumi.Input[str]]
    """Any text; another one makes a new secret or certificate. For `secret` and the generated `certificate`."""
