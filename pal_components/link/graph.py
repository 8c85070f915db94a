"""The two calls of Microsoft Graph that an ephemeral secret needs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Any

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest

from pal_components.link.cloud import Cloud
from pal_components.link.errors import ApplicationGone, SecretNotAllowed, UnreadableAnswer
from pal_components.link.explain import explain_answer, explain_sign_in, is_authentication, wire_error
from pal_components.link.waiting import Waiting


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

    def add(self, display_name: str, end: datetime) -> tuple[str, str]:
        """Add a secret that works until `end`; return its key id and its value."""
        body = {
            "passwordCredential": {
                "displayName": display_name,
                "endDateTime": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        }
        answer = self._post("addPassword", body)
        try:
            document = answer.json()
            return str(document["keyId"]), str(document["secretText"])
        except (ValueError, KeyError, TypeError):
            raise UnreadableAnswer("adding an ephemeral secret: Microsoft Graph's answer has no secret") from None

    def remove(self, key_id: str) -> None:
        """Remove a secret by its key id."""
        self._post("removePassword", {"keyId": key_id})

    def _post(self, action: str, body: dict[str, Any]) -> Any:
        what = f"{action} on the application {self._application_id}"

        def attempt() -> Any:
            try:
                answer = self._client.send_request(HttpRequest("POST", f"{self._path}/{action}", json=body))
                answer.raise_for_status()
            except HttpResponseError as error:
                if is_authentication(error):
                    raise explain_sign_in(error, None) from None
                code, message = wire_error(error)
                if error.status_code == 404:
                    raise ApplicationGone(f"{what}: the application does not exist", transient=self._fresh) from None
                if error.status_code in (400, 403):
                    raise SecretNotAllowed(
                        f"{what}: Microsoft Graph refuses it ({error.status_code} {code}: {message}). The deploying "
                        "identity needs the permission Application.ReadWrite.OwnedBy and must own the application, "
                        "and the tenant's policy must allow a secret of 10 minutes; with another credential kind no "
                        "secret is added here"
                    ) from None
                raise explain_answer(error, what) from None
            except AzureError as error:
                if is_authentication(error):
                    raise explain_sign_in(error, None) from None
                raise explain_answer(error, what) from None
            return answer

        return self._waiting.run(attempt)
