"""People link themselves: guests are invited and get the recommended roles, and everybody is told what to do."""

import pulumi

import pal_components as pal

team = pal.PartnerTeam(
    "contoso",
    {
        "partner_id": "4567891",
        "scopes": ["/subscriptions/11111111-1111-1111-1111-111111111111"],
        "members": {
            "jo": {"email": "jo@northwind.example", "display_name": "Jo Doe"},
            "kim": {"email": "kim@northwind.example", "display_name": "Kim Roe", "linked_on": "2026-11-20"},
        },
        "approval": {"reference": "contract 12", "who": "Contoso IT", "when": "2026-11-01"},
    },
)
pulumi.export("toLink", team.to_link)
pulumi.export("evidence", team.attestation.apply(lambda people: "\n".join(map(pal.attestation_markdown, people))))
