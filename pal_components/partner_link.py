"""The partner link as a Pulumi resource, and the dynamic provider that manages it.

This module is a state contract: the provider is pickled by reference into the state of every stack, so its name and
this module's may never change, it holds no state of its own, and importing it must stay cheap.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown
from typing_extensions import NotRequired, TypedDict

from pal_components.credential import CredentialArgs
from pal_components.inputs import checked, only_known_keys
from pal_components.link.decide import Link, OnConflict, Origin
from pal_components.link.errors import LinkError
from pal_components.link.identifiers import InvalidIdentifier, parse_object_id, parse_partner_id, parse_tenant_id
from pal_components.link.principal import CredentialKind, Principal
from pal_components.link.waiting import DEFAULT_BUDGET, Waiting

if TYPE_CHECKING:
    from pal_components.link.lifecycle import Operation

_PROVIDER_KEY = "__provider"
# What each kind needs; a tuple in a tuple needs one of its names.
_NEEDS: dict[CredentialKind, tuple[str | tuple[str, ...], ...]] = {
    CredentialKind.EPHEMERAL: ("client_id", "application_id"),
    CredentialKind.FEDERATED: ("client_id", "issuer", "subject"),
    CredentialKind.CERTIFICATE: ("client_id", "certificate"),
    CredentialKind.SECRET: ("client_id", "client_secret"),
    CredentialKind.GIVEN: ("client_id", ("client_secret", "certificate")),
    CredentialKind.AMBIENT: (),
}

_OF_CREDENTIAL = (
    "client_id",
    "client_secret",
    "certificate",
    "certificate_password",
    "issuer",
    "subject",
    "audience",
    "application_id",
)
# Inputs that change nothing at the service; the provider's own code is one of them.
_SETTINGS = ("credential", "on_conflict", "removal", "max_wait", "deployer_environment", _PROVIDER_KEY)
_LONGEST_WAIT = 3600


class Removal(str, Enum):
    """What destroy does where the link cannot be removed."""

    STRICT = "strict"
    """Fail, and say what is left and how to finish."""
    BEST_EFFORT = "best_effort"
    """Say the same as a warning, and go on."""


class PartnerLinkProvider(ResourceProvider):
    """Creates, reads, changes and removes the link of one principal.

    The outputs repeat the inputs, because removal and reading are given nothing else, and hold under `declared` what
    was asked for when the link was last set: after a refresh `partner_id` says what is, and only the difference to
    what was declared tells somebody else's change from ours.
    """

    serialize_as_secret_always = False

    def configure(self, _req: ConfigureRequest) -> None:
        """Prepare the plugin's process: the Azure SDK's own warnings would repeat every error in other words."""
        logging.getLogger("azure").addHandler(logging.NullHandler())

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse what cannot be right, as far as it is known."""
        failures: list[CheckFailure] = []

        def test(name: str, parse: Any) -> None:
            value = news.get(name)
            if isinstance(value, Unknown):
                return
            try:
                news[name] = parse(value)
            except ValueError as error:
                failures.append(CheckFailure(name, f"{name} {error}"))

        test("partner_id", parse_partner_id)
        test("tenant_id", parse_tenant_id)
        test("object_id", _parse_object_id)
        test("on_conflict", parse_on_conflict)
        test("removal", parse_removal)
        test("max_wait", parse_max_wait)
        test("credential", parse_credential)
        return CheckResult(news, failures)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Tell a change of principal, which replaces, from all others, which do not."""
        differs = {
            name: news.get(name) not in (None, _of(olds, "declared").get(name), olds.get(name))
            for name in ("tenant_id", "object_id")
        }
        # An object is in one tenant only: the same object under another tenant is the tenant's other name.
        same_object = news.get("object_id") is not None and not differs["object_id"]
        replaces = [name for name, other in differs.items() if other and not (name == "tenant_id" and same_object)]
        # Without an object id only the application tells whose link it is.
        if news.get("object_id") is None and _client_id(news) != _client_id(olds):
            replaces.append("credential")
        changes = (
            any(differs.values()) or bool(replaces) or _needs_call(olds, news) or _settings(olds) != _settings(news)
        )
        # The other order would take the new link away again where both are the same principal under other names.
        return DiffResult(changes=changes, replaces=replaces, delete_before_replace=bool(replaces))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Link the principal, or adopt the link that is there."""
        from pal_components.link.lifecycle import establish

        with _reported():
            made = establish(_operation(props, made_now=True), props["partner_id"], OnConflict(props["on_conflict"]))
        if made.origin in (Origin.ADOPTED, Origin.SWITCHED):
            _tell(f"the link of {made.link.tenant_id}/{made.link.object_id} was there already: {made.origin.value}")
        outputs = _inputs(props) | _shown(made.link)
        outputs |= {"origin": made.origin, "cloud": made.cloud, "declared": _declared(props)}
        return CreateResult(f"{made.link.tenant_id}/{made.link.object_id}", outputs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Say what the service says. A link that cannot be seen is kept as it was, and marked as not verified."""
        from pal_components.link.lifecycle import read

        try:
            link = read(_operation(props))
        except LinkError as error:
            _tell(f"warning: the link of {id_} could not be verified and is kept as it was: {error}")
            return ReadResult(id_, {**props, "verified": False})
        for line in drift(id_, props, link):
            _tell(f"warning: {line}")
        if link is None:
            return ReadResult("", {})
        return ReadResult(id_, {**props, **_shown(link)})

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Switch the link where the partner ID changed; take over all other inputs without a call."""
        from pal_components.link.lifecycle import establish

        outputs = _inputs(news) | {name: olds.get(name) for name in _READ} | {"declared": _declared(news)}
        if not _needs_call(olds, news):
            return UpdateResult(outputs)
        with _reported():
            made = establish(
                _operation({**news, "object_id": olds["object_id"], "cloud": olds.get("cloud")}),
                news["partner_id"],
                OnConflict(news["on_conflict"]),
                managed=_of(olds, "declared").get("partner_id"),
            )
        outputs |= _shown(made.link) | {"cloud": made.cloud}
        if made.origin is not None:
            outputs["origin"] = made.origin
        return UpdateResult(outputs)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the link, unless it belongs to another partner by now."""
        from pal_components.link.lifecycle import remove

        reason: str | None
        try:
            with _reported():
                operation = _operation(props)
                reason = remove(operation, _of(props, "declared").get("partner_id") or props["partner_id"])
        except LinkError as error:
            if props.get("removal") != Removal.BEST_EFFORT:
                raise
            reason = f"warning: removal is 'best_effort', so this is left to you: {error}"
        if reason is not None:
            _tell(reason)


def parse_on_conflict(value: object) -> str:
    """Return `fail` or `replace`; `fail` for nothing. Raises ValueError."""
    return _choice(value, OnConflict, OnConflict.FAIL)


def parse_removal(value: object) -> str:
    """Return `strict` or `best_effort`; `strict` for nothing. Raises ValueError."""
    return _choice(value, Removal, Removal.STRICT)


def _choice(value: object, choices: type[Enum], default: Enum) -> str:
    if value is None:
        return str(default.value)
    try:
        return str(choices(value).value)
    except ValueError:
        raise InvalidIdentifier(f"is {value!r}: use {' or '.join(repr(choice.value) for choice in choices)}") from None


def parse_max_wait(value: object) -> float:
    """Return a number of seconds; 300 for nothing. Raises ValueError."""
    if value is None:
        return DEFAULT_BUDGET
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST_WAIT:
        raise InvalidIdentifier(f"is {value!r}: give a number of seconds from 0 to {_LONGEST_WAIT}")
    return float(value)


def parse_kind(value: object) -> CredentialKind:
    """Return the kind of credential. Raises ValueError."""
    try:
        return CredentialKind(value)
    except ValueError:
        kinds = ", ".join(repr(kind.value) for kind in CredentialKind)
        raise InvalidIdentifier(f"kind is {value!r}: there are {kinds}") from None


def parse_credential(value: object) -> dict[str, Any]:
    """Return a credential that has what its kind needs, as far as it is known. Raises ValueError."""
    if not isinstance(value, Mapping):
        raise InvalidIdentifier("is missing: say how the principal signs in, at least its 'kind'")
    for name in value:
        if name not in CredentialArgs.__annotations__:
            raise InvalidIdentifier(f"has {name!r}: there are {', '.join(CredentialArgs.__annotations__)}")
    kind = value.get("kind")
    if not isinstance(kind, Unknown):
        kind = parse_kind(kind)
        missing = [
            " or ".join(names)
            for names in ((need,) if isinstance(need, str) else need for need in _NEEDS[kind])
            if all(value.get(name) in (None, "") for name in names)
        ]
        if missing:
            raise InvalidIdentifier(f"of kind '{kind.value}' needs {' and '.join(missing)}")
        kind = kind.value
    return {**{name: item for name, item in value.items() if item is not None}, "kind": kind}


def _parse_object_id(value: object) -> str | None:
    what = "the object id of the service principal (not the application's)"
    return None if value is None else parse_object_id(value, what)


def drift(id_: str, props: Mapping[str, Any], link: Link | None) -> list[str]:
    """Say in words what of a link is not as the state has it."""
    declared = _of(props, "declared").get("partner_id")
    if link is None:
        return [f"the link of {id_} to partner ID {props.get('partner_id')} is gone: the next up makes it again"]
    lines = []
    if link.partner_id != declared:
        lines.append(
            f"the link of {id_} names partner ID {link.partner_id} now, not {declared}: it was changed outside this "
            "stack. The next up switches it back where on_conflict is 'replace', and refuses otherwise"
        )
    elif isinstance(known := props.get("version"), (int, float)) and link.version not in (None, known):
        lines.append(
            f"the link of {id_} names partner ID {declared} as before, but is at version {link.version}, "
            f"not {known:.0f}: it was removed and made again, or switched away and back"
        )
    if not link.active:
        lines.append(f"the link of {id_} is {link.state}, not Active: it does not count. The next up links again")
    return lines


_READ = (
    "partner_id",
    "partner_name",
    "tenant_id",
    "object_id",
    "state",
    "version",
    "created_time",
    "updated_time",
    "origin",
    "verified",
    "cloud",
)


def _inputs(props: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in props.items() if name != _PROVIDER_KEY}


def _shown(link: Link) -> dict[str, Any]:
    return {
        "verified": True,
        "partner_id": link.partner_id,
        "partner_name": link.partner_name,
        "tenant_id": link.tenant_id,
        "object_id": link.object_id,
        "state": link.state,
        "version": link.version,
        "created_time": link.created_time,
        "updated_time": link.updated_time,
    }


def _declared(props: Mapping[str, Any]) -> dict[str, Any]:
    return {name: props.get(name) for name in ("partner_id", "tenant_id", "object_id")}


def _needs_call(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether the link itself is not as it should be."""
    declared = _of(olds, "declared").get("partner_id")
    return (
        news.get("partner_id") != declared
        or olds.get("partner_id") != declared
        or str(olds.get("state")).casefold() != "active"
    )


def _settings(props: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(props.get(name) for name in _SETTINGS)


def _of(props: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return what should be a mapping, and may be anything in a state that somebody edited."""
    value = props.get(name)
    return value if isinstance(value, Mapping) else {}


def _client_id(props: Mapping[str, Any]) -> Any:
    return _of(props, "credential").get("client_id", props.get("credential"))


def _operation(props: Mapping[str, Any], *, made_now: bool = False) -> "Operation":
    from pal_components.link.lifecycle import Operation

    try:
        credential = props["credential"]
        kind = CredentialKind(credential["kind"])
        fresh = kind not in (CredentialKind.GIVEN, CredentialKind.AMBIENT) or credential.get("enterprise_application")
        principal = Principal(
            kind=kind,
            tenant_id=parse_tenant_id(props["tenant_id"]),
            object_id=_parse_object_id(props.get("object_id")),
            deployer_environment=str(props.get("deployer_environment") or ""),
            fresh=made_now and bool(fresh),
            **{name: credential.get(name) for name in _OF_CREDENTIAL},
        )
        return Operation(principal, Waiting(parse_max_wait(props.get("max_wait"))), cloud=props.get("cloud"))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise LinkError(f"the state of this link is not as it was written: {type(error).__name__}: {error}") from None


@contextmanager
def _reported() -> Iterator[None]:
    """Let a LinkError reach the terminal as its message alone, and everything else with its traceback.

    The plugin's servicer sends the formatted traceback of what a provider raises, and knows no other way.
    """
    try:
        yield
    except LinkError as error:
        sys.tracebacklimit = 0
        raise error.with_traceback(None) from None
    except Exception:
        sys.__dict__.pop("tracebacklimit", None)
        raise


def _tell(line: str) -> None:
    """Show a line beside the stack: the engine takes what the plugin writes to standard error for information."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


class PartnerLinkArgs(TypedDict):
    """What a link is made of."""

    partner_id: pulumi.Input[str]
    """The partner's location account ID (PLA, 'Associated Partner ID'), digits only. It has no default."""
    tenant_id: pulumi.Input[str]
    """Tenant in which the principal is linked: GUID or domain."""
    credential: CredentialArgs
    """How the principal signs in to make its own link."""
    object_id: NotRequired[pulumi.Input[str]]
    """Object id of the principal, GUID: whoever else signs in is refused."""
    on_conflict: NotRequired[pulumi.Input[OnConflict]]
    """What to do with a link that names another partner: `fail` (default) or `replace`."""
    removal: NotRequired[pulumi.Input[Removal]]
    """What destroy does where the link cannot be removed: `strict` (default) fails, `best_effort` warns and goes on."""
    max_wait: NotRequired[pulumi.Input[float]]
    """How long one operation may wait in all for what is not there yet, in seconds, 0 to 3600. Default: 300."""
    deployer_environment: NotRequired[pulumi.Input[str]]
    """Prefix of the environment variables of the deploying identity, such as `CONTOSO_`. Default: none."""


class PartnerLink(Resource, module="pal", name="PartnerLink"):
    """The partner admin link of one principal: made, adopted, switched and removed as that principal.

    Its id is `<tenantId>/<objectId>`. A change of the partner ID updates it in place, a change of the principal
    replaces it, a change of the credential calls nothing.

    Source: Microsoft, Link a partner ID to your account that's used to manage customers, 2025.
    """

    partner_id: pulumi.Output[str]
    """Partner ID that the link names, digits."""
    partner_name: pulumi.Output[str | None]
    """The partner's name, where the service tells it."""
    tenant_id: pulumi.Output[str]
    """Tenant of the principal, GUID."""
    object_id: pulumi.Output[str]
    """Object id of the principal, GUID."""
    state: pulumi.Output[str]
    """`Active`, or what else the service says."""
    version: pulumi.Output[int | None]
    """The service's counter of changes."""
    created_time: pulumi.Output[str | None]
    """When the principal was linked for the first time, ISO 8601."""
    updated_time: pulumi.Output[str | None]
    """When the link changed last, ISO 8601."""
    origin: pulumi.Output[str]
    """How the link came about: `created`, `adopted` or `switched`."""
    verified: pulumi.Output[bool]
    """Whether the link was seen when it was looked for last."""
    cloud: pulumi.Output[str]
    """Name of the Azure cloud that it is in."""

    def __init__(self, name: str, args: PartnerLinkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the link. Raises InputError for an input that this component does not have."""
        only_known_keys(name, args, PartnerLinkArgs)
        inputs: dict[str, Any] = {
            "partner_id": checked(name, "partner_id", args.get("partner_id"), parse_partner_id),
            "tenant_id": checked(name, "tenant_id", args.get("tenant_id"), parse_tenant_id),
            "object_id": checked(name, "object_id", args.get("object_id"), _parse_object_id),
            "on_conflict": checked(name, "on_conflict", args.get("on_conflict"), parse_on_conflict),
            "removal": checked(name, "removal", args.get("removal"), parse_removal),
            "max_wait": checked(name, "max_wait", args.get("max_wait"), parse_max_wait),
            "credential": checked(name, "credential", args.get("credential"), parse_credential),
            "deployer_environment": args.get("deployer_environment"),
        }
        super().__init__(
            PartnerLinkProvider(),
            name,
            {**dict.fromkeys(_READ), "declared": None, **inputs},
            # It repeats inputs under another key, where the engine would not know that they are secret.
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["declared"])),
        )
