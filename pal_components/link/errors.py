"""What can go wrong with a link: one class per thing a person can do something about.

LinkError                   everything below
├── SignInFailed            the principal cannot sign in: wrong or expired secret, disabled, blocked by policy
│   ├── PrincipalGone       its application or service principal does not exist in the tenant
│   ├── TenantNotFound      the tenant does not exist in this cloud
│   └── FederationMismatch  no federated credential trusts the token that was presented
├── NoDeployingIdentity     the environment names nobody who could act
├── NoOidcToken             the environment offers no OpenID Connect token
├── OtherCloud              the link was made in another cloud than the environment names
├── SecretNotAllowed        the deploying identity may not add a secret to the application
├── ApplicationGone         the application of the principal does not exist
├── WrongPrincipal          the credential signs in as somebody else
├── PrincipalNotLinkable    a managed identity, or a foreign principal of the CSP programme
├── LinkConflict            the principal is linked to another partner
├── PartnerIdRefused        the service does not take this partner ID
├── ServiceRefused          the service refuses the caller or the request for another reason
├── ServiceUnavailable      the service or the network failed for now
├── UnreadableAnswer        the service answered with something that is no link
└── RemovalBlocked          the link is still there, and a person has to finish
"""

from pal_components.link.principal import Principal


class LinkError(Exception):
    """Anything that went wrong with a link, in words for the person who can mend it.

    `transient` tells that the same call may work in a moment, `retry_after` how many seconds the service asks to wait.
    """

    # The name that a person can import and look up, without the path of this module in front of it.
    __module__ = "pal_components"

    def __init_subclass__(cls) -> None:
        cls.__module__ = LinkError.__module__

    def __init__(self, message: str, *, transient: bool = False, retry_after: float | None = None) -> None:
        """Keep the message and whether waiting may help."""
        super().__init__(message)
        self.text = message
        self.transient = transient
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.text}. See docs/troubleshooting.md#{type(self).__name__.lower()}"


class SignInFailed(LinkError):
    """The principal cannot sign in. `code` is Microsoft Entra's, such as `AADSTS7000222`, or None."""

    def __init__(self, message: str, code: str | None = None, *, transient: bool = False) -> None:
        """Keep the code beside the message."""
        super().__init__(message, transient=transient)
        self.code = code


class PrincipalGone(SignInFailed):
    """The application or its service principal does not exist in the tenant."""


class TenantNotFound(SignInFailed):
    """The tenant does not exist in this cloud."""


class FederationMismatch(SignInFailed):
    """No federated credential of the application trusts the token that was presented."""


class NoOidcToken(LinkError):
    """The environment offers no OpenID Connect token."""


class OtherCloud(LinkError):
    """The link was made in another cloud than the one that the environment names."""


class NoDeployingIdentity(LinkError):
    """The environment names no identity that could act for the deployment."""


class SecretNotAllowed(LinkError):
    """The deploying identity may not add a secret to the application."""


class ApplicationGone(LinkError):
    """The application registration of the principal does not exist."""


class WrongPrincipal(LinkError):
    """The credential signs in as another principal than the one to link."""


class PrincipalNotLinkable(LinkError):
    """Principals of this type are not recognised: a managed identity, a foreign principal of the CSP programme."""


class LinkConflict(LinkError):
    """The principal is linked to another partner, and nothing was changed."""

    def __init__(self, *, object_id: str, tenant_id: str, current: str, current_name: str | None, wanted: str) -> None:
        """Keep both partner IDs."""
        self.current = current
        self.wanted = wanted
        name = f" ({current_name})" if current_name else ""
        super().__init__(
            f"principal {object_id} in tenant {tenant_id} is already linked to partner ID {current}{name}; "
            f"{wanted} was asked for. Nothing was changed. Either that partner keeps its credit and you declare a "
            "principal of your own, or, where the customer agrees to the switch, set on_conflict to 'replace'"
        )


class PartnerIdRefused(LinkError):
    """The service does not take this partner ID."""

    def __init__(self, partner_id: str) -> None:
        """Keep the partner ID."""
        self.partner_id = partner_id
        super().__init__(
            f"partner_id {partner_id}: Microsoft refuses it (PartnerIdInvalid). Partner Admin Link takes the ID of a "
            "location account (PLA, the 'Associated Partner ID'), not of the global account (PGA). Partner Center "
            "shows both under Account settings > Identifiers; the first location's ID is the global one plus 1"
        )


class ServiceRefused(LinkError):
    """The service refuses the caller or the request, and waiting does not help."""


class ServiceUnavailable(LinkError):
    """The service, or the network on the way to it, failed for now."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        """Keep how long the service asks to wait, in seconds."""
        super().__init__(message, transient=True, retry_after=retry_after)


class UnreadableAnswer(LinkError):
    """The service answered with something that cannot be read as a link."""


class RemovalBlocked(LinkError):
    """The link is still there, nobody who could be asked can remove it, and a person has to finish."""

    def __init__(self, principal: Principal, partner_id: str, reason: LinkError) -> None:
        """Say what is left, why, and the commands that finish it."""
        self.partner_id = partner_id
        super().__init__(
            f"the link of {principal} to partner ID {partner_id} is still there: {reason.text}.\n"
            "To finish:\n"
            "  1. give the principal a credential that works (a new client secret of its application), and sign in:\n"
            f"     az login --service-principal --tenant {principal.tenant_id} --username {principal.client_id} "
            "--password NEW_SECRET --allow-no-subscriptions\n"
            f"  2. az extension add --name managementpartner && az managementpartner delete --partner-id {partner_id}\n"
            "  3. run the same pulumi command again: a link that is gone already is success.\n"
            "To go on without: set removal to 'best_effort' and run pulumi up, then destroy; "
            "or forget the link with pulumi state delete"
        )
