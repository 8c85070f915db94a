"""Checking the inputs of components: one message that names the property, and no traceback in front of it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pulumi

T = TypeVar("T")


class InputError(pulumi.RunError, pulumi.InputPropertyError):
    """An input that cannot be right.

    The engine's hosts print a RunError without a traceback, and point at the property of an InputPropertyError.
    """

    def __init__(self, name: str, property_path: str, reason: str) -> None:
        """Say whose (`name`, the resource's) and which property it is, and what is wrong with it."""
        Exception.__init__(self, f"{name}: {property_path} {reason}")
        self.property_path = property_path
        self.reason = reason


def checked(name: str, property_path: str, value: Any, parse: Callable[[Any], T]) -> pulumi.Input[T]:
    """Return the parsed value: at once where it is known now, else as an Output that fails once it is known.

    `parse` raises a ValueError that says what is wrong. Raises InputError.
    """

    def attempt(known: Any) -> T:
        try:
            return parse(known)
        except ValueError as error:
            raise InputError(name, property_path, str(error)) from None

    if isinstance(value, pulumi.Output):
        return value.apply(attempt)
    return attempt(value)


def only_known_keys(name: str, args: Mapping[str, Any], known: type, path: str = "") -> None:
    """Refuse an input that the args type does not have: a misspelt one would be ignored in silence.

    `path` is what stands before the key in a property path.
    """
    names = list(known.__annotations__)
    for key in args:
        if key not in names:
            raise InputError(name, f"{path}{key}", f"is no input here: there are {', '.join(names)}")
