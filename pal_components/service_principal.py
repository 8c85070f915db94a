"""CustomerServicePrincipal: a dedicated application and service principal in the customer's tenant."""

from typing import Any, cast

import pulumi
import pulumi_azuread as azuread
from typing_extensions import NotRequired, TypedDict

from pal_components.client_certificate import ClientCertificate, public_certificate
from pal_components.credential import CredentialArgs
from pal_components.inputs import InputError, checked, only_known_keys
from pal_components.link.principal import DEFAULT_AUDIENCE, CredentialKind
from pal_components.partner_link import parse_kind

NOTES = (
    "Identifies a Microsoft partner to Azure (Partner Admin Link). Managed by Pulumi (pal-components): "
    "remove it by removing the customer's access there."
)
"""What the customer's administrators read in the notes of application and service principal."""

TAGS = ["Partner Admin Link"]
"""Under which they find them."""


class CustomerServicePrincipalArgs(TypedDict):
    """What a dedicated service principal is made of."""

    display_name: NotRequired[pulumi.Input[str]]
    """Name that the customer's administrators see. Default: `PAL (Partner Admin Link) NAME`, the component's name."""
    credential: NotRequired[CredentialArgs]
    """How it will sign in: `ephemeral` (default), `federated`, `certificate` or `secret`."""


class CustomerServicePrincipal(pulumi.ComponentResource):
    """An application registration and its service principal, made for one customer and one purpose.

    The credential hangs on the application, not on the principal, and what dies with the application is not deleted
    apart: the azuread provider waits 20 s for every deletion.
    """

    client_id: pulumi.Output[str]
    """Application (client) id, GUID."""
    object_id: pulumi.Output[str]
    """Object id of the service principal, GUID: what roles are assigned to and what is linked."""
    application_id: pulumi.Output[str]
    """Object id of the application registration, GUID."""
    display_name: pulumi.Output[str]
    """Name that the customer's administrators see."""
    client_secret: pulumi.Output[str | None]
    """Client secret, encrypted in state, for the kind `secret`; nothing else."""

    def __init__(
        self, name: str, args: CustomerServicePrincipalArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare it. Raises InputError for an input that cannot be right."""
        super().__init__("pal:index:CustomerServicePrincipal", name, None, opts)
        only_known_keys(name, args, CustomerServicePrincipalArgs)
        credential: CredentialArgs = args.get("credential") or {"kind": CredentialKind.EPHEMERAL}
        only_known_keys(name, credential, CredentialArgs, "credential.")
        kind = checked(name, "credential", credential.get("kind"), parse_kind)
        if kind in (CredentialKind.GIVEN, CredentialKind.AMBIENT):
            raise InputError(
                name, "credential", f"kind '{credential['kind']}' has a principal already: none is made for it"
            )
        for needed in ("issuer", "subject") if kind is CredentialKind.FEDERATED else ():
            if not credential.get(needed):
                raise InputError(name, f"credential.{needed}", "is missing: kind 'federated' needs issuer and subject")

        # An owner may manage its application with Application.ReadWrite.OwnedBy, the least permission there is.
        owner = azuread.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self)).object_id
        application = azuread.Application(
            f"{name}-application",
            display_name=args.get("display_name") or f"PAL (Partner Admin Link) {name}",
            notes=NOTES,
            tags=TAGS,
            owners=[owner],
            # A crash between the request and the checkpoint leaves an application that the engine does not know:
            # the next run names it instead of making a second one.
            prevent_duplicate_names=True,
            # Whoever deploys next has not to become an owner for that.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["owners"]),
        )
        dies_with_application = pulumi.ResourceOptions(parent=self, deleted_with=application)
        principal = azuread.ServicePrincipal(
            f"{name}-principal",
            client_id=application.client_id,
            notes=NOTES,
            tags=TAGS,
            owners=[owner],
            opts=pulumi.ResourceOptions(parent=self, deleted_with=application, ignore_changes=["owners"]),
        )
        self._sign_in: dict[str, Any] = {
            "kind": kind,
            "client_id": application.client_id,
            "application_id": application.object_id,
        }
        generation = credential.get("generation") or "1"
        if kind is CredentialKind.SECRET:
            self._sign_in["client_secret"] = azuread.ApplicationPassword(
                f"{name}-password",
                application_id=application.id,
                display_name="pal-components",
                rotate_when_changed={"generation": generation},
                opts=dies_with_application,
            ).value
        elif kind is CredentialKind.FEDERATED:
            trusted = {
                "issuer": credential["issuer"],
                "subject": credential["subject"],
                "audience": credential.get("audience") or DEFAULT_AUDIENCE,
            }
            self._sign_in |= trusted
            azuread.ApplicationFederatedIdentityCredential(
                f"{name}-federation",
                application_id=application.id,
                display_name="pal-components",
                description="Signs in to make the partner admin link.",
                issuer=trusted["issuer"],
                subject=trusted["subject"],
                audiences=[trusted["audience"]],
                opts=dies_with_application,
            )
        elif kind is CredentialKind.CERTIFICATE:
            public, self._sign_in["certificate"] = self._certificate(name, credential, generation)
            if credential.get("certificate_password") is not None:
                self._sign_in["certificate_password"] = pulumi.Output.secret(credential["certificate_password"])
            azuread.ApplicationCertificate(
                f"{name}-certificate",
                application_id=application.id,
                type="AsymmetricX509Cert",
                encoding="pem",
                value=public,
                opts=dies_with_application,
            )
        self.client_secret = pulumi.Output.from_input(self._sign_in.get("client_secret"))
        self.client_id = application.client_id
        self.object_id = principal.object_id
        self.application_id = application.object_id
        self.display_name = application.display_name
        self.register_outputs(
            {
                "clientId": self.client_id,
                "objectId": self.object_id,
                "applicationId": self.application_id,
                "displayName": self.display_name,
                "clientSecret": self.client_secret,
            }
        )

    def sign_in(self) -> CredentialArgs:
        """Return how the principal signs in: what `PartnerLink` takes as its credential."""
        return cast(CredentialArgs, dict(self._sign_in))

    def _certificate(
        self, name: str, credential: CredentialArgs, generation: pulumi.Input[str]
    ) -> tuple[pulumi.Input[str], pulumi.Input[str]]:
        """Return the certificate to register, and the one with the private key to sign in with."""
        given = credential.get("certificate")
        if given is None:
            made = ClientCertificate(f"{name}-key", name, generation, pulumi.ResourceOptions(parent=self))
            return made.certificate, made.pem

        def public(values: list[Any]) -> str:
            try:
                return public_certificate(*values)
            except (ValueError, TypeError):
                raise InputError(
                    name,
                    "credential.certificate",
                    "cannot be read: give PEM text with the certificate and its private key, or a PFX in base64, "
                    "with certificate_password if it has one",
                ) from None

        known = pulumi.Output.all(given, credential.get("certificate_password")).apply(public)
        return pulumi.Output.unsecret(known), pulumi.Output.secret(given)
