"""The gRPC side of a stand-in plugin: Pulumi's ResourceProvider service over plain Python values.

The service is implemented directly on Pulumi's generated servicer, not through `pulumi.provider.experimental`: that
one puts a Python traceback in front of every error, does not hand old inputs to a diff, cannot take an unknown output
value, and cannot say that a resource was created but not finished.
"""
# ruff: noqa: N802  -- the method names are the protocol's

import difflib
import functools
import importlib.metadata
import logging
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import grpc  # type: ignore[import-untyped, unused-ignore]
from google.protobuf import empty_pb2, struct_pb2  # type: ignore[import-untyped, unused-ignore]
from pulumi.runtime import rpc
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

Properties = dict[str, Any]
"""Property values by name, as plain Python values; `UNKNOWN` stands for one that is not known yet."""

UNKNOWN: str = rpc.UNKNOWN
"""What the engine sends in place of a value that only the update will know."""

_SIGNATURE = rpc._special_sig_key
_SECRET = rpc._special_secret_sig
_OUTPUT = rpc._special_output_value_sig


class ProviderError(Exception):
    """Something the user can act on: its text is all that the terminal shows."""


class PartlyCreatedError(ProviderError):
    """The object exists now, but a later step of creating it failed: the engine keeps it and updates it next time."""

    def __init__(self, reason: str, resource_id: str, outputs: Properties) -> None:
        super().__init__(reason)
        self.resource_id = resource_id
        self.outputs = outputs


@dataclass(frozen=True)
class Secret:
    """An output value that the engine is to encrypt."""

    value: Any


@dataclass(frozen=True)
class Diff:
    """What would change.

    `changes` maps a property to `"add"`, `"update"` or `"delete"`; `replaces` names those of them that cannot be
    changed in place.
    """

    changes: Mapping[str, str] = field(default_factory=dict)
    replaces: frozenset[str] = frozenset()
    delete_before_replace: bool = False


@dataclass(frozen=True)
class State:
    """What a read found: the outputs, and the inputs as they would have to be written to get them."""

    outputs: Properties
    inputs: Properties


class Resource(ABC):
    """One resource type: what the engine asks of it, with plain values."""

    @abstractmethod
    def check(self, name: str, seed: bytes, olds: Properties, news: Properties) -> tuple[Properties, list[str]]:
        """Return the inputs with defaults filled in, and what is wrong with them, one sentence each."""

    @abstractmethod
    def diff(self, old_inputs: Properties, olds: Properties, news: Properties) -> Diff:
        """Compare the old inputs and outputs with checked new inputs."""

    @abstractmethod
    def plan(self, olds: Properties | None, news: Properties) -> Properties:
        """Return the outputs a preview shows for a creation (`olds` is None) or an update."""

    @abstractmethod
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        """Create the object and return its id and outputs."""

    @abstractmethod
    def read(self, resource_id: str, olds: Properties, old_inputs: Properties) -> State | None:
        """Read the object, or return None where it is gone; `olds` is empty when it is being imported."""

    @abstractmethod
    def update(self, resource_id: str, olds: Properties, news: Properties) -> Properties:
        """Change the object in place and return its outputs."""

    @abstractmethod
    def delete(self, resource_id: str, olds: Properties) -> None:
        """Delete the object."""


Function = Callable[[Properties], Properties]


class Provider(ABC):
    """One plugin: its settings, its resource types and its functions."""

    package: str
    """The package whose types it serves, as in `azuread`; its Python SDK is the distribution `pulumi-<package>`."""
    settings: frozenset[str]
    """The names that its configuration may have."""
    resources: Mapping[str, Resource]
    functions: Mapping[str, Function]

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    @property
    def version(self) -> str:
        """The version of the installed SDK, so that the engine sees plugin and SDK agree."""
        return importlib.metadata.version(f"pulumi-{self.package}")

    @abstractmethod
    def configure(self, variables: Mapping[str, str]) -> None:
        """Take the configuration (values that are no strings arrive as JSON) and get ready to talk to the service."""

    def resource(self, token: str) -> Resource:
        """Return the resource type `token`, or raise ProviderError naming those that there are."""
        return self._find(self.resources, token, "resource")

    def function(self, token: str) -> Function:
        """Return the function `token`, or raise ProviderError naming those that there are."""
        return self._find(self.functions, token, "function")

    def _find(self, table: "Mapping[str, _T]", token: str, kind: str) -> "_T":
        if token in table:
            return table[token]
        raise ProviderError(
            f"the sandbox's stand-in for {self.package} has no {kind} {token}; it has {', '.join(sorted(table))}. "
            "For anything else run with the real plugin (pal sandbox run --providers path)."
        )


_T = TypeVar("_T")


def serve(provider: Provider) -> NoReturn:
    """Serve `provider` on a loopback port, print that port, and stay until the engine that started this is gone."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # the engine shows whatever a plugin writes to stderr
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(_Servicer(provider), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    parent = os.getppid()
    while os.getppid() == parent:  # an engine that was killed cannot stop its plugins
        server.wait_for_termination(timeout=1)
    os._exit(0)


def _plainly(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a ProviderError into a gRPC status whose message is the error's text and nothing else."""

    @functools.wraps(method)
    def wrapper(self: "_Servicer", request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request)
        except ProviderError as error:
            if isinstance(error, PartlyCreatedError):
                _attach(context, error)
            return context.abort(grpc.StatusCode.UNKNOWN, str(error))

    return wrapper


def _attach(context: grpc.ServicerContext, error: PartlyCreatedError) -> None:
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.resource_id, properties=to_struct(error.outputs), reasons=[str(error)]
        )
    )
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))


class _Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Pulumi's ResourceProvider service for one Provider.

    It does not accept secrets, as the real plugins do not: the engine then sends plain values and marks outputs secret
    where the input of that name was.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def _resource(self, urn: str) -> Resource:
        return self._provider.resource(urn.split("::")[2].rpartition("$")[2])

    @_plainly
    def Handshake(self, _: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    @_plainly
    def GetPluginInfo(self, _: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._provider.version)

    @_plainly
    def Cancel(self, _: Any) -> Any:
        self._provider.cancelled.set()
        return empty_pb2.Empty()

    @_plainly
    def CheckConfig(self, request: Any) -> Any:
        known = self._provider.settings | {"version", "pluginDownloadURL"}
        unknown = [name for name in request.news.fields if name not in known and not name.startswith("__")]
        return provider_pb2.CheckResponse(
            inputs=request.news,
            failures=[
                provider_pb2.CheckFailure(reason=unknown_name(f"{self._provider.package} provider", name, known))
                for name in unknown
            ],
        )

    @_plainly
    def DiffConfig(self, _: Any) -> Any:
        return provider_pb2.DiffResponse()

    @_plainly
    def Configure(self, request: Any) -> Any:
        self._provider.configure({key.rpartition(":")[2]: value for key, value in request.variables.items()})
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    @_plainly
    def Invoke(self, request: Any) -> Any:
        function = self._provider.function(request.tok)
        response = provider_pb2.InvokeResponse()
        # The field is called like a keyword of Python.
        getattr(response, "return").CopyFrom(to_struct(function(from_struct(request.args))))
        return response

    @_plainly
    def Check(self, request: Any) -> Any:
        inputs, failures = self._resource(request.urn).check(
            request.urn.split("::", 3)[3],
            request.randomSeed,
            from_struct(request.olds),
            from_struct(request.news),
        )
        # Named in the reason, not in the property field: for that one the engine would print the value, secret or not.
        return provider_pb2.CheckResponse(
            inputs=to_struct(inputs), failures=[provider_pb2.CheckFailure(reason=reason) for reason in failures]
        )

    @_plainly
    def Diff(self, request: Any) -> Any:
        diff = self._resource(request.urn).diff(
            from_struct(request.old_inputs), from_struct(request.olds), from_struct(request.news)
        )
        kinds = provider_pb2.PropertyDiff.Kind
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if diff.changes else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=list(diff.changes),
            replaces=[name for name in diff.changes if name in diff.replaces],
            deleteBeforeReplace=diff.delete_before_replace,
            detailedDiff={
                name: provider_pb2.PropertyDiff(
                    kind=kinds.Value(f"{kind}_REPLACE".upper() if name in diff.replaces else kind.upper())
                )
                for name, kind in diff.changes.items()
            },
            hasDetailedDiff=True,
        )

    @_plainly
    def Create(self, request: Any) -> Any:
        resource, inputs = self._resource(request.urn), from_struct(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=to_struct(resource.plan(None, inputs)))
        resource_id, outputs = resource.create(inputs)
        return provider_pb2.CreateResponse(id=resource_id, properties=to_struct(outputs))

    @_plainly
    def Read(self, request: Any) -> Any:
        state = self._resource(request.urn).read(
            request.id, from_struct(request.properties), from_struct(request.inputs)
        )
        if state is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=request.id, properties=to_struct(state.outputs), inputs=to_struct(state.inputs)
        )

    @_plainly
    def Update(self, request: Any) -> Any:
        resource, olds, news = self._resource(request.urn), from_struct(request.olds), from_struct(request.news)
        outputs = resource.plan(olds, news) if request.preview else resource.update(request.id, olds, news)
        return provider_pb2.UpdateResponse(properties=to_struct(outputs))

    @_plainly
    def Delete(self, request: Any) -> Any:
        self._resource(request.urn).delete(request.id, from_struct(request.properties))
        return empty_pb2.Empty()


def _unimplemented(_self: _Servicer, _request: Any, context: grpc.ServicerContext) -> NoReturn:
    """Answer without the traceback that the generated servicer would leave on stderr."""
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "a stand-in plugin does not do this")
    raise AssertionError("abort raises")


for _method in ("GetSchema", "GetMapping", "GetMappings", "Parameterize", "Construct", "Call", "List", "Attach"):
    setattr(_Servicer, _method, _unimplemented)


def unknown_name(owner: str, name: str, known: Iterable[str]) -> str:
    """Say that `owner` has no input `name`, with the nearest one that it has."""
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{owner} has no input {name}{hint}"


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Return the properties of a message as plain values, without nulls, secrets opened."""
    values = ((name, _from_value(value)) for name, value in struct.fields.items())
    return {name: value for name, value in values if value is not None}


def _from_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "number_value":
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    if kind != "struct_value":
        return None if kind == "null_value" else getattr(value, str(kind))
    fields = value.struct_value.fields
    signature = fields[_SIGNATURE].string_value if _SIGNATURE in fields else None
    if signature is None:
        return from_struct(value.struct_value)
    if signature in (_SECRET, _OUTPUT):
        return _from_value(fields["value"]) if "value" in fields else UNKNOWN
    raise ProviderError("a stand-in plugin takes no assets, archives or resource references")


def to_struct(properties: Properties) -> struct_pb2.Struct:
    """Return a message of `properties`, leaving out those that are None."""
    return struct_pb2.Struct(fields={name: _to_value(value) for name, value in properties.items() if value is not None})


def _to_value(value: Any) -> struct_pb2.Value:
    if isinstance(value, Secret):
        return _to_value({_SIGNATURE: _SECRET, "value": value.value})
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=to_struct(dict(value)))
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_to_value(item) for item in value]))
