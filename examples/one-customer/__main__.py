"""One customer: a dedicated service principal, the least role that counts on one subscription, and the link."""

import pulumi

import pal_components as pal

contoso = pal.CustomerAccess(
    "contoso",
    {
        "partner_id": "4567891",
        "scopes": ["/subscriptions/11111111-1111-1111-1111-111111111111"],
    },
)
pulumi.export("attestation", contoso.attestation)
