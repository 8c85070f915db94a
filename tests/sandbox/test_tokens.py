"""Every API checks the token: signature, audience, time, issuer, and that its principal still stands."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

URL = "https://localhost:8443"
ARM = "https://management.azure.com"
GRAPH = f"{URL}/graph"
CONTOSO = "c0000000-0000-4000-8000-000000000001"
SERVICES = {
    "graph": ("/graph/v1.0/applications", GRAPH),
    "arm": ("/subscriptions?api-version=2022-12-01", ARM),
    "partner": ("/providers/Microsoft.ManagementPartner/operations?api-version=2018-02-01", ARM),
}
CODES = {
    "missing": "AuthenticationFailed",
    "expired": "ExpiredAuthenticationToken",
    "audience": "InvalidAuthenticationTokenAudience",
}


def forged(token: str, key: Any, **changes: Any) -> str:
    """Sign a token's claims, changed, with some key."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode({**claims, **changes}, key, algorithm="RS256", headers=jwt.get_unverified_header(token))


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "fault",
    [
        "missing",
        "malformed",
        "unsigned",
        "signature",
        "expired",
        "early",
        "audience",
        "issuer",
        "principal",
        "disabled",
    ],
)
def test_a_bad_token_is_refused(azure: Any, service: str, fault: str) -> None:
    """401 in the service's own form; ARM and what stands behind it add a challenge."""
    path, resource = SERVICES[service]
    principal = azure.principal()
    azure.grant(principal.object_id, "Application.Read.All")
    token = azure.token(app=principal.app_id, secret=principal.secret, resource=resource)
    key = azure.signing_key()
    assert azure.call("GET", path, token).status_code == 200
    assert azure.call("GET", path, forged(token, key)).status_code == 200
    if fault == "missing":
        token = None
    elif fault == "malformed":
        token = "not.a.token"
    elif fault == "unsigned":
        token = jwt.encode(jwt.decode(token, options={"verify_signature": False}), None, algorithm="none")
    elif fault == "signature":
        token = forged(token, rsa.generate_private_key(public_exponent=65537, key_size=2048))
    elif fault == "expired":
        azure.later(seconds=3599)
    elif fault == "early":
        azure.later(seconds=-60)
    elif fault == "audience":
        other = ARM if resource == GRAPH else GRAPH
        token = azure.token(app=principal.app_id, secret=principal.secret, resource=other)
    elif fault == "issuer":
        token = forged(token, key, iss="https://sts.windows.net/" + CONTOSO + "/")
    elif fault == "principal":
        azure.call("DELETE", f"/graph/v1.0/servicePrincipals/{principal.object_id}", azure.token(resource=GRAPH))
    else:
        azure.call(
            "PATCH",
            f"/graph/v1.0/servicePrincipals/{principal.object_id}",
            azure.token(resource=GRAPH),
            json={"accountEnabled": False},
        )
    answer = azure.call("GET", path, token)
    assert answer.status_code == 401
    code = answer.json()["error"]["code"]
    if service == "graph":
        assert code == "InvalidAuthenticationToken"
    else:
        assert code == CODES.get("expired" if fault == "early" else fault, "InvalidAuthenticationToken")
        assert answer.headers["www-authenticate"].startswith(f'Bearer authorization_uri="{URL}/common"')


def test_a_token_of_another_tenant_is_not_this_tenants(azure: Any) -> None:
    """A claim to be the same object in another tenant fails: that principal is not there."""
    token = azure.token()
    other = "f0000000-0000-4000-8000-000000000002"
    bad = forged(token, azure.signing_key(), tid=other, iss=f"{URL}/{other}/")
    assert azure.call("GET", SERVICES["arm"][0], bad).status_code == 401


def test_the_audience_is_accepted_with_and_without_its_slash(azure: Any) -> None:
    """Clients ask for either, and for the older name of ARM."""
    for resource in (ARM, f"{ARM}/", "https://management.core.windows.net", "https://management.core.windows.net/"):
        assert azure.call("GET", SERVICES["arm"][0], azure.token(resource=resource)).status_code == 200
    assert azure.call("GET", SERVICES["graph"][0], azure.token(resource=f"{GRAPH}/")).status_code == 200
