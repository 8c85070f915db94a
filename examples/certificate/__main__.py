"""The principal signs in with a certificate: generated here, or one of your own from the stack's configuration."""

import pulumi

import pal_components as pal

config = pulumi.Config()
credential: pal.CredentialArgs = {
    "kind": pal.CredentialKind.CERTIFICATE,
    "generation": config.get("generation") or "1",
}
if (certificate := config.get_secret("certificate")) is not None:
    credential["certificate"] = certificate
if (password := config.get_secret("certificatePassword")) is not None:
    credential["certificate_password"] = password

contoso = pal.CustomerAccess(
    "contoso",
    {
        "partner_id": "4567891",
        "scopes": ["/subscriptions/11111111-1111-1111-1111-111111111111"],
        "credential": credential,
    },
)
pulumi.export("attestation", contoso.attestation)
