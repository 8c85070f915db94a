"""What the azuread stand-in's resource types have in common: Microsoft Graph, lookups, a table of properties."""

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from typing_extensions import override

from pal_components.sandbox.stand_in import schema as rules
from pal_components.sandbox.stand_in.cloud import Api
from pal_components.sandbox.stand_in.plugin import (
    Diff,
    Properties,
    Provider,
    ProviderError,
    Resource,
    State,
    unknown_name,
)


class GraphProvider(Provider):
    """A plugin that talks to Microsoft Graph."""

    def __init__(self) -> None:
        super().__init__()
        self._api: Api | None = None
        self._locks: dict[str, threading.Lock] = {}
        self.caller = ""
        """Object id of the service principal that is signed in."""

    @property
    def graph(self) -> Api:
        """Microsoft Graph, as the configured identity."""
        if self._api is None:
            raise ProviderError("the azuread provider is not configured")
        return self._api

    def lock(self, object_id: str) -> AbstractContextManager[Any]:
        """Hold off other operations on the credentials of one object: key credentials are written as a whole list."""
        return self._locks.setdefault(object_id, threading.Lock())

    def look_up(
        self, what: str, collection: str, args: Properties, filters: Mapping[str, str], version: str = "v1.0"
    ) -> Properties:
        """Return the one object that these arguments name: `objectId`, or one that a filter's template is for."""
        given = [name for name in ("objectId", *filters) if args.get(name)]
        unknown = args.keys() - {"objectId", *filters}
        if unknown:
            raise ProviderError(unknown_name(what, min(unknown), {"objectId", *filters}))
        if len(given) != 1:
            raise ProviderError(
                f"looking up {what}: exactly one of {', '.join(sorted({'objectId', *filters}))} is needed"
            )
        value = args[given[0]]
        if given == ["objectId"]:
            found = self.graph.find(f"retrieving {what} {value}", f"/{version}/{collection}/{value}")
            if found is None:
                raise ProviderError(f"{what} with object ID {value!r} was not found")
            return found
        condition = filters[given[0]].format(value.replace("'", "''"))
        hits = self.graph.list_all(f"listing {collection}", f"/{version}/{collection}", **{"$filter": condition})
        if len(hits) != 1:
            number = "no" if not hits else "more than one"
            raise ProviderError(f"looking up {what}: found {number} {what} matching filter: {condition}")
        return hits[0]


class VanishedError(ProviderError):
    """An object that was just created cannot be read: the real plugin then leaves it out of the state."""


class GraphResource(Resource):
    """What follows from the table of properties alone."""

    def __init__(self, provider: GraphProvider, token: str, schema: rules.Schema) -> None:
        self._provider = provider
        self.token = token
        self._schema = schema

    @property
    def _graph(self) -> Api:
        return self._provider.graph

    @override
    def check(self, name: str, seed: bytes, olds: Properties, news: Properties) -> tuple[Properties, list[str]]:
        return rules.check(self.token, self._schema, news)

    @override
    def diff(self, old_inputs: Properties, olds: Properties, news: Properties) -> Diff:
        return rules.diff(self._schema, olds, news)

    @override
    def plan(self, olds: Properties | None, news: Properties) -> Properties:
        return rules.plan(self._schema, olds, news)

    @override
    def update(self, resource_id: str, olds: Properties, news: Properties) -> Properties:
        raise ProviderError(f"{self.token} cannot be updated in place")

    def _state(self, outputs: Properties, old_inputs: Properties) -> State:
        return State(outputs, rules.read_inputs(self._schema, old_inputs, outputs))
