"""OpenID Connect issuers that the sandbox plays: pipelines and clusters whose tokens a federated credential trusts."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from pal_components.sandbox.certificates import write_private
from pal_components.sandbox.errors import SandboxError, ServiceError
from pal_components.sandbox.keys import SigningKey
from pal_components.sandbox.state import State
from pal_components.sandbox.wire import Answer, Call, Route, dispatch

AUDIENCE = "api://AzureADTokenExchange"
SERVICE_CONNECTION = "a0000000-0000-4000-8000-00000000000a"
KUBERNETES_TOKEN_FILE = "kubernetes-token"  # noqa: S105 the name of a file

_DAY = 86_400
_MINUTES = 300


@dataclass(frozen=True)
class Issuer:
    """One of the issuers: whom its tokens speak for where nothing else is said, and how long they live, in seconds."""

    subject: str
    lifetime: int


ISSUERS = {
    "github": Issuer("repo:contoso/infra:ref:refs/heads/main", _MINUTES),
    "azure-pipelines": Issuer("sc://contoso/infra/azure", _MINUTES),
    "pulumi": Issuer(
        "pulumi:deploy:org:contoso:project:customer-access:stack:contoso:operation:update:scope:write", _DAY
    ),
    "kubernetes": Issuer("system:serviceaccount:pal:link", _DAY),
}


class Issuers:
    """Discovery, keys and tokens of every issuer, each below ``/issuers/{name}`` with a key of its own."""

    def __init__(self, state: State, url: str, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._url = url
        self._clock = clock
        self._keys: dict[str, SigningKey] = {}
        base = "/issuers/{name}"
        self._routes = (
            Route.to("GET", base + "/.well-known/openid-configuration", self._discovery),
            Route.to("GET", base + "/.well-known/jwks", self._published),
            Route.to("GET", "/issuers/github/token", self._github),
            Route.to("POST", "/issuers/azure-pipelines/token", self._azure_pipelines),
        )

    def owns(self, path: str) -> bool:
        """Whether a path is an issuer's."""
        return path.lower().startswith("/issuers/")

    def answer(self, call: Call) -> Answer:
        """Carry the request out."""
        answer = dispatch(self._routes, call)
        if answer is None:
            raise ServiceError(404, "NotServedBySandbox", f"The sandbox does not serve {call.method} {call.path}.")
        return answer

    def failure(self, status: int, code: str | None, message: str | None) -> ServiceError:
        """Return a refusal as JSON."""
        return ServiceError.usual(status, code, message)

    def url(self, name: str) -> str:
        """Return what an issuer's tokens name as their issuer.

        Raises:
            SandboxError: there is no such issuer.
        """
        if name not in ISSUERS:
            raise SandboxError(f"{name} is no issuer that the sandbox plays: one of {', '.join(ISSUERS)}.")
        return f"{self._url}/issuers/{name}"

    def key(self, issuer: str) -> rsa.RSAPublicKey | None:
        """Return the key of an issuer by its URL, or ``None`` where it is another's: nothing is fetched."""
        for name in ISSUERS:
            if issuer == self.url(name):
                return self._key(name).public
        return None

    def environment(self, name: str, subject: str | None, audience: str = AUDIENCE) -> dict[str, str]:
        """Return the variables that a job of an issuer finds, for a subject and an audience.

        GitHub's job names the audience itself. ``PAL_SANDBOX_ISSUER`` and ``PAL_SANDBOX_SUBJECT`` say what a federated
        credential has to trust.

        Raises:
            SandboxError: there is no such issuer.
        """
        url, subject = self.url(name), subject or ISSUERS[name].subject
        variables = {"PAL_SANDBOX_ISSUER": url, "PAL_SANDBOX_SUBJECT": subject}
        if name == "github":
            variables["ACTIONS_ID_TOKEN_REQUEST_URL"] = f"{url}/token?api-version=2.0"
            variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = self._grant(name, subject, audience)
        elif name == "azure-pipelines":
            variables["SYSTEM_OIDCREQUESTURI"] = f"{url}/token"
            variables["SYSTEM_ACCESSTOKEN"] = self._grant(name, subject, audience)
            variables["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"] = SERVICE_CONNECTION
        elif name == "pulumi":
            variables["PULUMI_OIDC_TOKEN"] = self.token(name, subject, audience)
        else:
            file = self._state.directory / KUBERNETES_TOKEN_FILE
            write_private(file, self.token(name, subject, audience).encode())
            variables["AZURE_FEDERATED_TOKEN_FILE"] = str(file)
        return variables

    def token(self, name: str, subject: str, audience: str) -> str:
        """Return a token of an issuer."""
        return self._signed(name, ISSUERS[name].lifetime, {"sub": subject, "aud": audience})

    def _grant(self, name: str, subject: str, audience: str) -> str:
        """Return what lets a job ask for tokens: a token for the issuer itself, which so keeps nothing about jobs."""
        claims = {"sub": subject, "aud": f"{self.url(name)}/token", "token_audience": audience}
        return self._signed(name, _DAY, claims)

    def _signed(self, name: str, lifetime: int, claims: dict[str, Any]) -> str:
        now = int(self._clock().timestamp())
        times = {"iat": now, "nbf": now, "exp": now + lifetime, "jti": str(uuid.uuid4())}
        return self._key(name).sign({"iss": self.url(name), **claims, **times})

    def _granted(self, call: Call, name: str) -> dict[str, Any]:
        """Return what the bearer of a grant asks for."""
        try:
            claims: dict[str, Any] = jwt.decode(
                call.bearer() or "",
                self._key(name).public,
                algorithms=["RS256"],
                audience=f"{self.url(name)}/token",
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.PyJWTError:
            raise ServiceError(401, "Unauthorized", "The request has no token of a job.") from None
        if self._clock().timestamp() >= claims["exp"]:
            raise ServiceError(401, "Unauthorized", "The job is over.")
        return claims

    def _key(self, name: str) -> SigningKey:
        if name not in self._keys:
            self._keys[name] = SigningKey(self._state.directory / f"issuer-{name}.pem")
        return self._keys[name]

    def _known(self, name: str) -> str:
        if name not in ISSUERS:
            raise ServiceError(404, "NotFound", f"There is no issuer {name}: one of {', '.join(ISSUERS)}.")
        return name

    def _discovery(self, call: Call, name: str) -> Answer:  # noqa: ARG002
        url = self.url(self._known(name))
        return Answer(
            content={
                "issuer": url,
                "jwks_uri": f"{url}/.well-known/jwks",
                "subject_types_supported": ["public"],
                "response_types_supported": ["id_token"],
                "claims_supported": ["sub", "aud", "exp", "iat", "iss", "jti", "nbf"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid"],
            }
        )

    def _published(self, call: Call, name: str) -> Answer:  # noqa: ARG002
        return Answer(content={"keys": [self._key(self._known(name)).published()]})

    def _github(self, call: Call) -> Answer:
        granted = self._granted(call, "github")
        token = self.token("github", granted["sub"], call.query.get("audience") or granted["token_audience"])
        return Answer(content={"count": len(token), "value": token})

    def _azure_pipelines(self, call: Call) -> Answer:
        granted = self._granted(call, "azure-pipelines")
        if not re.match(r"7\.[1-9]", call.query.get("api-version", "")):
            raise ServiceError(400, "VssVersionNotSpecifiedException", "No api-version, or one that is not served.")
        if call.query.get("serviceConnectionId", "").lower() != SERVICE_CONNECTION:
            raise ServiceError(404, "ServiceEndpointNotFoundException", "There is no such service connection.")
        return Answer(content={"oidcToken": self.token("azure-pipelines", granted["sub"], granted["token_audience"])})
