"""The principal trusts a pipeline: no secret is made, none is kept, and only that pipeline can sign in as it."""

import pulumi

import pal_components as pal

config = pulumi.Config()
contoso = pal.CustomerAccess(
    "contoso",
    {
        "partner_id": "4567891",
        "scopes": ["/subscriptions/11111111-1111-1111-1111-111111111111"],
        "credential": {
            "kind": pal.CredentialKind.FEDERATED,
            "issuer": config.get("issuer") or "https://token.actions.githubusercontent.com",
            "subject": config.get("subject") or "repo:northwind/contoso:ref:refs/heads/main",
        },
    },
)
pulumi.export("attestation", contoso.attestation)
