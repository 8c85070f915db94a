"""The calls of Microsoft.ManagementPartner, over azure-mgmt-managementpartner.

The service knows one link per (tenant, principal), and only the caller's own: who calls is who is linked.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.mgmt.managementpartner import ACEProvisioningManagementPartnerAPI

from pal_components.link.cloud import Cloud
from pal_components.link.decide import Link, Unreadable
from pal_components.link.errors import PartnerIdRefused, PrincipalNotLinkable, UnreadableAnswer
from pal_components.link.explain import explain_answer, explain_sign_in, is_authentication, wire_error
from pal_components.link.principal import Principal
from pal_components.link.waiting import Waiting

_Call = Callable[[], Any]
_Special = Callable[[HttpResponseError], Exception | None]


class LinkExistsError(Exception):
    """The service says that there is a link already. Which partner it names, only reading it tells."""


class NothingLinkedError(Exception):
    """The service says that the caller is not linked."""


class LinkService(AbstractContextManager["LinkService"]):
    """The link of one signed-in principal."""

    def __init__(self, credential: TokenCredential, cloud: Cloud, waiting: Waiting, principal: Principal) -> None:
        """Talk to `cloud` with the credential of `principal`."""
        self._waiting = waiting
        self._principal = principal
        self._client = ACEProvisioningManagementPartnerAPI(
            credential,
            base_url=cloud.resource_manager,
            credential_scopes=[cloud.resource_manager_scope],
            retry_total=0,  # one waiting policy: ours
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._client.close()

    def get(self) -> Link | Unreadable | None:
        """Read the caller's link; None where there is none."""
        try:
            return self._link("reading the link", lambda: self._client.partners.get(cls=_body), _nothing_linked)
        except NothingLinkedError:
            return None
        except UnreadableAnswer as error:
            return Unreadable(str(error))

    def put(self, partner_id: str) -> Link:
        """Link the caller.

        Raises LinkExistsError where the service says that there is a link already, PartnerIdRefused where it does not
        take the ID.
        """
        return self._link(
            f"linking to {partner_id}",
            lambda: self._client.partner.create(partner_id, cls=_body),
            lambda error: _refusal(error, partner_id),
        )

    def patch(self, partner_id: str) -> Link:
        """Switch the caller's link to another partner ID, in place.

        Raises NothingLinkedError where there is no link, PartnerIdRefused where the service does not take the ID.
        """
        return self._link(
            f"switching to {partner_id}",
            lambda: self._client.partner.update(partner_id, cls=_body),
            lambda error: _refusal(error, partner_id),
        )

    def delete(self, partner_id: str) -> bool:
        """Remove the caller's link. Nothing to remove is success, as the service has it.

        Returns whether the answer is the service's, which is empty: a proxy's page removes nothing.
        """
        what = f"removing the link to {partner_id}"
        try:
            body = self._send(what, lambda: self._client.partner.delete(partner_id, cls=_content), _nothing_linked)
        except NothingLinkedError:
            return True
        return not body

    def _link(self, what: str, call: _Call, special: _Special) -> Link:
        return _parse(self._send(what, call, special), what)

    def _send(self, what: str, call: _Call, special: _Special) -> Any:
        """Call with patience. `special` may turn an error answer into what the caller wants to catch."""

        def attempt() -> Any:
            try:
                return call()
            except AzureError as error:
                if is_authentication(error):
                    raise explain_sign_in(error, self._principal) from None
                if isinstance(error, HttpResponseError) and (expected := special(error)):
                    raise expected from None
                raise explain_answer(error, what, fresh=self._principal.fresh) from None
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                # The SDK's model meets an answer of another shape than the service's.
                raise UnreadableAnswer(f"{what}: the answer is no link ({type(error).__name__})") from None

        return self._waiting.run(attempt)


def _nothing_linked(error: HttpResponseError) -> Exception | None:
    # Any other 404, a proxy's page for one, says nothing about the link.
    return NothingLinkedError() if wire_error(error)[0] == "ManagementPartnerNotFound" else None


def _refusal(error: HttpResponseError, partner_id: str) -> Exception | None:
    code, message = wire_error(error)
    code = code or ""
    if "CSP partner" in (message or ""):
        return PrincipalNotLinkable(
            "the caller is a foreign principal of the CSP programme (AOBO or GDAP), which cannot link: the partner in "
            "the CSP transaction is recognised without it, and another partner uses an account or a principal of the "
            "customer's tenant. Nothing was changed"
        )
    if code == "PartnerIdInvalid":
        return PartnerIdRefused(partner_id)
    if code == "ManagementPartnerNotFound":
        return NothingLinkedError()
    # The code of a conflict was never recorded: the status decides, or any code that speaks of one.
    if error.status_code == 409 or "conflict" in code.casefold() or "already" in code.casefold():
        return LinkExistsError()
    return None


def _body(response: Any, _model: Any, _headers: Any) -> Any:
    """Take the JSON as it came: the model would cut the seventh digit of the times."""
    return response.http_response.json()


def _content(response: Any, _model: Any, _headers: Any) -> bytes:
    return bytes(response.http_response.body())


def _parse(body: Any, what: str) -> Link:
    properties = body.get("properties") if isinstance(body, dict) else None
    if not isinstance(properties, dict):
        raise UnreadableAnswer(f"{what}: the answer has no properties")
    missing = [key for key in ("partnerId", "tenantId", "objectId") if not isinstance(properties.get(key), str)]
    if missing:
        raise UnreadableAnswer(f"{what}: the answer lacks {', '.join(missing)}")
    version = properties.get("version")
    return Link(
        partner_id=properties["partnerId"],
        partner_name=properties.get("partnerName") or None,
        tenant_id=properties["tenantId"].lower(),
        object_id=properties["objectId"].lower(),
        state=str(properties.get("state") or "Active"),
        version=version if isinstance(version, int) else None,
        created_time=properties.get("createdTime"),
        updated_time=properties.get("updatedTime"),
    )
