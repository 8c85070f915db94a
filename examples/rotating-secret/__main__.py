"""The principal keeps a client secret in the state, encrypted. Another generation makes a new one."""

import pulumi

import pal_components as pal

contoso = pal.CustomerAccess(
    "contoso",
    {
        "partner_id": "4567891",
        "scopes": ["/subscriptions/11111111-1111-1111-1111-111111111111"],
        "credential": {
            "kind": pal.CredentialKind.SECRET,
            "generation": pulumi.Config().get("generation") or "1",
        },
    },
)
pulumi.export("attestation", contoso.attestation)
