"""Microsoft Entra ID's public endpoints: cloud metadata, OpenID discovery, signing keys and tokens."""

import re
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pal_components.sandbox import assertions, credentials, propagation
from pal_components.sandbox.errors import ServiceError, SignInError
from pal_components.sandbox.issuers import Issuers
from pal_components.sandbox.state import State
from pal_components.sandbox.tokens import LIFETIME, Tokens
from pal_components.sandbox.wire import Answer, Call, Route, dispatch

# What Azure Resource Manager goes by in the public cloud; the sandbox keeps the names, so that nothing that knows
# them has to be told otherwise.
ARM_AUDIENCES = ("https://management.core.windows.net/", "https://management.azure.com/")
METADATA_VERSION = "2022-09-01"
CLOUD_NAME = "PalSandbox"

_OWNED = re.compile(
    r"/metadata/endpoints/?|/[^/]+/(?:v2\.0/|)\.well-known/openid-configuration|/[^/]+/discovery/(?:v2\.0/)?keys"
    r"|/[^/]+/oauth2/.*",
    re.IGNORECASE,
)


class Entra:
    """Sign-in by client credentials for every tenant of the world."""

    def __init__(self, state: State, tokens: Tokens, url: str, clock: Callable[[], datetime], issuers: Issuers) -> None:
        self._assertions = assertions.Assertions(state, url, clock, issuers)
        self._state = state
        self._tokens = tokens
        self._url = url
        self._clock = clock
        self._routes = (
            Route.to("GET", "/metadata/endpoints", self._metadata),
            Route.to("GET", "/{tenant}/v2.0/.well-known/openid-configuration", self._discovery),
            Route.to("GET", "/{tenant}/.well-known/openid-configuration", self._discovery),
            Route.to("GET", "/{tenant}/discovery/v2.0/keys", self._keys),
            Route.to("GET", "/{tenant}/discovery/keys", self._keys),
            Route.to("POST", "/{tenant}/oauth2/v2.0/token", self._token_by_scope),
            Route.to("POST", "/{tenant}/oauth2/token", self._token_by_resource),
        )

    def owns(self, path: str) -> bool:
        """Whether a path is one of the sign-in service's."""
        return _OWNED.fullmatch(path) is not None

    def answer(self, call: Call) -> Answer:
        """Carry the request out."""
        answer = dispatch(self._routes, call)
        if answer is None:
            raise SignInError(90000, "invalid_request", "The sandbox's sign-in service does not serve this request.")
        return answer

    def failure(self, status: int, code: str | None, message: str | None) -> ServiceError:
        """Return a refusal in the form of the token endpoint."""
        return SignInError.usual(status, code, message)

    def _metadata(self, call: Call) -> Answer:
        if call.query.get("api-version") != METADATA_VERSION:
            raise ServiceError(400, "InvalidApiVersion", f"The sandbox serves api-version {METADATA_VERSION}.")
        return Answer(
            content={
                "portal": f"{self._url}/portal",
                "authentication": {
                    "loginEndpoint": self._url,
                    "audiences": list(ARM_AUDIENCES),
                    "tenant": "common",
                    "identityProvider": "AAD",
                },
                "graphAudience": f"{self._url}/graph/",
                "graph": f"{self._url}/graph/",
                "name": CLOUD_NAME,
                "suffixes": {},
                "resourceManager": f"{self._url}/",
                "microsoftGraphResourceId": f"{self._url}/graph/",
            }
        )

    def _discovery(self, call: Call, tenant: str) -> Answer:
        found = self._tenant(call, tenant, error="invalid_tenant")
        base = f"{self._url}/{found['id']}"
        return Answer(
            content={
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "tenant_region_scope": "EU",
                "cloud_instance_name": CLOUD_NAME,
                "cloud_graph_host_name": self._url.removeprefix("https://"),
                "msgraph_host": self._url.removeprefix("https://"),
            }
        )

    def _keys(self, call: Call, tenant: str) -> Answer:
        self._tenant(call, tenant, error="invalid_tenant")
        return Answer(content={"keys": [self._tokens.public_key()]})

    def _token_by_scope(self, call: Call, tenant: str) -> Answer:
        form = call.form()
        scope = _required(form, "scope")
        if not scope.endswith("/.default") or " " in scope:
            raise SignInError(
                1002012,
                "invalid_scope",
                f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value "
                "with /.default suffixed to the resource identifier (application ID URI).",
            )
        token = self._sign_in(call, tenant, form, scope.removesuffix("/.default"))
        return Answer(
            content={
                "token_type": "Bearer",
                "expires_in": LIFETIME,
                "ext_expires_in": LIFETIME,
                "access_token": token,
            },
            headers={"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"},
        )

    def _token_by_resource(self, call: Call, tenant: str) -> Answer:
        form = call.form()
        resource = _required(form, "resource")
        token = self._sign_in(call, tenant, form, resource)
        now = int(self._clock().timestamp())
        # The first version of this endpoint writes its numbers as text.
        return Answer(
            content={
                "token_type": "Bearer",
                "expires_in": str(LIFETIME),
                "ext_expires_in": str(LIFETIME),
                "expires_on": str(now + LIFETIME),
                "not_before": str(now),
                "resource": resource,
                "access_token": token,
            },
            headers={"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"},
        )

    def _sign_in(self, call: Call, tenant: str, form: dict[str, str], resource: str) -> str:
        tenant_row = self._tenant(call, tenant, error="invalid_request")
        grant = _required(form, "grant_type")
        if grant != "client_credentials":
            raise SignInError(
                70003, "unsupported_grant_type", f"The app requested an unsupported grant type '{grant}'."
            )
        principal, application = self._principal(tenant_row, _required(form, "client_id").lower())
        if not self._enabled(principal):
            raise SignInError(7000112, "unauthorized_client", f"Application '{application['app_id']}' is disabled.")
        self._check_credential(form, tenant_row, principal, application)
        return self._issue(principal, resource, by_assertion=bool(form.get("client_assertion")))

    def _principal(self, tenant: sqlite3.Row, client_id: str) -> tuple[sqlite3.Row, sqlite3.Row]:
        application = self._state.one("SELECT * FROM application WHERE app_id = ?", client_id)
        principal = self._state.one(
            "SELECT * FROM service_principal WHERE app_id = ? AND tenant_id = ?", client_id, tenant["id"]
        )
        if principal is not None and propagation.unknown(
            self._state, "principal at sign-in", principal["id"], self._clock()
        ):
            principal = None
        if application is not None and principal is not None:
            return principal, application
        if application is not None and application["tenant_id"] == tenant["id"]:
            raise SignInError(
                7000229,
                "invalid_client",
                f"The client application {client_id} is missing service principal in the tenant {tenant['id']}. "
                "See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119",
            )
        raise SignInError(
            700016,
            "unauthorized_client",
            f"Application with identifier '{client_id}' was not found in the directory '{tenant['display_name']}'. "
            "This can happen if the application has not been installed by the administrator of the tenant or "
            "consented to by any user in the tenant. You may have sent your authentication request to the wrong "
            "tenant.",
        )

    def _enabled(self, principal: sqlite3.Row) -> bool:
        row = self._state.one(
            "SELECT json_extract(document, '$.accountEnabled') AS enabled FROM service_principal WHERE id = ?",
            principal["id"],
        )
        return row is not None and bool(row["enabled"])

    def _check_credential(
        self, form: dict[str, str], tenant: sqlite3.Row, principal: sqlite3.Row, application: sqlite3.Row
    ) -> None:
        """Accept an assertion, or the secret of the application or of the principal itself, or raise."""
        app_id = application["app_id"]
        if assertion := form.get("client_assertion"):
            if _required(form, "client_assertion_type") != assertions.TYPE:
                raise SignInError(
                    9002313, "invalid_request", f"The client_assertion_type is not valid: it is {assertions.TYPE}."
                )
            self._assertions.check(assertion, tenant=tenant, principal=principal, application=application)
            return
        if not form.get("client_secret"):
            raise SignInError(
                7000216,
                "invalid_client",
                "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
            )
        verdict, key_id = credentials.accepts_secret(
            self._state, (application["id"], principal["id"]), form["client_secret"], self._clock()
        )
        if verdict == "yes" and propagation.unknown(self._state, "secret", key_id, self._clock()):
            verdict = "no"
        if verdict == "expired":
            raise SignInError(
                7000222,
                "invalid_client",
                f"The provided client secret keys for app '{app_id}' are expired. Visit the Azure portal to create "
                "new keys for your app: https://aka.ms/NewClientSecret.",
            )
        if verdict == "no":
            raise SignInError(
                7000215,
                "invalid_client",
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{app_id}'.",
            )

    def _issue(self, principal: sqlite3.Row, resource: str, *, by_assertion: bool) -> str:
        roles: list[str] = []
        if resource.rstrip("/") == f"{self._url}/graph":
            rows = self._state.all("SELECT permission FROM graph_permission WHERE principal_id = ?", principal["id"])
            roles = [row["permission"] for row in rows]
        elif resource.rstrip("/") not in {audience.rstrip("/") for audience in ARM_AUDIENCES}:
            raise SignInError(
                500011,
                "invalid_resource",
                f"The resource principal named {resource} was not found in the tenant named "
                f"{principal['tenant_id']}. This can happen if the application has not been installed by the "
                "administrator of the tenant or consented to by any user in the tenant. You might have sent your "
                "authentication request to the wrong tenant.",
            )
        return self._tokens.issue(
            tenant_id=principal["tenant_id"],
            object_id=principal["id"],
            app_id=principal["app_id"],
            audience=resource,
            roles=roles,
            by_assertion=by_assertion,
        )

    def _tenant(self, call: Call, name: str, *, error: str) -> sqlite3.Row:
        row = self._state.one("SELECT * FROM tenant WHERE id = ? OR default_domain = ?", name.lower(), name)
        if row is None:
            raise SignInError(
                90002,
                error,
                f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into "
                "the correct cloud. Check with your subscription administrator, this may happen if there are no "
                "active subscriptions for the tenant.",
            )
        call.tenant = str(row["id"])
        return row


def _required(form: dict[str, Any], name: str) -> str:
    value = str(form.get(name) or "")
    if not value:
        raise SignInError(
            900144, "invalid_request", f"The request body must contain the following parameter: '{name}'."
        )
    return value
