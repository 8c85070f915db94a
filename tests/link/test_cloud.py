"""Which Azure the environment names."""

import pytest

from pal_components.link.cloud import cloud_from_environment
from pal_components.link.errors import LinkError
from pal_components.sandbox.server import Sandbox


@pytest.mark.parametrize(
    ("environment", "name", "authority", "scope", "graph"),
    [
        ({}, "public", "login.microsoftonline.com", "management.azure.com", "graph.microsoft.com"),
        (
            {"ARM_ENVIRONMENT": "public"},
            "public",
            "login.microsoftonline.com",
            "management.azure.com",
            "graph.microsoft.com",
        ),
        (
            {"ARM_ENVIRONMENT": "usgovernment"},
            "usgovernment",
            "login.microsoftonline.us",
            "management.usgovcloudapi.net",
            "graph.microsoft.us",
        ),
        (
            {"ARM_ENVIRONMENT": "usgovernmentl5"},
            "usgovernmentl5",
            "login.microsoftonline.us",
            "management.usgovcloudapi.net",
            "dod-graph.microsoft.us",
        ),
        (
            {"ARM_ENVIRONMENT": "China"},
            "china",
            "login.chinacloudapi.cn",
            "management.chinacloudapi.cn",
            "microsoftgraph.chinacloudapi.cn",
        ),
    ],
)
def test_the_known_clouds(environment: dict[str, str], name: str, authority: str, scope: str, graph: str) -> None:
    """Public, US Government and China, in any case, without a request."""
    cloud = cloud_from_environment(environment)
    assert (cloud.name, cloud.authority) == (name, f"https://{authority}")
    assert cloud.resource_manager == f"https://{scope}"
    assert cloud.resource_manager_scope == f"https://{scope}/.default"
    assert cloud.graph_scope == f"https://{graph}/.default"
    assert not cloud.custom


def test_a_custom_cloud(sandbox: Sandbox) -> None:
    """A metadata host tells everything, and is asked once."""
    environment = {"ARM_METADATA_HOSTNAME": sandbox.url.removeprefix("https://"), "ARM_ENVIRONMENT": "china"}
    before = len(sandbox.journal())
    cloud = cloud_from_environment(environment)
    assert cloud_from_environment(environment) is cloud
    assert len(sandbox.journal()) == before + 1
    assert (cloud.name, cloud.authority, cloud.custom) == ("PalSandbox", sandbox.url, True)
    assert cloud.graph == f"{sandbox.url}/graph"


def test_an_unknown_cloud() -> None:
    """A name that is no cloud is told, with those that are."""
    with pytest.raises(LinkError, match="use public, usgovernment or china"):
        cloud_from_environment({"ARM_ENVIRONMENT": "mars"})


@pytest.mark.parametrize("action", ["html", "shape", "truncated", "empty"])
def test_a_metadata_host_that_says_something_else(sandbox: Sandbox, action: str) -> None:
    """What is no metadata document is told with what it needs."""
    sandbox.clear_faults()
    sandbox.fault(action, path="metadata/endpoints")
    host = sandbox.url.removeprefix("https://").replace("localhost", "127.0.0.1")
    with pytest.raises(LinkError, match="without the endpoints of a cloud"):
        cloud_from_environment({"ARM_METADATA_HOSTNAME": host})
