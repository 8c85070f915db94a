"""The partner's own multi-tenant application is linked: its enterprise application is made in the customer's tenant."""

import pulumi
import pulumi_azure_native as azure_native
import pulumi_azuread as azuread

import pal_components as pal

TENANT = "f0000000-0000-4000-8000-000000000002"
SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"

config = pulumi.Config()
fabrikam = pal.CustomerAccess(
    "fabrikam",
    {
        "partner_id": "4567891",
        "tenant_id": TENANT,
        "scopes": [f"/subscriptions/{SUBSCRIPTION}"],
        "credential": {
            "kind": pal.CredentialKind.GIVEN,
            "client_id": config.require("clientId"),
            "client_secret": config.require_secret("clientSecret"),
            "enterprise_application": True,
        },
    },
    pulumi.ResourceOptions(
        providers=[
            azuread.Provider("fabrikam", tenant_id=TENANT),
            azure_native.Provider("fabrikam", tenant_id=TENANT, subscription_id=SUBSCRIPTION),
        ]
    ),
)
pulumi.export("attestation", fabrikam.attestation)
