"""The life of a link: establish, read, remove. Each is one operation that signs in, decides, acts and signs off."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from pal_components.link.cloud import Cloud, cloud_from_environment
from pal_components.link.decide import Action, Link, OnConflict, Origin, Unreadable, decide
from pal_components.link.errors import (
    ApplicationGone,
    LinkConflict,
    LinkError,
    NoOidcToken,
    OtherCloud,
    PrincipalGone,
    RemovalBlocked,
    SignInFailed,
    TenantNotFound,
    UnreadableAnswer,
)
from pal_components.link.principal import CredentialKind, Principal
from pal_components.link.service import LinkExistsError, LinkService, NothingLinkedError
from pal_components.link.sign_in import SignedIn, signed_in
from pal_components.link.waiting import Waiting


@dataclass(frozen=True)
class Operation:
    """What one operation on a link works with."""

    principal: Principal
    """Whose link it is."""
    waiting: Waiting = field(default_factory=Waiting)
    """How long it may wait in all."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    """Where the cloud, the deploying identity and tokens come from."""
    cloud: str | None = None
    """Name of the cloud in which the link was made, or None for a new one."""


@dataclass(frozen=True)
class Established:
    """A link that is as it should be."""

    link: Link
    """The link as the service shows it."""
    origin: Origin | None
    """How it came about, or None where it was as it should be already."""
    cloud: str
    """Name of the cloud that it is in."""


_ROUNDS = 3
"""How often somebody else may change the link between looking at it and acting."""


def establish(
    operation: Operation, partner_id: str, on_conflict: OnConflict, *, managed: str | None = None
) -> Established:
    """Make the principal's link name `partner_id`.

    `managed` is the partner ID that this library set on the principal before, if any. Running it again after a crash
    at any point converges. Raises LinkConflict, with nothing changed, PartnerIdRefused, and what signing in raises.
    """
    with _session(operation) as (cloud, who, service):
        for _ in range(_ROUNDS):
            current = service.get()
            action = decide(current, partner_id, on_conflict, managed)
            if isinstance(current, Unreadable):
                raise UnreadableAnswer(f"{current.reason}. Nothing was changed")
            try:
                if action is Action.CREATE:
                    made, origin = service.put(partner_id), Origin.CREATED
                elif action is Action.SWITCH:
                    made, origin = service.patch(partner_id), Origin.SWITCHED
                elif current is None:
                    raise AssertionError(action)
                elif action is Action.REFUSE:
                    raise LinkConflict(
                        object_id=who.object_id,
                        tenant_id=who.tenant_id,
                        current=current.partner_id,
                        current_name=current.partner_name,
                        wanted=partner_id,
                    )
                else:
                    return Established(current, Origin.ADOPTED if action is Action.ADOPT else None, cloud.name)
            except (LinkExistsError, NothingLinkedError):
                # Somebody else acted since the look, or the answer to our own call was lost: look again.
                continue
            # A service that answers with success and leaves another partner's link as it was has not linked anybody.
            if made.partner_id == partner_id:
                return Established(made, origin, cloud.name)
    raise UnreadableAnswer(
        f"the service takes partner ID {partner_id} for {operation.principal} and does not show it, "
        f"after {_ROUNDS} attempts: somebody else may be changing the link"
    )


def read(operation: Operation) -> Link | None:
    """Return the principal's link, or None where nothing is linked.

    A principal or application that does not exist has no link. Raises UnreadableAnswer, and what signing in raises.
    """
    try:
        with _session(operation) as (_, _, service):
            current = service.get()
    except (ApplicationGone, PrincipalGone):
        return None
    if isinstance(current, Unreadable):
        raise UnreadableAnswer(current.reason)
    return None if current is None or current.deleted else current


def remove(operation: Operation, managed: str) -> str | None:
    """Remove the principal's link if it still names `managed`, the partner ID that this library set.

    Returns None when it was removed, else why there was nothing to remove: not linked, principal or tenant gone, or
    linked to another partner, whose link is left alone. Where the principal's own credential does not work any more, a
    fresh ephemeral secret is tried. Raises RemovalBlocked, which says how a person can finish.
    """
    principal = operation.principal
    try:
        try:
            return _remove(operation, managed)
        except (SignInFailed, NoOidcToken) as error:
            gone = isinstance(error, (PrincipalGone, TenantNotFound))
            if gone or principal.application_id is None or principal.kind is CredentialKind.EPHEMERAL:
                raise
            operation.waiting.tell(f"{error.text}: removing the link with an ephemeral secret instead")
            return _remove(replace(operation, principal=replace(principal, kind=CredentialKind.EPHEMERAL)), managed)
    except ApplicationGone:
        return f"the application of {principal} does not exist any more, and its link with it"
    except PrincipalGone:
        return f"{principal} does not exist any more, and its link with it"
    except TenantNotFound:
        return f"the tenant of {principal} does not exist any more, and the link with it"
    except LinkError as error:
        raise RemovalBlocked(principal, managed, error) from None


def _remove(operation: Operation, managed: str) -> str | None:
    asked = False
    with _session(operation) as (_, _, service):
        for _ in range(_ROUNDS):
            current = service.get()
            action = decide(current, None, managed=managed)
            if isinstance(current, Unreadable):
                raise UnreadableAnswer(f"{current.reason}. Nothing was removed")
            if current is None or action is Action.NOTHING:
                return None if asked else f"{operation.principal} was not linked any more"
            if action is Action.LEAVE:
                return (
                    f"warning: {operation.principal} is linked to partner ID {current.partner_id} by now, "
                    f"not to {managed}: that link is left alone"
                )
            if service.delete(managed):
                return None
            asked = True
    raise UnreadableAnswer(
        f"the answers to removing the link of {operation.principal} are not the service's, and the link is still there"
    )


@contextmanager
def _session(operation: Operation) -> Iterator[tuple[Cloud, SignedIn, LinkService]]:
    waiting, principal = operation.waiting, operation.principal
    cloud = waiting.run(lambda: cloud_from_environment(operation.environment))
    if operation.cloud is not None and operation.cloud != cloud.name:
        # In another cloud the tenant does not exist, which must not be taken for a link that is gone.
        raise OtherCloud(
            f"the link of {principal} was made in the cloud {operation.cloud!r}, but the environment names "
            f"{cloud.name!r}: set ARM_ENVIRONMENT or ARM_METADATA_HOSTNAME as it was"
        )
    with (
        signed_in(principal, cloud, waiting, operation.environment) as who,
        LinkService(who.credential, cloud, waiting, principal) as service,
    ):
        yield cloud, who, service
