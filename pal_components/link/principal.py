"""Who is to be linked, and how it signs in."""

from dataclasses import dataclass, field
from enum import Enum

DEFAULT_AUDIENCE = "api://AzureADTokenExchange"
"""Audience that Microsoft Entra asks of tokens for workload identity federation."""


class CredentialKind(str, Enum):
    """How a principal signs in to make its own link."""

    EPHEMERAL = "ephemeral"
    """The deploying identity adds a secret that lives minutes, and removes it again in every outcome."""
    FEDERATED = "federated"
    """A federated credential trusts an OpenID Connect subject; the environment offers its token."""
    CERTIFICATE = "certificate"
    """A certificate and its private key, generated or given."""
    SECRET = "secret"  # noqa: S105 a kind, not a value
    """A client secret that the component makes and Pulumi keeps, encrypted."""
    GIVEN = "given"
    """An existing principal, by its client id and its client secret or certificate."""
    AMBIENT = "ambient"
    """Whoever runs the program."""


@dataclass(frozen=True)
class Principal:
    """Who is to be linked, and how it signs in."""

    kind: CredentialKind
    tenant_id: str
    """Tenant to sign in to: GUID or domain."""
    client_id: str | None = None
    """Application (client) id, GUID. Not needed for `ambient`."""
    client_secret: str | None = field(default=None, repr=False)
    """Client secret, for `secret` and `given`."""
    certificate: str | None = field(default=None, repr=False)
    """Certificate with its private key, for `certificate` and `given`: PEM text, or PFX in base64."""
    certificate_password: str | None = field(default=None, repr=False)
    """Password of the certificate's private key, if it has one."""
    issuer: str | None = None
    """Issuer that the federated credential trusts, URL. To explain a mismatch."""
    subject: str | None = None
    """Subject that the federated credential trusts. To explain a mismatch."""
    audience: str | None = None
    """Audience that the federated credential trusts, and that a token is asked for."""
    application_id: str | None = None
    """Object id of the application registration, GUID: where an ephemeral secret can be added."""
    object_id: str | None = None
    """Object id of the principal where it is known: whoever else signs in is refused."""
    deployer_environment: str = ""
    """Prefix of the environment variables of the deploying identity, such as `CONTOSO_`."""
    fresh: bool = False
    """Whether the principal and its credential were made moments ago."""

    @property
    def fresh_credential(self) -> bool:
        """Whether the credential was made moments ago. An ephemeral secret always was."""
        return self.fresh or self.kind is CredentialKind.EPHEMERAL

    def __str__(self) -> str:
        if self.kind is CredentialKind.AMBIENT:
            return f"the identity that runs the program (tenant {self.tenant_id})"
        return f"the service principal of application {self.client_id} (tenant {self.tenant_id})"
