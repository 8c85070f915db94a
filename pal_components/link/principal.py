"""Who is to be linked, and how it signs in."""

from dataclasses import dataclass, field
from enum import Enum


class CredentialKind(str, Enum):
    """How a principal signs in to make its own link."""

    EPHEMERAL = "ephemeral"
    """The deploying identity adds a secret that lives minutes, and removes it again in every outcome."""
    SECRET = "secret"  # noqa: S105 a kind, not a value
    """A client secret that the component makes and Pulumi keeps, encrypted."""
    GIVEN = "given"
    """An existing principal, by its client id and client secret."""
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
    application_id: str | None = None
    """Object id of the application registration, GUID, for `ephemeral`."""
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
