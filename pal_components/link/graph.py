"""The two calls of Microsoft Graph that an ephemeral secret needs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar, cast

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest

from pal_components.link.cloud import Cloud
from pal_components.link.errors import ApplicationGone, LinkError, SecretNotAllowed, UnreadableAnswer
from pal_components.link.explain import explain_answer, explain_sign_in, is_authentication, wire_error
from pal_components.link.waiting import Waiting

T = TypeVar("T")

_FORBIDDEN_BY_POLICY = {
    "CredentialTypeNotAllowedAsPerAppPolicy": "forbids client secrets",
    "CredentialInvalidLifetimeAsPerAppPolicy": "does not allow a client secret that lives 10 minutes",
}


class ApplicationSecrets(AbstractContextManager["ApplicationSecrets"]):
    """Client secrets of one application registration, added and removed by the deploying identity."""

    def __init__(
        self, deployer: TokenCredential, cloud: Cloud, waiting: Waiting, application_id: str, *, fresh: bool
    ) -> None:
        """Act as `deployer` on the application with this object id (GUID), which is `fresh` if just made."""
        self._waiting = waiting
        self._fresh = fresh
        self._application_id = application_id
        self._path = f"{cloud.graph}/v1.0/applications/{application_id}"
        self._client: PipelineClient[Any, Any] = PipelineClient(
            cloud.graph,
            policies=[
                UserAgentPolicy("pal-components"),
                RetryPolicy.no_retries(),  # one waiting policy: ours
                BearerTokenCredentialPolicy(deployer, cloud.graph_scope),
            ],
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def tell(self) -> Callable[[str], None]:
        """Where a line for the person at the terminal goes."""
        return self._waiting.tell

    def add(self, display_name: str, end: datetime) -> str:
        """Add a secret that works until `end`; return its value."""
        body = {"passwordCredential": {"displayName": display_name, "endDateTime": end.strftime("%Y-%m-%dT%H:%M:%SZ")}}
        return self._send("POST", "/addPassword", lambda answer: str(answer["secretText"]), body)

    def list(self) -> list[tuple[str, str]]:
        """Return key id and display name of every secret."""
        return self._send(
            "GET",
            "?$select=passwordCredentials",
            lambda answer: [
                (str(row["keyId"]), str(row.get("displayName") or "")) for row in answer["passwordCredentials"]
            ],
        )

    def remove(self, key_id: str) -> None:
        """Remove a secret by its key id."""
        self._send("POST", "/removePassword", None, {"keyId": key_id})

    def _send(
        self, method: str, path: str, parse: Callable[[Any], T] | None = None, body: dict[str, Any] | None = None
    ) -> T:
        what = f"{path.strip('/').split('?')[0] or 'reading the secrets'} on the application {self._application_id}"

        def attempt() -> Any:
            request = HttpRequest(method, f"{self._path}{path}", json=body)
            try:
                answer = self._client.send_request(request)
                answer.raise_for_status()
            except AzureError as error:
                raise self._explain(error, what) from None
            if parse is None:
                return None
            try:
                return parse(answer.json())
            except (ValueError, KeyError, TypeError, AttributeError):
                # What was done may have been done: another secret more is swept away with the first.
                raise UnreadableAnswer(f"{what}: Microsoft Graph's answer cannot be read", transient=True) from None

        return cast(T, self._waiting.run(attempt))

    def _explain(self, error: AzureError, what: str) -> LinkError:
        if is_authentication(error):
            return explain_sign_in(error, None)
        if not isinstance(error, HttpResponseError):
            return explain_answer(error, what)
        code, message = wire_error(error)
        if error.status_code == 404:
            return ApplicationGone(f"{what}: the application does not exist", transient=self._fresh)
        if code in _FORBIDDEN_BY_POLICY:
            return SecretNotAllowed(
                f"{what}: a policy of the tenant {_FORBIDDEN_BY_POLICY[code]} ({code}). Use the credential kind "
                "'federated' or 'certificate', which add no secret, or have the application exempted from the policy"
            )
        if error.status_code in (400, 403):
            return SecretNotAllowed(
                f"{what}: Microsoft Graph refuses it ({error.status_code} {code}: {message}). The deploying identity "
                "needs the permission Application.ReadWrite.OwnedBy and must own the application; with the credential "
                "kinds 'federated' and 'certificate' it adds no secret",
                # Permissions, owners and applications that were made moments ago are not known to every replica.
                transient=self._fresh and error.status_code == 403,
            )
        return explain_answer(error, what)
