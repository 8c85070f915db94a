"""The command ``pal``."""

import argparse
import os
import sys

from pal_components.cli import sandbox
from pal_components.cli.failure import CommandError


def main(argv: list[str] | None = None) -> int:
    """Run ``pal`` with these arguments (the process's own where they are ``None``) and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="pal",
        description="Azure Partner Admin Link as infrastructure code: try it, run it, look at it.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    sandbox.add_to(commands)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except CommandError as error:
        sys.stderr.write(f"pal: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has enough of it. Python would complain when it empties its buffer at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
