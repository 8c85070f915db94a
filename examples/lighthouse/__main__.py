"""Azure Lighthouse: one principal and one link in the partner's home tenant, delegations from two customers to it.

In production the first half is the stack of the home tenant, and the second half is one stack for each customer, which
gets `home_link` from a stack reference.
"""

import pulumi
import pulumi_azure_native as azure_native
import pulumi_azuread as azuread

import pal_components as pal

HOME = "99999999-9999-4999-8999-999999999999"
MANAGERS = ("99999999-0000-4000-8000-00000000000a", "Northwind managers")
CONSULTANTS = ("99999999-0000-4000-8000-00000000000b", "Northwind consultants")
CUSTOMERS = {
    "contoso": ("c0000000-0000-4000-8000-000000000001", "11111111-1111-1111-1111-111111111111"),
    "fabrikam": ("f0000000-0000-4000-8000-000000000002", "22222222-2222-2222-2222-222222222222"),
}

# The partner's home tenant: linked once.
home = pulumi.ResourceOptions(providers=[azuread.Provider("home", tenant_id=HOME)])
operations = pal.CustomerServicePrincipal("operations", {"display_name": "Northwind operations (PAL)"}, home)
link = pal.PartnerLink(
    "operations-link",
    {
        "partner_id": "4567891",
        "tenant_id": HOME,
        "object_id": operations.object_id,
        "credential": operations.sign_in(),
    },
)
home_link: pal.HomeLinkArgs = {
    "partner_id": link.partner_id,
    "partner_name": link.partner_name.apply(lambda name: name or ""),
    "tenant_id": link.tenant_id,
    "object_id": link.object_id,
    "client_id": operations.client_id,
    "display_name": operations.display_name,
}

# Each customer: what it delegates to the partner's people and to the linked principal.
for customer, (tenant_id, subscription_id) in CUSTOMERS.items():
    delegation = pal.LighthouseDelegation(
        customer,
        {
            "scopes": [f"/subscriptions/{subscription_id}"],
            "home_link": home_link,
            "authorizations": pal.recommended_authorizations(
                managers=MANAGERS,
                consultants=CONSULTANTS,
                linked_principal=(link.object_id, "Northwind operations"),
                working_role="Contributor",
            ),
            "eligible_authorizations": [
                {
                    "principal_id": CONSULTANTS[0],
                    "principal_name": CONSULTANTS[1],
                    "principal_type": "Group",
                    "role": "Contributor",
                    "maximum_duration": "PT4H",
                }
            ],
            "offer": "Northwind managed services",
            "approval": {"reference": "contract 12", "who": f"{customer} IT", "when": "2026-11-01"},
        },
        pulumi.ResourceOptions(
            providers=[azure_native.Provider(customer, tenant_id=tenant_id, subscription_id=subscription_id)]
        ),
    )
    pulumi.export(customer, delegation.attestation)
