"""Which Azure: the endpoints of the cloud that the azuread and azure-native providers use too."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from pal_components.link.errors import LinkError, ServiceUnavailable


@dataclass(frozen=True)
class Cloud:
    """Endpoints and audiences of one Azure cloud."""

    name: str
    """Name of the cloud."""
    authority: str
    """Where principals sign in, URL without a trailing slash."""
    resource_manager: str
    """Azure Resource Manager, URL without a trailing slash."""
    resource_manager_audience: str
    """Audience of tokens for Azure Resource Manager."""
    graph: str
    """Microsoft Graph, URL without a trailing slash; also the audience of its tokens."""
    custom: bool = False
    """Whether it came from a metadata host: Microsoft's instance discovery does not know it."""

    @property
    def resource_manager_scope(self) -> str:
        """OAuth scope of tokens for Azure Resource Manager."""
        return f"{self.resource_manager_audience.rstrip('/')}/.default"

    @property
    def graph_scope(self) -> str:
        """OAuth scope of tokens for Microsoft Graph."""
        return f"{self.graph}/.default"


_PUBLIC = Cloud(
    "public",
    "https://login.microsoftonline.com",
    "https://management.azure.com",
    "https://management.azure.com/",
    "https://graph.microsoft.com",
)
_US_GOVERNMENT = Cloud(
    "usgovernment",
    "https://login.microsoftonline.us",
    "https://management.usgovcloudapi.net",
    "https://management.usgovcloudapi.net/",
    "https://graph.microsoft.us",
)
_US_GOVERNMENT_L5 = Cloud(
    "usgovernmentl5",
    _US_GOVERNMENT.authority,
    _US_GOVERNMENT.resource_manager,
    _US_GOVERNMENT.resource_manager_audience,
    "https://dod-graph.microsoft.us",
)
_CHINA = Cloud(
    "china",
    "https://login.chinacloudapi.cn",
    "https://management.chinacloudapi.cn",
    "https://management.chinacloudapi.cn/",
    "https://microsoftgraph.chinacloudapi.cn",
)

_KNOWN = {
    "": _PUBLIC,
    "public": _PUBLIC,
    "global": _PUBLIC,
    "azurecloud": _PUBLIC,
    "azurepubliccloud": _PUBLIC,
    "usgovernment": _US_GOVERNMENT,
    "usgovernmentl4": _US_GOVERNMENT,
    "usgov": _US_GOVERNMENT,
    "azureusgovernment": _US_GOVERNMENT,
    "azureusgovernmentcloud": _US_GOVERNMENT,
    "usgovernmentl5": _US_GOVERNMENT_L5,
    "dod": _US_GOVERNMENT_L5,
    "china": _CHINA,
    "azurechinacloud": _CHINA,
}

_METADATA_VERSION = "2022-09-01"
_METADATA_TIMEOUT = 30
_custom: dict[str, Cloud] = {}
_lock = threading.Lock()


def cloud_from_environment(environment: Mapping[str, str]) -> Cloud:
    """Return the cloud that the environment names.

    Reads what the azuread and azure-native providers read: `ARM_METADATA_HOSTNAME` (a host, with a port where needed)
    for a custom cloud, else `ARM_ENVIRONMENT` (`public`, `usgovernment`, `china`), else the public cloud.

    Raises LinkError for an unknown name or a metadata document that lacks an endpoint, ServiceUnavailable when the
    metadata host does not answer.
    """
    host = environment.get("ARM_METADATA_HOSTNAME", "").strip()
    if host:
        with _lock:
            if host not in _custom:
                _custom[host] = _from_metadata(host)
            return _custom[host]
    name = environment.get("ARM_ENVIRONMENT", "").strip()
    try:
        return _KNOWN[name.casefold()]
    except KeyError:
        raise LinkError(
            f"ARM_ENVIRONMENT is {name!r}, which is no Azure cloud: use public, usgovernment or china, "
            "or set ARM_METADATA_HOSTNAME for a custom one"
        ) from None


def _from_metadata(host: str) -> Cloud:
    import requests  # the public clouds need no metadata

    url = f"https://{host}/metadata/endpoints"
    try:
        answer = requests.get(url, params={"api-version": _METADATA_VERSION}, timeout=_METADATA_TIMEOUT)
    except requests.RequestException as error:
        raise ServiceUnavailable(
            f"the metadata host {host} (ARM_METADATA_HOSTNAME) cannot be reached: {type(error).__name__}"
        ) from None
    if answer.status_code >= 500 or answer.status_code == 429:
        raise ServiceUnavailable(f"the metadata host {host} (ARM_METADATA_HOSTNAME) answers {answer.status_code}")
    try:
        document = answer.json()
        return Cloud(
            name=document["name"],
            authority=document["authentication"]["loginEndpoint"].rstrip("/"),
            resource_manager=document["resourceManager"].rstrip("/"),
            resource_manager_audience=document["authentication"]["audiences"][0],
            graph=document["microsoftGraphResourceId"].rstrip("/"),
            custom=True,
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise LinkError(
            f"{url} (ARM_METADATA_HOSTNAME) answers {answer.status_code} without the endpoints of a cloud: name, "
            "resourceManager, microsoftGraphResourceId, authentication.loginEndpoint and .audiences are needed"
        ) from None
