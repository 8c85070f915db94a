"""What every credential of azure-identity is given here: the cloud, no retries of its own, and a witness."""

from collections.abc import Callable
from typing import Any

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.transport import RequestsTransport

from pal_components.link.cloud import Cloud

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same request may work in a moment."""


def identity(cloud: Cloud, make: Callable[[dict[str, Any]], TokenCredential]) -> TokenCredential:
    """Return the credential that `make` makes of the options it is given, its failures told apart.

    azure-identity and msal turn every failure into one of authentication: a connection that broke and a service that
    is busy look like a wrong secret. The transport knows better.
    """
    witness = _Witness()
    options = {
        "authority": cloud.authority,
        "disable_instance_discovery": True,
        "retry_total": 0,  # one waiting policy: ours
        "transport": witness,
    }
    return _Credential(lambda: make(options), witness)


class _Witness(RequestsTransport):  # type: ignore[misc]
    """A transport that remembers what became of the last request."""

    trouble: AzureError | None = None

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Send, and keep what went wrong on the way."""
        self.trouble = None
        try:
            response = super().send(request, **kwargs)
        except AzureError as error:
            self.trouble = error
            raise
        if response.status_code in TRANSIENT_STATUS:
            self.trouble = HttpResponseError(f"HTTP {response.status_code}", response=response)
        return response


class _Credential:
    """A credential that raises what really happened."""

    def __init__(self, make: Callable[[], TokenCredential], witness: _Witness) -> None:
        self._make = make
        self._credential = make()
        self._witness = witness

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """Get a token. Raises AzureError: of the network or the service's load where one of them was the reason."""
        self._witness.trouble = None
        try:
            return self._credential.get_token(*scopes, **kwargs)
        except AzureError:
            if self._witness.trouble is None:
                raise
            # msal answers the next call with the failure that it remembers, for seconds or minutes: start anew.
            self._credential = self._make()
            raise self._witness.trouble from None
