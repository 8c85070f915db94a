"""What the commands below ``pal sandbox`` share."""

import argparse
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pal_components.cli.failure import CommandError


def verb(
    verbs: Any, name: str, run: Callable[[argparse.Namespace], int], short: str, long: str, examples: str
) -> argparse.ArgumentParser:
    """Add a command that works on a state directory, and return its parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=short,
        description=textwrap.fill(long, 78),
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(".sandbox"),
        metavar="DIR",
        help="directory that holds the sandbox's world (default: .sandbox here)",
    )
    return parser


def server_module() -> Any:
    """Import and return the sandbox's server module, whose libraries come with an extra."""
    try:
        from pal_components.sandbox import server
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "pal_components":
            raise
        raise CommandError(
            f"the sandbox needs libraries that are not installed ({error.name}): pip install 'pal-components[sandbox]'"
        ) from None
    return server


@contextmanager
def opened_state(arguments: argparse.Namespace) -> Iterator[Any]:
    """Open the state directory that was named; what the sandbox says against it ends the command."""
    server = server_module()
    try:
        with server.opened(arguments.state) as state:
            yield state
    except server.SandboxError as error:
        raise CommandError(str(error)) from None
