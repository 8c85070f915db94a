"""What the azure-native stand-in's resource types have in common: look first, PUT, read once; compare inputs."""

import uuid
from http import HTTPStatus
from typing import Any

from typing_extensions import override

from pal_components.sandbox.stand_in import schema as rules
from pal_components.sandbox.stand_in.cloud import Api, ServiceError, wait_for
from pal_components.sandbox.stand_in.plugin import (
    UNKNOWN,
    Diff,
    Properties,
    Provider,
    ProviderError,
    Resource,
    State,
)
from pal_components.sandbox.stand_in.schema import Kind, Property

_CREATE_BEFORE_DELETE = "__createBeforeDelete"


def told(wire: str, kind: Kind = Kind.STRING) -> Property:
    """Return a property that only the service sets, at this place in its object."""
    return Property(kind, wire, output=True)


def under(scope: str, path: str) -> str:
    """Return the id of what `path` names below a scope."""
    return "/".join(("", *filter(None, scope.split("/")), "providers", path))


class ArmProvider(Provider):
    """A plugin that talks to Azure Resource Manager."""

    def __init__(self) -> None:
        super().__init__()
        self._arm: Api | None = None
        self.subscription = ""
        """Id of the subscription that the provider works in, a GUID."""
        self.location = ""
        """Where resources go that do not say it."""

    @property
    def arm(self) -> Api:
        """Azure Resource Manager, as the configured identity."""
        if self._arm is None:
            raise ProviderError("the azure-native provider is not configured")
        return self._arm


class ArmResource(Resource):
    """An Azure resource that is read, PUT and deleted at its id."""

    token: str
    api_version: str
    schema: rules.Schema
    name_property: str

    def __init__(self, provider: ArmProvider) -> None:
        self._provider = provider

    def _path(self, inputs: Properties) -> str:
        """Return the id that these inputs make."""
        raise NotImplementedError

    def _path_inputs(self, resource_id: str) -> Properties:
        """Return the inputs that an id stands for."""
        raise NotImplementedError

    def _automatic_name(self, name: str, seed: bytes) -> str:
        """Return a name for a resource whose program gives none, always the same for one seed."""
        raise NotImplementedError

    def _input(self, name: str, value: Any) -> Any:  # noqa: ARG002
        """Return how a program would write an output value as the input of the same name."""
        return value

    @override
    def check(self, name: str, seed: bytes, olds: Properties, news: Properties) -> tuple[Properties, list[str]]:
        # An import hands back what reading suggested, this one among it.
        written = {key: value for key, value in news.items() if key != "azureApiVersion"}
        inputs, failures = rules.check(self.token, self.schema, written)
        if self.name_property not in inputs:
            # An automatic name is kept, and with it the right to have old and new side by side in a replacement.
            if self.name_property in olds:
                inputs[self.name_property] = olds[self.name_property]
                if _CREATE_BEFORE_DELETE in olds:
                    inputs[_CREATE_BEFORE_DELETE] = olds[_CREATE_BEFORE_DELETE]
            else:
                inputs[self.name_property] = self._automatic_name(name, seed or uuid.uuid4().bytes)
                inputs[_CREATE_BEFORE_DELETE] = True
        return inputs | {"azureApiVersion": self.api_version}, failures

    @override
    def diff(self, old_inputs: Properties, olds: Properties, news: Properties) -> Diff:
        changes = {}
        for name in sorted(old_inputs.keys() | news.keys()):
            if not name.startswith("__") and not self._same(name, old_inputs.get(name), news.get(name)):
                changes[name] = "add" if name not in old_inputs else "update" if name in news else "delete"
        replaces = frozenset(name for name in changes if name in self.schema and self.schema[name].replaces)
        return Diff(changes, replaces, bool(replaces) and not old_inputs.get(_CREATE_BEFORE_DELETE, False))

    def _same(self, name: str, old: Any, new: Any) -> bool:
        if name == "location" and isinstance(old, str) and isinstance(new, str):
            return old.replace(" ", "").lower() == new.replace(" ", "").lower()
        return bool(old == new) and not rules.unknown(new)

    @override
    def plan(self, olds: Properties | None, news: Properties) -> Properties:
        outputs = {name: news.get(name, UNKNOWN) for name, prop in self.schema.items() if prop.wire}
        outputs["azureApiVersion"] = self.api_version
        return outputs | {name: olds[name] for name in ("name", "location") if olds and name in olds}

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        path = self._path(inputs)
        doing = f"cannot check existence of resource '{path}'"
        if self._provider.arm.find(doing, path, **self._version()):
            raise ProviderError(f"cannot create already existing resource '{path}'")
        return self._put(f"creating resource '{path}'", path, inputs)

    @override
    def read(self, resource_id: str, olds: Properties, old_inputs: Properties) -> State | None:
        found = self._provider.arm.find(f"reading resource '{resource_id}'", resource_id, **self._version())
        if found is None:
            return None
        outputs = self._outputs(found)
        body = [name for name, prop in self.schema.items() if prop.wire and not prop.output]
        if not old_inputs:
            inputs = {name: self._input(name, outputs[name]) for name in body if name in outputs}
            inputs |= self._path_inputs(resource_id)
            return State(outputs, inputs | {"azureApiVersion": self.api_version})
        # What the service changed since the last time is what somebody changed: the rest are its own ways of writing.
        inputs = dict(old_inputs)
        for name in body:
            if olds.get(name) != outputs.get(name):
                inputs.pop(name, None)
                if name in outputs:
                    inputs[name] = self._input(name, outputs[name])
        return State(outputs, inputs)

    @override
    def update(self, resource_id: str, olds: Properties, news: Properties) -> Properties:
        path = self._path(news)
        return self._put(f"updating resource '{path}'", path, news)[1]

    @override
    def delete(self, resource_id: str, olds: Properties) -> None:
        doing = f"deleting resource '{resource_id}'"
        try:
            response = self._provider.arm.request(doing, "DELETE", resource_id, params=self._version())
        except ServiceError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return
        location = response.headers.get("Location")
        if response.status_code == HTTPStatus.ACCEPTED and location:
            wait_for(
                self._provider,
                f"the deletion of resource '{resource_id}'",
                lambda: self._finished(doing, location) or None,
            )

    def _finished(self, doing: str, location: str) -> bool:
        try:
            return self._provider.arm.request(doing, "GET", location).status_code != HTTPStatus.ACCEPTED
        except ServiceError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return True

    def _put(self, doing: str, path: str, inputs: Properties) -> tuple[str, Properties]:
        arm = self._provider.arm
        response = arm.request(doing, "PUT", path, params=self._version(), json=self._body(inputs))
        resource_id = response.json().get("id") or path
        return resource_id, self._outputs(arm.get(f"reading resource '{path}'", resource_id, **self._version()))

    def _body(self, inputs: Properties) -> Properties:
        body: Properties = {}
        for name, prop in self.schema.items():
            if prop.wire and not prop.output and name in inputs and name != "scope":  # the scope is in the path
                *parents, last = prop.wire.split(".")
                target = body
                for parent in parents:
                    target = target.setdefault(parent, {})
                target[last] = inputs[name]
        return body

    def _outputs(self, found: Properties) -> Properties:
        outputs: Properties = {"azureApiVersion": self.api_version}
        for name, prop in self.schema.items():
            value: Any = found if prop.wire else None
            for key in prop.wire.split("."):
                value = value.get(key) if isinstance(value, dict) else None
            if value is not None:
                outputs[name] = value
        return outputs

    def _version(self) -> dict[str, str]:
        return {"api-version": self.api_version}
