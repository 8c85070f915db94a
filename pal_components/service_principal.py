"""CustomerServicePrincipal: a dedicated application and service principal in the customer's tenant."""

import pulumi
import pulumi_azuread as azuread
from typing_extensions import NotRequired, TypedDict

from pal_components.credential import CredentialArgs
from pal_components.inputs import InputError, checked, only_known_keys
from pal_components.link.principal import CredentialKind
from pal_components.partner_link import parse_kind

_NOTES = (
    "Identifies a Microsoft partner to Azure (Partner Admin Link). Managed by Pulumi (pal-components): "
    "remove it by removing the customer's access there."
)


class CustomerServicePrincipalArgs(TypedDict):
    """What a dedicated service principal is made of."""

    display_name: NotRequired[pulumi.Input[str]]
    """Name that the customer's administrators see. Default: `PAL (Partner Admin Link) NAME`, the component's name."""
    credential: NotRequired[CredentialArgs]
    """How it will sign in: `ephemeral` (default) or `secret`."""


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
        kind = checked(name, "credential", credential.get("kind"), parse_kind)
        if kind not in (CredentialKind.EPHEMERAL, CredentialKind.SECRET):
            raise InputError(
                name, "credential", f"kind {credential['kind']!r} has a principal already: none is made for it"
            )

        # An owner may manage its application with Application.ReadWrite.OwnedBy, the least permission there is.
        owner = azuread.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self)).object_id
        application = azuread.Application(
            f"{name}-application",
            display_name=args.get("display_name") or f"PAL (Partner Admin Link) {name}",
            notes=_NOTES,
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
            notes=_NOTES,
            owners=[owner],
            opts=pulumi.ResourceOptions(parent=self, deleted_with=application, ignore_changes=["owners"]),
        )
        self.client_secret = pulumi.Output.from_input(None)
        if kind is CredentialKind.SECRET:
            self.client_secret = azuread.ApplicationPassword(
                f"{name}-password",
                application_id=application.id,
                display_name="pal-components",
                rotate_when_changed={"generation": credential.get("generation") or "1"},
                opts=dies_with_application,
            ).value
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
