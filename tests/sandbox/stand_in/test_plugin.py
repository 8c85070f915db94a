"""A stand-in plugin as a process: start, version, configuration, sign-in, what it refuses, its end."""

import importlib.metadata
import os
import select
import signal
import subprocess
import sys
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from pal_components.sandbox.server import Sandbox
from pal_components.sandbox.stand_in.azure_native import AzureNative
from pal_components.sandbox.stand_in.azuread import AzureAD
from pal_components.sandbox.stand_in.cloud import Settings, find_cloud
from pal_components.sandbox.stand_in.plugin import Provider, ProviderError, Secret, from_struct, to_struct

MODULES = {"azuread": "pulumi-azuread", "azure_native": "pulumi-azure-native"}


@pytest.fixture(params=list(MODULES))
def plugin(request: pytest.FixtureRequest) -> Any:
    """Each of the plugins, configured."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("module", MODULES)
def test_reports_the_version_of_the_sdk(request: pytest.FixtureRequest, module: str) -> None:
    """The engine sees the version that the program was written for."""
    answer = request.getfixturevalue(module).call("GetPluginInfo", empty_pb2.Empty())
    assert answer.version == importlib.metadata.version(MODULES[module])


def test_names_what_it_has(plugin: Any) -> None:
    """A type or function that is left out is refused, with those that there are and what to do."""
    with pytest.raises(plugin.Refused, match=r"has no resource azure:x:Y; it has .*--providers path"):
        plugin.examine("azure:x:Y", {})
    with pytest.raises(plugin.Refused, match=r"has no function azure:x:y; it has .*getClientConfig"):
        plugin.invoke("azure:x:y")


def test_refuses_unknown_settings(plugin: Any) -> None:
    """A setting that the real plugin does not have is a mistake; what the engine adds of its own is not."""
    news = to_struct({"tenantID": "x", "clientId": "y", "version": "1.2.3"})
    answer = plugin.call("CheckConfig", provider_pb2.CheckRequest(urn="u", news=news))
    assert [failure.reason.partition(" has ")[2] for failure in answer.failures] == [
        "no input tenantID; did you mean tenantId?"
    ]


def test_what_it_does_not_do(plugin: Any) -> None:
    """Other calls of the protocol are answered as not implemented, and not with a traceback."""
    with pytest.raises(plugin.Refused, match="a stand-in plugin does not do this"):
        plugin.call("GetSchema", provider_pb2.GetSchemaRequest())


@pytest.fixture(params=[AzureAD, AzureNative])
def provider(request: pytest.FixtureRequest, sandbox: Sandbox) -> Provider:
    """Each of the providers in this process, not configured, the environment pointed at the sandbox."""
    made: Provider = request.param()
    return made


def client_config(provider: Provider) -> dict[str, Any]:
    """Return what the provider says of its identity; azure-native signs in for it, azuread has done so before."""
    return next(function for token, function in provider.functions.items() if "getClientConfig" in token)({})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"clientSecret": "wrong-secret"}, "status 401 invalid_client: AADSTS7000215: "),
        ({"tenantId": "nowhere.example"}, "AADSTS90002"),
        ({"clientId": "d0000000-0000-4000-8000-0000000000ff"}, "AADSTS700016"),
        ({"clientCertificatePath": "some.pfx"}, "signs in with a client secret only; a certificate is configured"),
        ({"metadataHost": "localhost:1"}, "no answer from localhost:1: "),
    ],
)
def test_says_why_it_cannot_sign_in(provider: Provider, settings: dict[str, str], said: str) -> None:
    """One line: what was tried and what the service said, never the secret."""
    with pytest.raises(ProviderError) as caught:
        provider.configure(settings)
        client_config(provider)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert "Trace ID" not in message
    assert "wrong-secret" not in message
    assert "sandbox-deployer-secret" not in message


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("CLIENT_SECRET", "ARM_CLIENT_SECRET"),
        ("TENANT_ID", "[Tt]enant ?I[dD]"),
        ("CLIENT_ID", "[Cc]lient ?I[dD]"),
    ],
)
def test_says_what_is_not_set(provider: Provider, monkeypatch: pytest.MonkeyPatch, missing: str, said: str) -> None:
    """Signing in takes a tenant, a client id and a secret; each that is missing is named."""
    monkeypatch.delenv(f"ARM_{missing}")
    monkeypatch.delenv(f"AZURE_{missing}", raising=False)
    with pytest.raises(ProviderError, match=said):
        provider.configure({})


def test_azure_native_wants_a_subscription(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the real plugin does, also where nothing is done in a subscription."""
    monkeypatch.delenv("ARM_SUBSCRIPTION_ID")
    monkeypatch.delenv("AZURE_SUBSCRIPTION_ID", raising=False)
    with pytest.raises(ProviderError, match=r"^A Subscription ID must be configured when authenticating"):
        AzureNative().configure({})


def test_settings_come_before_the_environment(provider: Provider) -> None:
    """An explicit provider for another tenant works in that tenant."""
    fabrikam = "f0000000-0000-4000-8000-000000000002"
    provider.configure({"tenantId": fabrikam})
    assert client_config(provider)["tenantId"] == fabrikam


@pytest.mark.parametrize(
    ("name", "login"),
    [
        ("", "https://login.microsoftonline.com"),
        ("public", "https://login.microsoftonline.com"),
        ("usgovernment", "https://login.microsoftonline.us"),
        ("China", "https://login.chinacloudapi.cn"),
    ],
)
def test_named_clouds(monkeypatch: pytest.MonkeyPatch, name: str, login: str) -> None:
    """Without a metadata host the environment's name says where the services are."""
    for variable in ("ARM_METADATA_HOSTNAME", "ARM_ENVIRONMENT", "AZURE_ENVIRONMENT"):
        monkeypatch.delenv(variable, raising=False)
    assert find_cloud(Settings({"environment": name})).login == login
    with pytest.raises(ProviderError, match="unknown environment 'moon'"):
        find_cloud(Settings({"environment": "moon"}))


def test_needs_configuration(provider: Provider) -> None:
    """Before it is configured a plugin does nothing."""
    for resource in provider.resources.values():
        with pytest.raises(ProviderError, match=r"provider is not configured|is no .*id"):
            resource.delete(f"/applications/{'0' * 36}", {})


def test_ends_with_its_engine() -> None:
    """An engine that was killed leaves no plugin behind."""
    command = f"{sys.executable!r} -m pal_components.sandbox.stand_in.azuread 127.0.0.1:1 & echo $!; read line"
    with subprocess.Popen(
        ["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as engine:
        assert engine.stdout is not None
        plugin, port = (int(engine.stdout.readline()) for _ in range(2))
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        assert provider_pb2_grpc.ResourceProviderStub(channel).GetPluginInfo(empty_pb2.Empty()).version
        channel.close()
        engine.kill()
        ended, _, _ = select.select([engine.stdout], [], [], 10)
        if not ended:
            os.kill(plugin, signal.SIGKILL)
        assert ended, "the plugin's end of the pipe closes when it ends"


def test_values_survive_the_wire() -> None:
    """Values go into a message and come out as they were; a secret comes out opened, None is left out."""
    values = {"s": "x", "n": 3, "f": 1.5, "b": True, "l": ["a", {"k": []}], "m": {"k": {"z": False}}}
    assert from_struct(to_struct(values | {"none": None, "hidden": Secret({"a": 1})})) == values | {"hidden": {"a": 1}}


def test_unknown_output_values() -> None:
    """An output without a value is one that is not known yet."""
    text = '{"4dabf18193072939515e22adb298388d": "d0e6a833031e9bbcd3f4e8bde6ca49a4", "dependencies": []}'
    struct = struct_pb2.Struct(fields={"later": json_format.Parse(text, struct_pb2.Value())})
    assert from_struct(struct) == {"later": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}
