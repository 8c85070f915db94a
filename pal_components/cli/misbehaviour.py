"""``pal sandbox fault`` and ``pal sandbox admin``: what is to go wrong, and what others do to a world."""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from pal_components.cli.verb import opened_state, verb
from pal_components.sandbox import admin, faults, propagation

_ACTIONS = "".join(["actions:\n", *(f"  {name:<13} {text}\n" for name, text in faults.ACTIONS.items()), "\n"])


def add_to(verbs: Any) -> None:
    """Add the commands."""
    _add_faults(_group(verbs, "fault", "let requests go wrong, to see what a client makes of it"))
    _add_admin(_group(verbs, "admin", "do to the world what an administrator, Microsoft or time would do"))


def _group(verbs: Any, name: str, short: str) -> Any:
    parser = verbs.add_parser(name, help=short, description=f"{short[0].upper()}{short[1:]}.")
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _add_faults(group: Any) -> None:
    add = verb(
        group,
        "add",
        _add,
        "make requests meet a fault",
        "Make requests meet a fault. It is kept in the state directory and works at once, also where a sandbox is "
        "being served from it, and in the next run. Where several faults fit a request, the oldest takes it.",
        f"{_ACTIONS}examples:\n"
        "  pal sandbox fault add cut_after --method PUT --path partners\n"
        "  pal sandbox fault add status --status 429 --retry-after 2 --path oauth2 --times 3",
    )
    add.add_argument("action", metavar="ACTION", help="what goes wrong, see below")
    add.add_argument("--method", metavar="M", help="only requests with this method")
    add.add_argument("--path", metavar="REGEX", help="only requests whose path has a match, case aside")
    add.add_argument("--times", type=_times, default=1, metavar="N", help="how often: a number, or always (default: 1)")
    add.add_argument("--skip", type=int, default=0, metavar="N", help="let so many of these requests pass before")
    add.add_argument("--seconds", type=float, metavar="S", help="for slow: how long")
    add.add_argument("--status", type=int, metavar="N", help="for status: the HTTP status")
    add.add_argument("--code", metavar="TEXT", help="for status: the error code; at sign-in an AADSTS number too")
    add.add_argument("--message", metavar="TEXT", help="for status: the error's text")
    add.add_argument("--retry-after", type=float, metavar="S", help="for status: the header Retry-After")

    listing = verb(
        group,
        "list",
        _list,
        "list what is to go wrong",
        "List the faults that may still happen, the delays, and what a PUT on an existing link does.",
        "example:\n  pal sandbox fault list --json",
    )
    listing.add_argument("--json", action="store_true", help="as JSON: faults, delays, putOnExisting")

    verb(
        group,
        "clear",
        _change(lambda state, _: faults.clear(state)),
        "behave again",
        "Forget all faults and delays, also delays that have begun; a PUT on an existing link is a conflict again.",
        "example:\n  pal sandbox fault clear",
    )

    delay = verb(
        group,
        "delay",
        _change(
            lambda state, given: propagation.delay(state, given.what, requests=given.requests, seconds=given.seconds)
        ),
        "let new things be unknown for a while",
        "Let what is made from now on be unknown for a while, as in a directory with many replicas: a service "
        "principal (at sign-in, then 401 at the APIs), a client secret, a certificate or a federated credential (at "
        "sign-in), or an application (404 at addPassword).",
        "examples:\n"
        "  pal sandbox fault delay secret --requests 3\n"
        "  pal sandbox fault delay principal --seconds 20\n"
        "  pal sandbox fault delay secret --requests 0    (no delay any more)",
    )
    delay.add_argument("what", metavar="WHAT", help="principal, secret, certificate, federated or graph (application)")
    delay.add_argument("--requests", type=int, metavar="N", help="to the first so many requests that touch it")
    delay.add_argument("--seconds", type=float, metavar="S", help="so long after it was made")

    put = verb(
        group,
        "put",
        _change(lambda state, given: admin.put_on_existing(state, given.mode)),
        "say what a PUT on an existing link does",
        "What the real service does when somebody who is linked sends a PUT was never recorded. Choose the guess to "
        "play: conflict (409, the default), overwrite (200, the link is switched), or ignore (200 with the link as it "
        "was).",
        "example:\n  pal sandbox fault put overwrite",
    )
    put.add_argument("mode", metavar="MODE", help="conflict, overwrite or ignore")


def _add_admin(group: Any) -> None:
    policy = verb(
        group,
        "policy",
        _change(
            lambda state, given: admin.policy(
                state, given.tenant, secrets=None if given.secrets == "none" else given.secrets
            )
        ),
        "forbid or shorten client secrets in a tenant",
        "Give a tenant an app management policy: forbidden (no client secrets), short (none that lives longer than 5 "
        "minutes), or none.",
        "example:\n  pal sandbox admin policy contoso.onmicrosoft.com forbidden",
    )
    policy.add_argument("tenant", metavar="TENANT", help="GUID or default domain")
    policy.add_argument("secrets", choices=("forbidden", "short", "none"))

    tenant = verb(
        group,
        "remove-tenant",
        _change(lambda state, given: admin.remove_tenant(state, given.tenant)),
        "remove a tenant",
        "Remove a tenant with all that is in it, as when it was deleted for good.",
        "example:\n  pal sandbox admin remove-tenant fabrikam.onmicrosoft.com",
    )
    tenant.add_argument("tenant", metavar="TENANT", help="GUID or default domain")

    state = verb(
        group,
        "link-state",
        _change(lambda state, given: admin.set_link_state(state, given.tenant, given.object, given.link_state)),
        "set the state of a partner link",
        "Set the state of a principal's partner link to another text than Active.",
        "example:\n  pal sandbox admin link-state TENANT OBJECT Suspended",
    )
    state.add_argument("tenant", metavar="TENANT", help="the tenant's GUID")
    state.add_argument("object", metavar="OBJECT", help="the service principal's object id")
    state.add_argument("link_state", metavar="STATE")

    secrets = verb(
        group,
        "expire-secrets",
        _change(lambda state, given: admin.expire_secrets(state, given.object, datetime.now(timezone.utc))),
        "let client secrets be expired",
        "Let every client secret of an application or service principal be expired.",
        "example:\n  pal sandbox admin expire-secrets OBJECT",
    )
    secrets.add_argument("object", metavar="OBJECT", help="the application's or principal's object id")


def _times(text: str) -> int | None:
    if text == "always":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is neither a number from 1 nor always")
    return int(text)


def _change(change: Callable[[Any, argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    """Return a command that changes the state as its arguments say."""

    def run(arguments: argparse.Namespace) -> int:
        with opened_state(arguments) as state:
            change(state, arguments)
        return 0

    return run


def _add(arguments: argparse.Namespace) -> int:
    with opened_state(arguments) as state:
        number = faults.add(
            state,
            arguments.action,
            method=arguments.method,
            path=arguments.path,
            times=arguments.times,
            skip=arguments.skip,
            seconds=arguments.seconds,
            status=arguments.status,
            code=arguments.code,
            message=arguments.message,
            retry_after=arguments.retry_after,
        )
    sys.stdout.write(f"Fault {number}.\n")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    with opened_state(arguments) as state:
        waiting, delays, put = faults.listed(state), propagation.listed(state), admin.put_mode(state)
    if arguments.json:
        sys.stdout.write(json.dumps({"faults": waiting, "delays": delays, "putOnExisting": put}, indent=2) + "\n")
        return 0
    for fault in waiting:
        told = {**fault, "times": fault["times"] or "always"}
        details = {name: value for name, value in told.items() if value is not None and name not in ("id", "action")}
        _line(f"fault {fault['id']}", fault["action"], details)
    for delay in delays:
        _line("delay", delay["what"], {name: delay[name] for name in ("requests", "seconds") if delay[name]})
    sys.stdout.write(f"put on an existing link: {put}\n")
    return 0


def _line(kind: str, what: str, details: dict[str, Any]) -> None:
    sys.stdout.write(f"{kind}: {what} {' '.join(f'{name}={value}' for name, value in details.items())}\n")
