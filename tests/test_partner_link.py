"""The dynamic provider over gRPC, in a process of its own, as the engine runs it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.output import Unknown
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from pal_components.link.errors import LinkError
from pal_components.link.principal import CredentialKind
from pal_components.partner_link import PartnerLinkProvider
from pal_components.sandbox.server import Sandbox

OURS, THEIRS, GLOBAL = "4567891", "5127255", "4567890"
PICKLED = serialize_provider(PartnerLinkProvider())


class Plugin:
    """The plugin's process and the calls of the engine."""

    def __init__(self, port: int) -> None:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = provider_pb2_grpc.ResourceProviderStub(channel)

    def check(self, news: dict[str, Any]) -> list[tuple[str, str]]:
        answer = self._stub.Check(provider_pb2.CheckRequest(urn="urn", olds=struct({}), news=struct(news)))
        return [(failure.property, failure.reason) for failure in answer.failures]

    def diff(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> tuple[bool, list[str]]:
        answer = self._stub.Diff(provider_pb2.DiffRequest(id=id_, urn="urn", olds=struct(olds), news=struct(news)))
        return answer.changes == provider_pb2.DiffResponse.DIFF_SOME, list(answer.replaces)

    def create(self, props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        answer = self._stub.Create(provider_pb2.CreateRequest(urn="urn", properties=struct(props)))
        return answer.id, plain(answer.properties)

    def read(self, id_: str, props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        answer = self._stub.Read(provider_pb2.ReadRequest(id=id_, urn="urn", properties=struct(props)))
        return answer.id, plain(answer.properties)

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        answer = self._stub.Update(provider_pb2.UpdateRequest(id=id_, urn="urn", olds=struct(olds), news=struct(news)))
        return plain(answer.properties)

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        self._stub.Delete(provider_pb2.DeleteRequest(id=id_, urn="urn", properties=struct(props)))


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    result = struct_pb2.Struct()
    json_format.ParseDict({"__provider": PICKLED, **values}, result)
    return result


def plain(values: struct_pb2.Struct) -> dict[str, Any]:
    return {name: value for name, value in json_format.MessageToDict(values).items() if name != "__provider"}


@pytest.fixture
def told(tmp_path: Path) -> "Told":
    """What the plugin tells the person at the terminal."""
    return Told(tmp_path / "told")


@pytest.fixture
def plugin(sandbox: Sandbox, tmp_path: Path) -> Iterator[Plugin]:
    """The plugin, started with the sandbox's environment."""
    told = (tmp_path / "told").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.dynamic", "127.0.0.1:1"],
        stdout=subprocess.PIPE,
        stderr=told,
        text=True,
        env={**os.environ},
    )
    assert process.stdout is not None
    try:
        yield Plugin(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        told.close()


def inputs(principal: Any, **changes: Any) -> dict[str, Any]:
    """Return the inputs of a link, as the component sends them."""
    credential = {
        "kind": principal.kind.value,
        "client_id": principal.client_id,
        "client_secret": principal.client_secret,
        "application_id": principal.application_id,
    }
    return {
        "partner_id": OURS,
        "tenant_id": principal.tenant_id,
        "object_id": principal.object_id,
        "on_conflict": "fail",
        "credential": {name: value for name, value in credential.items() if value is not None},
        **changes,
    }


def test_the_state_contract() -> None:
    """The provider is pickled by reference, in a few bytes, and holds nothing."""
    import base64
    import pickletools

    pickled = base64.b64decode(PICKLED)
    assert len(pickled) < 80
    strings = [argument for _, argument, _ in pickletools.genops(pickled) if isinstance(argument, str)]
    assert strings == ["pal_components.partner_link", "PartnerLinkProvider"]
    assert vars(PartnerLinkProvider()) == {}


def test_the_whole_life(plugin: Plugin, directory: Any) -> None:
    """Created, unchanged, read, switched, removed."""
    wanted = inputs(directory.principal())
    assert plugin.check(wanted) == []
    id_, outputs = plugin.create(wanted)
    assert id_ == f"{wanted['tenant_id']}/{wanted['object_id']}"
    assert outputs | {"created_time": "", "updated_time": ""} == {
        **wanted,
        "partner_name": "Northwind Services",
        "state": "Active",
        "version": 1,
        "origin": "created",
        "verified": True,
        "cloud": "PalSandbox",
        "created_time": "",
        "updated_time": "",
        "declared": {name: wanted[name] for name in ("partner_id", "tenant_id", "object_id")},
    }
    assert plugin.diff(id_, outputs, wanted) == (False, [])
    assert plugin.read(id_, outputs) == (id_, outputs)

    switched = wanted | {"partner_id": THEIRS}
    assert plugin.diff(id_, outputs, switched) == (True, [])
    outputs = plugin.update(id_, outputs, switched)
    assert (outputs["partner_id"], outputs["origin"], outputs["version"]) == (THEIRS, "switched", 2)
    assert plugin.diff(id_, outputs, switched) == (False, [])
    assert directory.links()[wanted["object_id"]] == THEIRS

    plugin.delete(id_, outputs)
    assert wanted["object_id"] not in directory.links()
    assert plugin.read(id_, outputs) == ("", {})


def test_other_inputs_change_without_a_call(plugin: Plugin, directory: Any, sandbox: Sandbox) -> None:
    """A new credential, conflict policy or prefix is an update that asks the service for nothing."""
    wanted = inputs(directory.principal(CredentialKind.SECRET))
    id_, outputs = plugin.create(wanted)
    before = len(sandbox.journal())
    for changes in (
        {"credential": {**wanted["credential"], "client_secret": "another"}},
        {"on_conflict": "replace"},
        {"deployer_environment": "CONTOSO_"},
    ):
        assert plugin.diff(id_, outputs, wanted | changes) == (True, [])
        updated = plugin.update(id_, outputs, wanted | changes)
        assert updated == outputs | changes
        assert plugin.diff(id_, updated, wanted | changes) == (False, [])
    assert len(sandbox.journal()) == before


def test_an_input_that_is_taken_away(plugin: Plugin, directory: Any) -> None:
    """What the program does not say any more does not stay in the state."""
    wanted = inputs(directory.principal(), deployer_environment="CONTOSO_", max_wait=60)
    outputs = {**wanted, "declared": {name: wanted[name] for name in ("partner_id", "tenant_id", "object_id")}}
    outputs |= {"state": "Active", "origin": "created", "version": 1}
    less = {name: value for name, value in wanted.items() if name not in ("deployer_environment", "max_wait")}
    assert plugin.diff("t/o", outputs, less) == (True, [])
    updated = plugin.update("t/o", outputs, less)
    assert "deployer_environment" not in updated
    assert plugin.diff("t/o", updated, less) == (False, [])


def test_another_principal_replaces(plugin: Plugin, directory: Any) -> None:
    """Tenant and object id are the link's identity; without an object id the application is."""
    wanted = inputs(directory.principal(CredentialKind.GIVEN))
    id_, outputs = plugin.create(wanted)
    other = "f0000000-0000-4000-8000-000000000002"
    assert plugin.diff(id_, outputs, wanted | {"object_id": other}) == (True, ["object_id"])
    both = {"tenant_id": other, "object_id": other}
    assert plugin.diff(id_, outputs, wanted | both) == (True, ["tenant_id", "object_id"])
    assert plugin.diff(id_, outputs, wanted | {"tenant_id": "contoso.onmicrosoft.com"}) == (True, [])
    anonymous = {name: value for name, value in wanted.items() if name != "object_id"}
    assert plugin.diff(id_, outputs, anonymous) == (False, [])
    assert plugin.diff(id_, outputs, anonymous | {"tenant_id": other}) == (True, ["tenant_id"])
    renamed = {**wanted["credential"], "client_id": other}
    assert plugin.diff(id_, outputs, anonymous | {"credential": renamed}) == (True, ["credential"])


def test_the_tenants_domain_is_the_tenant(plugin: Plugin, directory: Any) -> None:
    """The outputs have the GUID; the domain that was declared makes no difference later, nor does the GUID."""
    principal = directory.principal()
    wanted = inputs(principal, tenant_id="contoso.onmicrosoft.com")
    id_, outputs = plugin.create(wanted)
    assert outputs["tenant_id"] == principal.tenant_id
    assert plugin.diff(id_, outputs, wanted) == (False, [])
    assert plugin.diff(id_, outputs, wanted | {"tenant_id": principal.tenant_id}) == (False, [])


def test_drift_is_somebody_elses_change(plugin: Plugin, directory: Any) -> None:
    """A link that was switched outside is refused at the next update, and left alone at removal."""
    principal = directory.principal()
    wanted = inputs(principal)
    id_, outputs = plugin.create(wanted)
    plugin.create(wanted | {"partner_id": THEIRS, "on_conflict": "replace"})  # somebody else

    _, found = plugin.read(id_, outputs)
    assert (found["partner_id"], found["declared"]["partner_id"], found["version"]) == (THEIRS, OURS, 2)
    assert plugin.diff(id_, found, wanted) == (True, [])
    with pytest.raises(grpc.RpcError, match="Nothing was changed"):
        plugin.update(id_, found, wanted)
    plugin.delete(id_, found)
    assert directory.links()[principal.object_id] == THEIRS

    repaired = plugin.update(id_, found, wanted | {"on_conflict": "replace"})
    assert (repaired["partner_id"], repaired["origin"]) == (OURS, "switched")


def test_unknown_values(plugin: Plugin, directory: Any) -> None:
    """At preview anything may be unknown: nothing fails, and an unknown principal is shown as a replacement."""
    wanted = inputs(directory.principal())
    unknown = dict.fromkeys(("partner_id", "tenant_id", "object_id"), rpc.UNKNOWN)
    assert plugin.check({**wanted, **unknown, "credential": {"kind": "ephemeral", "client_id": rpc.UNKNOWN}}) == [
        ("credential", "credential of kind 'ephemeral' needs application_id")
    ]
    nested = {"kind": "ephemeral", "client_id": rpc.UNKNOWN, "application_id": rpc.UNKNOWN}
    assert plugin.check({**wanted, **unknown, "credential": nested}) == []
    assert plugin.check({**wanted, "credential": rpc.UNKNOWN}) == []
    id_, outputs = plugin.create(wanted)
    assert plugin.diff(id_, outputs, wanted | {"partner_id": rpc.UNKNOWN}) == (True, [])
    assert plugin.diff(id_, outputs, wanted | {"object_id": rpc.UNKNOWN}) == (True, ["object_id"])


@pytest.mark.parametrize(
    ("changes", "failures"),
    [
        ({"partner_id": "12a"}, [("partner_id", "partner_id is '12a', but a partner ID has digits only")]),
        ({"tenant_id": "contoso"}, [("tenant_id", "tenant_id is 'contoso', which is neither")]),
        ({"on_conflict": "x"}, [("on_conflict", "on_conflict is 'x': use 'fail' or 'replace'")]),
        ({"object_id": "x"}, [("object_id", "object_id is 'x'")]),
        ({"credential": {"kind": "x"}}, [("credential", "credential kind is 'x'")]),
        (
            {"credential": {"kind": "given"}},
            [("credential", "credential of kind 'given' needs client_id and client_s")],
        ),
        (
            {"partner_id": "", "tenant_id": ""},
            [("partner_id", "partner_id is empty"), ("tenant_id", "tenant_id is ''")],
        ),
    ],
)
def test_bad_input(plugin: Plugin, changes: dict[str, Any], failures: list[tuple[str, str]]) -> None:
    """Each wrong property is a failure of its own, which the engine shows beside the property."""
    wanted = {"partner_id": OURS, "tenant_id": "contoso.com", "credential": {"kind": "ambient"}}
    found = plugin.check(wanted | changes)
    assert [name for name, _ in found] == [name for name, _ in failures]
    for (_, reason), (_, expected) in zip(found, failures, strict=True):
        assert reason.startswith(expected)


def test_errors_without_a_traceback(plugin: Plugin, directory: Any) -> None:
    """What reaches the engine begins with the error's name and says what to do."""
    with pytest.raises(grpc.RpcError) as raised:
        plugin.create(inputs(directory.principal(), partner_id=GLOBAL))
    details = raised.value.details()
    assert details.startswith("pal_components.PartnerIdRefused: partner_id 4567890: Microsoft refuses it")
    assert "Traceback" not in details


def test_four_at_once(plugin: Plugin, directory: Any) -> None:
    """The one instance serves four operations at a time, each for its own principal."""
    wanted = [inputs(directory.principal(), partner_id=OURS if i % 2 else THEIRS) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(plugin.create, wanted))
        assert [outputs["partner_id"] for _, outputs in made] == [w["partner_id"] for w in wanted]
        assert {directory.links()[w["object_id"]] for w in wanted} == {OURS, THEIRS}
        list(pool.map(lambda item: plugin.delete(*item), made))
    assert not {w["object_id"] for w in wanted} & set(directory.links())


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.builds(Unknown)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)
names = st.sampled_from(
    ["partner_id", "tenant_id", "object_id", "credential", "on_conflict", "deployer_environment", "x"]
)
credentials = st.fixed_dictionaries({"kind": anything}, optional={"client_id": anything, "client_secret": anything})


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, st.one_of(anything, credentials)))
def test_check_survives_anything(news: dict[str, Any]) -> None:
    """Whatever comes in, check answers with inputs and failures that name their property."""
    result = PartnerLinkProvider().check({}, dict(news))
    assert set(result.inputs) >= set(news)
    assert all(failure.reason.startswith(failure.property) for failure in result.failures)


state = st.dictionaries(
    st.one_of(names, st.sampled_from(["declared", "version", "state", "cloud", "max_wait", "removal"])),
    st.one_of(anything, credentials),
)


@settings(max_examples=300, deadline=None)
@given(state, state)
def test_diff_of_any_state_survives(olds: dict[str, Any], news: dict[str, Any]) -> None:
    """Whatever the state is, diff compares it."""
    result = PartnerLinkProvider().diff("t/o", olds, news)
    assert result.changes or not result.replaces


@settings(max_examples=200, deadline=None)
@given(state)
def test_read_of_any_state_keeps_it(props: dict[str, Any]) -> None:
    """Whatever the state is, read keeps what it cannot see and says so; nothing else comes out of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARM_ENVIRONMENT", "no cloud of this world")
        patch.delenv("ARM_METADATA_HOSTNAME", raising=False)
        result = PartnerLinkProvider().read("t/o", dict(props))
        assert (result.id, result.outs) == ("t/o", {**props, "verified": False})
        with pytest.raises(LinkError):
            PartnerLinkProvider().delete("t/o", {**props, "removal": "strict"})


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, st.one_of(anything, credentials)))
def test_diff_survives_anything(news: dict[str, Any]) -> None:
    """Whatever the new inputs are, diff tells whether they change something and whether that replaces."""
    olds: dict[str, Any] = {
        "partner_id": OURS,
        "tenant_id": "t",
        "object_id": "o",
        "state": "Active",
        "credential": {"kind": "ephemeral", "client_id": "c", "application_id": "a"},
        "declared": {"partner_id": OURS, "tenant_id": "t", "object_id": "o"},
    }
    result = PartnerLinkProvider().diff("t/o", olds, news)
    assert result.changes or not result.replaces


class Told:
    """Lines that the plugin showed beside the stack."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def text(self) -> str:
        return self._path.read_text(encoding="utf-8")


def test_a_link_that_cannot_be_seen_is_kept(plugin: Plugin, directory: Any, told: Told) -> None:
    """Refresh with a credential that fails keeps the state, marks it as not verified, and the plan stays empty."""
    principal = directory.principal(CredentialKind.SECRET)
    wanted = inputs(principal)
    id_, outputs = plugin.create(wanted)
    broken = {**outputs, "credential": {**wanted["credential"], "client_secret": "rotated-elsewhere"}}
    same, found = plugin.read(id_, broken)
    assert same == id_
    assert found == broken | {"verified": False}
    assert "could not be verified and is kept as it was" in told.text()
    assert "AADSTS7000215" in told.text()
    assert "rotated-elsewhere" not in told.text()
    assert plugin.diff(id_, found, wanted | {"credential": broken["credential"]}) == (False, [])
    assert plugin.read(id_, {**found, "credential": wanted["credential"]})[1]["verified"] is True


def test_drift_in_words(plugin: Plugin, directory: Any, told: Told, sandbox: Sandbox) -> None:
    """Unlinked, linked again, switched, not active: each is told with both values."""
    principal = directory.principal()
    wanted = inputs(principal)
    id_, outputs = plugin.create(wanted)

    plugin.delete(id_, outputs)
    assert plugin.read(id_, outputs) == ("", {})
    assert f"to partner ID {OURS} is gone: the next up makes it again" in told.text()

    plugin.create(wanted)
    _, found = plugin.read(id_, outputs)
    assert found["version"] == 3
    assert "is at version 3, not 1: it was removed and made again, or switched away and back" in told.text()
    assert plugin.diff(id_, found, wanted) == (False, [])

    sandbox.set_link_state(principal.tenant_id, principal.object_id, "Suspended")
    _, found = plugin.read(id_, found)
    assert found["state"] == "Suspended"
    assert "is Suspended, not Active" in told.text()
    assert plugin.diff(id_, found, wanted) == (True, [])
    sandbox.set_link_state(principal.tenant_id, principal.object_id, "Active")


def test_removal_that_is_blocked(plugin: Plugin, directory: Any, told: Told) -> None:
    """A given principal whose secret is gone: the commands to finish, or a warning where best effort is enough."""
    principal = directory.principal(CredentialKind.GIVEN)
    wanted = inputs(principal)
    del wanted["credential"]["application_id"]
    id_, outputs = plugin.create(wanted)
    broken = {**outputs, "credential": {**wanted["credential"], "client_secret": "expired"}}
    with pytest.raises(grpc.RpcError) as raised:
        plugin.delete(id_, broken)
    details = raised.value.details()
    assert details.startswith("pal_components.RemovalBlocked: the link of the service principal of application")
    assert f"az managementpartner delete --partner-id {OURS}" in details
    assert f"--username {principal.client_id}" in details
    assert "Traceback" not in details
    plugin.delete(id_, broken | {"removal": "best_effort"})
    assert "removal is 'best_effort', so this is left to you" in told.text()
    assert directory.links()[principal.object_id] == OURS
    plugin.delete(id_, outputs)


def test_removal_without_the_principals_own_credential(plugin: Plugin, directory: Any, told: Told) -> None:
    """Where the deploying identity may add a secret, an ephemeral one stands in for one that is gone."""
    principal = directory.principal(CredentialKind.SECRET)
    wanted = inputs(principal)
    id_, outputs = plugin.create(wanted)
    plugin.delete(id_, {**outputs, "credential": {**wanted["credential"], "client_secret": "expired"}})
    assert principal.object_id not in directory.links()
    assert "removing the link with an ephemeral secret instead" in told.text()
    assert directory.passwords(principal) == 1


def test_another_cloud_is_not_a_link_that_is_gone(plugin: Plugin, directory: Any, told: Told) -> None:
    """Where the environment names another cloud, nothing is read, removed or forgotten."""
    principal = directory.principal()
    id_, outputs = plugin.create(inputs(principal))
    elsewhere = outputs | {"cloud": "usgovernment"}
    with pytest.raises(grpc.RpcError, match="was made in the cloud 'usgovernment'"):
        plugin.delete(id_, elsewhere)
    assert plugin.read(id_, elsewhere)[1]["verified"] is False
    assert directory.links()[principal.object_id] == OURS


def test_an_adopted_link_says_so(plugin: Plugin, directory: Any, told: Told) -> None:
    """Adopting is said, in the outputs and beside the stack."""
    wanted = inputs(directory.principal())
    plugin.create(wanted)
    _, outputs = plugin.create(wanted)
    assert outputs["origin"] == "adopted"
    assert "was there already: adopted" in told.text()
