"""Two customers in one program: each in its own tenant, with providers of its own that its children inherit."""

import pulumi
import pulumi_azure_native as azure_native
import pulumi_azuread as azuread

import pal_components as pal

CUSTOMERS = {
    "contoso": (
        "c0000000-0000-4000-8000-000000000001",
        "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-web",
    ),
    "fabrikam": (
        "f0000000-0000-4000-8000-000000000002",
        "/subscriptions/22222222-2222-2222-2222-222222222222",
    ),
}

for customer, (tenant_id, scope) in CUSTOMERS.items():
    access = pal.CustomerAccess(
        customer,
        {"partner_id": "4567891", "tenant_id": tenant_id, "scopes": [scope], "roles": ["Contributor"]},
        pulumi.ResourceOptions(
            providers=[
                azuread.Provider(customer, tenant_id=tenant_id),
                azure_native.Provider(customer, tenant_id=tenant_id, subscription_id=scope.split("/")[2]),
            ]
        ),
    )
    pulumi.export(customer, access.attestation)
