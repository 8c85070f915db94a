"""Link whoever runs the program: a person who signed in with the Azure CLI, or a pipeline's identity."""

import pulumi

import pal_components as pal

contoso = pal.CustomerAccess(
    "contoso",
    {
        "partner_id": "4567891",
        "scopes": ["/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-web"],
        "credential": {"kind": pal.CredentialKind.AMBIENT},
    },
)
pulumi.export("attestation", contoso.attestation)
