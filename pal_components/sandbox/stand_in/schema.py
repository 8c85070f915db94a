"""Tables of a resource type's properties, and what follows from such a table alone: checks, defaults, wire form, diffs.

The rules are those of the Terraform provider behind azuread: an input that is not written counts as its default, or as
empty; what the service computes is left alone where the program says nothing; empty and absent are the same.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from pal_components.sandbox.stand_in.plugin import UNKNOWN, Diff, Properties, unknown_name


class Kind(Enum):
    """The form of a property's value."""

    STRING = auto()
    BOOL = auto()
    INT = auto()
    LIST = auto()
    SET = auto()
    CLAIMS = auto()
    """A set of strings that is one string on the wire, joined by commas."""
    MAP = auto()
    BLOCK = auto()
    BLOCKS = auto()


_STRINGS: tuple[type, type, str, Any] = (list, str, "a list of strings", [])
_FORMS: dict[Kind, tuple[type, type | None, str, Any]] = {
    Kind.STRING: (str, None, "a string", ""),
    Kind.BOOL: (bool, None, "a boolean", False),
    Kind.INT: (int, None, "a whole number", 0),
    Kind.LIST: _STRINGS,
    Kind.SET: _STRINGS,
    Kind.CLAIMS: _STRINGS,
    Kind.MAP: (dict, None, "a map of strings", {}),
    Kind.BLOCK: (dict, None, "an object", {}),
    Kind.BLOCKS: (list, dict, "a list of objects", []),
}
"""Per kind: the type of the value, the type of its items, the words for it, and what counts as empty."""


@dataclass(frozen=True)
class Property:
    """One property of a resource type."""

    kind: Kind = Kind.STRING
    wire: str = ""
    """Where it stands in the service's object, as a dotted path; "" where the service does not keep it."""
    required: bool = False
    output: bool = False
    """Only the service sets it."""
    computed: bool = False
    """The service chooses where the program says nothing."""
    default: Any = None
    replaces: bool = False
    """A change needs a new object."""
    kept: bool = False
    """The service does not keep it, so the state must."""
    conflicts: frozenset[str] = frozenset()
    valid: Callable[[Any], bool] | None = None
    form: str = ""
    """What `valid` accepts, for the message."""
    fields: "Mapping[str, Property]" = field(default_factory=dict)

    @property
    def empty(self) -> Any:
        """What it means that the property is not written."""
        return _FORMS[self.kind][3] if self.default is None else self.default


Schema = Mapping[str, Property]

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_guid(value: str) -> bool:
    """Return whether `value` is a GUID."""
    return _GUID.fullmatch(value) is not None


def check(owner: str, schema: Schema, news: Properties) -> tuple[Properties, list[str]]:
    """Return `news` with defaults, and what is wrong with it, one sentence for each property.

    `owner` is whose inputs they are, in the words of the messages (a type token). Names that start with two underscores
    are the engine's own business.
    """
    written = {name: value for name, value in news.items() if not name.startswith("__")}
    failures = list(_failures(owner, "", schema, written))
    defaults = {name: p.default for name, p in schema.items() if p.default is not None and name not in news}
    return news | defaults, failures


def _failures(owner: str, prefix: str, schema: Schema, values: Properties) -> Iterable[str]:
    inputs = {name: p for name, p in schema.items() if not p.output}
    for name, value in values.items():
        if name not in inputs:
            yield unknown_name(owner, prefix + name, [prefix + known for known in inputs])
        elif not unknown(value):
            yield from _value_failures(owner, prefix + name, inputs[name], value)
            for other in inputs[name].conflicts & values.keys():
                if name < other:
                    yield f"{owner}: {prefix}{name} and {prefix}{other} cannot both be set"
    for name, prop in inputs.items():
        if prop.required and values.get(name) in (None, ""):
            yield f"{owner}: missing required property {prefix}{name}"


def _value_failures(owner: str, path: str, prop: Property, value: Any) -> Iterable[str]:
    kind, item_kind, words, _ = _FORMS[prop.kind]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        yield f"{owner}: {path} must be {words}"
    elif isinstance(value, dict):
        if prop.fields:
            yield from _failures(owner, f"{path}.", prop.fields, value)
    elif isinstance(value, list):
        known = [(index, item) for index, item in enumerate(value) if item != UNKNOWN]
        if item_kind and not all(isinstance(item, item_kind) for _, item in known):
            yield f"{owner}: {path} must be {words}"
        elif prop.fields:
            for index, item in known:
                yield from _failures(owner, f"{path}[{index}].", prop.fields, item)
        elif prop.valid and not prop.valid(value):
            yield f"{owner}: {path} must be {prop.form}"
    elif value and prop.valid and not prop.valid(value):
        yield f"{owner}: {path} must be {prop.form}"


def unknown(value: Any) -> bool:
    """Return whether `value`, or anything in it, is not known yet."""
    if isinstance(value, Mapping):
        return any(map(unknown, value.values()))
    if isinstance(value, list):
        return any(map(unknown, value))
    return isinstance(value, str) and value == UNKNOWN


def normal(prop: Property, value: Any) -> Any:
    """Return `value` in a form in which equal things are equal: sets sorted, defaults and empty ones filled in."""
    if value is None:
        value = prop.empty
    if unknown(value):
        return UNKNOWN
    if prop.kind is Kind.BLOCK:
        return {name: normal(inner, value.get(name)) for name, inner in prop.fields.items()}
    if prop.kind is Kind.BLOCKS:
        items = [{name: normal(inner, item.get(name)) for name, inner in prop.fields.items()} for item in value]
        return sorted(items, key=repr)
    return sorted(value) if prop.kind in (Kind.SET, Kind.CLAIMS) else value


def diff(schema: Schema, olds: Properties, news: Properties) -> Diff:
    """Compare what the service has (`olds`) with what the program wants (`news`)."""
    changes = {}
    for name, prop in schema.items():
        if prop.output or (prop.computed and name not in news):
            continue
        want = normal(prop, news.get(name))
        if want == UNKNOWN or want != normal(prop, olds.get(name)):
            changes[name] = "update" if name in olds and name in news else "add" if name in news else "delete"
    return Diff(changes, frozenset(name for name in changes if schema[name].replaces))


def plan(schema: Schema, olds: Properties | None, news: Properties) -> Properties:
    """Return the outputs as far as they are known before anything is done."""
    planned = {}
    for name, prop in schema.items():
        if name in news:
            planned[name] = news[name]
        elif not (prop.output or prop.computed):
            planned[name] = prop.default
        else:
            planned[name] = UNKNOWN if olds is None else olds.get(name)
    return planned


def to_wire(schema: Schema, inputs: Properties) -> Properties:
    """Return the object to send: every input that the service keeps, empty strings as null."""
    body: Properties = {}
    for prop, value in ((p, inputs.get(name)) for name, p in schema.items() if not p.output):
        if prop.kind is Kind.BLOCK and not prop.wire:
            _merge(body, to_wire(prop.fields, value or {}))
        elif prop.wire:
            *parents, last = prop.wire.split(".")
            target = body
            for parent in parents:
                target = target.setdefault(parent, {})
            target[last] = _wire_value(prop, value)
    return body


def _wire_value(prop: Property, value: Any) -> Any:
    if value is None:
        value = prop.empty
    if prop.kind is Kind.CLAIMS:
        value = ",".join(value)
    if prop.kind is Kind.BLOCKS:
        return [to_wire(prop.fields, item) for item in value]
    return None if value == "" else value


def _merge(target: Properties, more: Properties) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def from_wire(schema: Schema, found: Mapping[str, Any]) -> Properties:
    """Return the outputs that the service's object says, empty where it says nothing."""
    outputs: Properties = {}
    for name, prop in schema.items():
        if prop.kind is Kind.BLOCK and not prop.wire:
            outputs[name] = from_wire(prop.fields, found)
        elif prop.wire:
            value: Any = found
            for key in prop.wire.split("."):
                value = value.get(key) if isinstance(value, Mapping) else None
            outputs[name] = _read_value(prop, value)
    return outputs


def _read_value(prop: Property, value: Any) -> Any:
    if prop.kind is Kind.CLAIMS:
        return [claim.strip() for claim in value.split(",")] if value else []
    if prop.kind is Kind.BLOCKS:
        return [from_wire(prop.fields, item) for item in value or []]
    if prop.kind is Kind.INT and value is None:
        return prop.default
    return _FORMS[prop.kind][3] if value is None else value


def kept(schema: Schema, source: Properties) -> Properties:
    """Return those of `source` (inputs, or old outputs) that the service does not keep."""
    return {name: source.get(name, prop.default) for name, prop in schema.items() if prop.kept}


def read_inputs(schema: Schema, old_inputs: Properties, outputs: Properties) -> Properties:
    """Return the inputs that would lead to `outputs`.

    On refresh these are the old ones with what has changed outside; on import (no old ones) whatever is not the
    default, and of properties that exclude each other none.
    """
    if not old_inputs:
        return {
            name: outputs[name]
            for name, prop in schema.items()
            if not (prop.output or prop.conflicts)
            and outputs.get(name) is not None
            and (prop.required or normal(prop, outputs[name]) != normal(prop, None))
        }
    inputs = dict(old_inputs)
    for name in old_inputs.keys() & schema.keys():
        prop = schema[name]
        if name in outputs and normal(prop, outputs[name]) != normal(prop, old_inputs[name]):
            inputs[name] = outputs[name]
    return inputs
