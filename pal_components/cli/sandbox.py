"""``pal sandbox``: run commands against a local Azure, and look at what they did there."""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from pal_components.cli import misbehaviour
from pal_components.cli.failure import CommandError
from pal_components.cli.verb import server_module, verb

_STAND_INS = {"pulumi-resource-azuread": "azuread", "pulumi-resource-azure-native": "azure_native"}
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``sandbox`` and its subcommands."""
    sandbox = commands.add_parser(
        "sandbox",
        help="a local Azure to try things in: sign-in, Graph, role assignments, partner links",
        description="A local Azure on this machine's loopback: sign-in, Microsoft Graph, role definitions and "
        "assignments, and partner links. Nothing leaves the machine and nothing in it is real.",
    )
    verbs = sandbox.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = verb(
        verbs,
        "run",
        _run,
        "run a command against the sandbox",
        "Start the sandbox, point everything that the azuread and azure-native providers, azure-identity and this "
        "library read at it, run COMMAND and exit as it did. What COMMAND made stays in the state directory for the "
        "next run. A sandbox that `pal sandbox serve` keeps running from the same directory is used as it is.",
        "examples:\n"
        "  pal sandbox run -- pulumi up --yes\n"
        "  pal sandbox run --providers path -- pulumi up    (the real provider plugins, from PATH)\n"
        "  pal sandbox run -- python my_script.py\n"
        "  pal sandbox run --issuer github=repo:contoso/infra:ref:refs/heads/main -- pulumi up",
    )
    run.usage = "pal sandbox run [options] -- COMMAND..."
    _add_world_options(run)
    run.add_argument(
        "--providers",
        choices=("stand-in", "path"),
        default="stand-in",
        help="stand-in (default): small plugins that come with the sandbox, for azuread and azure-native; "
        "path: whatever Pulumi finds by itself",
    )
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run, with its arguments")

    show = verb(
        verbs,
        "show",
        _show,
        "show what stands in the sandbox",
        "Show partner links, service principals, applications and role assignments. What the world started with is "
        "left out. Works whether or not the sandbox is running.",
        "example:\n  pal sandbox show --json",
    )
    show.add_argument("--json", action="store_true", help="as JSON: links, servicePrincipals, applications, ...")

    serve = verb(
        verbs,
        "serve",
        _serve,
        "keep the sandbox running for other shells and tools",
        "Serve until Ctrl-C. Standard output gets shell lines that point another shell's tools at the sandbox.",
        "example:\n  pal sandbox serve > sandbox.env &\n  . ./sandbox.env",
    )
    _add_world_options(serve)

    journal = verb(
        verbs,
        "journal",
        _journal,
        "list the requests that the sandbox answered",
        "List every request, oldest first: what was asked, by whom, and the answer's status. Bodies, tokens and "
        "secrets are never kept.",
        "example:\n  pal sandbox journal | tail",
    )
    journal.add_argument("--json", action="store_true", help="as JSON")

    misbehaviour.add_to(verbs)


def _add_world_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--world",
        type=Path,
        metavar="FILE",
        help="JSON file that a new state starts from instead of the built-in world "
        "(pal_components/sandbox/world.json is the example)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=0,
        metavar="N",
        help="port on localhost (default: the one the state had before, else a free one)",
    )
    parser.add_argument(
        "--issuer",
        type=_issuer,
        metavar="NAME[=SUBJECT]",
        help="also set what a job finds of an OpenID Connect issuer that the sandbox plays: github, azure-pipelines, "
        "pulumi or kubernetes. PAL_SANDBOX_ISSUER and PAL_SANDBOX_SUBJECT say whom a federated credential has to trust",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: a number from 1 to 65535")
    return int(text)


def _issuer(text: str) -> tuple[str, str | None]:
    name, _, subject = text.partition("=")
    return name, subject or None


@contextmanager
def _world(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, str]]]:
    """Have a sandbox serve the state directory, by this process or another; give its URL and its variables."""
    server = server_module()
    state_dir = arguments.state.absolute()
    with ExitStack() as stack:
        try:
            port = server.serving_port(state_dir)
            if port is None:
                sandbox = stack.enter_context(server.Sandbox(state_dir, arguments.world, arguments.port))
                url, variables = sandbox.url, sandbox.environment()
                if arguments.issuer is not None:
                    variables |= sandbox.issuer_environment(*arguments.issuer)
            else:
                if arguments.port not in (0, port):
                    raise CommandError(f"a sandbox serves {state_dir} already, on port {port}")
                url, variables = (
                    f"https://localhost:{port}",
                    server.served_environment(state_dir, arguments.world, port, arguments.issuer),
                )
        except server.SandboxError as error:
            raise CommandError(str(error)) from None
        yield url, variables


def _run(arguments: argparse.Namespace) -> int:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise CommandError("say what to run: pal sandbox run -- COMMAND...", 2)
    with _world(arguments) as (_, variables):
        environment = _environment(arguments, variables)
        program = shutil.which(command[0], path=environment["PATH"])
        if program is None:
            raise CommandError(f"{command[0]}: command not found", _NOT_FOUND)
        return _child([program, *command[1:]], environment)


def _environment(arguments: argparse.Namespace, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the command's variables: the caller's, without other ways to sign in, with the sandbox's."""
    state_dir = arguments.state.absolute()
    foreign = server_module().FOREIGN_SIGN_IN
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    environment.update(variables)
    # The engine stands beside this Python, and Pulumi looks for a Python that has this library on PATH.
    path = [str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
    if arguments.providers == "stand-in":
        path.insert(0, str(_write_launchers(state_dir)))
        environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
        environment.pop("PULUMI_IGNORE_AMBIENT_PLUGINS", None)
    environment["PATH"] = os.pathsep.join(path)
    environment.setdefault("PULUMI_SKIP_UPDATE_CHECK", "true")
    if "PULUMI_BACKEND_URL" not in environment:
        backend = state_dir / "pulumi"
        backend.mkdir(exist_ok=True)
        environment["PULUMI_BACKEND_URL"] = backend.as_uri()
    if "PULUMI_CONFIG_PASSPHRASE_FILE" not in environment:
        environment.setdefault("PULUMI_CONFIG_PASSPHRASE", "sandbox")
    return environment


def _write_launchers(state_dir: Path) -> Path:
    """Write the commands by which the engine starts the stand-in plugins, and return their directory."""
    folder: Path = state_dir / "bin"
    folder.mkdir(exist_ok=True)
    for name, module in _STAND_INS.items():
        text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pal_components.sandbox.stand_in.{module} "$@"\n'
        launcher = folder / name
        if not launcher.exists() or launcher.read_text(encoding="utf-8") != text:
            fresh = folder / f".{name}.{os.getpid()}"
            fresh.write_text(text, encoding="utf-8")
            fresh.chmod(0o755)
            fresh.replace(launcher)
    return folder


def _child(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command in the foreground, let it end by itself on Ctrl-C, and return its exit code."""
    stopped: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stopped.append(number)
        # A terminal's Ctrl-C reaches the command too; a second one would make Pulumi give up half-way.
        if process is not None and not (number == signal.SIGINT and _in_foreground()):
            process.send_signal(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        try:
            process = subprocess.Popen(command, env=environment)
        except OSError as error:
            raise CommandError(f"{command[0]}: {error.strerror}", _NOT_EXECUTABLE) from None
        # What came before the command did was for it.
        for number in stopped:
            process.send_signal(number)
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _serve(arguments: argparse.Namespace) -> int:
    server = server_module()
    state_dir = arguments.state.absolute()
    port = server.serving_port(state_dir)
    if port is not None:
        raise CommandError(f"a sandbox serves {state_dir} already, on port {port}")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with _world(arguments) as (url, variables):
        lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
        sys.stdout.write("\n".join([f"unset {' '.join(server.FOREIGN_SIGN_IN)}", *lines, ""]))
        sys.stdout.flush()
        sys.stderr.write(f"Serving {url} from {state_dir}. Ctrl-C ends it.\n")
        sys.stderr.flush()
        ended.wait()
    return 0


def _show(arguments: argparse.Namespace) -> int:
    server = server_module()
    try:
        shown = server.shown(arguments.state)
    except server.SandboxError as error:
        raise CommandError(str(error)) from None
    if arguments.json:
        sys.stdout.write(json.dumps(shown, indent=2) + "\n")
        return 0
    _table(
        "Partner links",
        ("partner", "name", "principal", "tenant", "version", "since"),
        [
            (
                row["partnerId"],
                row["partnerName"],
                row["objectId"] + (" (gone)" if row["orphaned"] else ""),
                row["tenantId"],
                row["version"],
                row["createdTime"][:19],
            )
            for row in shown["links"]
        ],
    )
    _table(
        "Service principals",
        ("name", "principal", "application", "tenant"),
        [(row["displayName"], row["objectId"], row["appId"], row["tenantId"]) for row in shown["servicePrincipals"]],
    )
    _table(
        "Applications",
        ("name", "application", "tenant", "secrets", "certificates", "federated"),
        [
            (
                row["displayName"],
                row["appId"],
                row["tenantId"],
                row["passwords"],
                row["certificates"],
                row["federatedCredentials"],
            )
            for row in shown["applications"]
        ],
    )
    _table(
        "Role assignments",
        ("role", "principal", "scope"),
        [
            (row["roleName"], row["principalId"] + (" (gone)" if row["orphaned"] else ""), row["scope"])
            for row in shown["roleAssignments"]
        ],
    )
    # Most worlds have none of these.
    if shown["registrations"]:
        _table("Lighthouse registrations", ("kind", "id"), [(row["type"], row["id"]) for row in shown["registrations"]])
    if shown["users"]:
        _table(
            "Users",
            ("name", "principal", "tenant"),
            [(row["userPrincipalName"], row["objectId"], row["tenantId"]) for row in shown["users"]],
        )
    if shown["groups"]:
        _table(
            "Groups",
            ("name", "principal", "members"),
            [(row["displayName"], row["objectId"], len(row["members"])) for row in shown["groups"]],
        )
    return 0


def _journal(arguments: argparse.Namespace) -> int:
    server = server_module()
    try:
        rows = server.requests_of(arguments.state)
    except server.SandboxError as error:
        raise CommandError(str(error)) from None
    if arguments.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    for row in rows:
        query = f"?{row['query']}" if row["query"] else ""
        fault = f"  ({row['fault']})" if row["fault"] else ""
        sys.stdout.write(
            f"{row['n']:>5}  {row['time']}  {row['status'] or '---'}  {row['method']:<6} {row['path']}{query}"
            f"  {row['caller'] or '-'}{fault}\n"
        )
    return 0


def _table(title: str, heads: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    if not rows:
        sys.stdout.write(f"{title}: none\n")
        return
    lines = [heads, *(tuple("" if cell is None else str(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    sys.stdout.write(f"{title}\n")
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write(f"  {text.rstrip()}\n")
