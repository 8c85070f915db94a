"""The life of a link: establish, read, remove. Each is one operation that signs in, decides, acts and signs off."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pal_components.link.cloud import cloud_from_environment
from pal_components.link.decide import Action, Link, OnConflict, Origin, Unreadable, decide
from pal_components.link.errors import ApplicationGone, LinkConflict, PrincipalGone, UnreadableAnswer
from pal_components.link.principal import Principal
from pal_components.link.service import LinkExistsError, LinkService
from pal_components.link.sign_in import SignedIn, signed_in
from pal_components.link.waiting import Waiting


@dataclass(frozen=True)
class Established:
    """A link that is as it should be."""

    link: Link
    """The link as the service shows it."""
    origin: Origin | None
    """How it came about, or None where it was as it should be already."""


def establish(
    principal: Principal,
    partner_id: str,
    on_conflict: OnConflict,
    *,
    managed: str | None = None,
    waiting: Waiting | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Established:
    """Make the principal's link name `partner_id`.

    `managed` is the partner ID that this library set on the principal before, if any. Running it again after a crash
    at any point converges. Raises LinkConflict, with nothing changed, PartnerIdRefused, and what signing in raises.
    """
    with _session(principal, waiting, environment) as (who, service):
        current = service.get()
        action = decide(current, partner_id, on_conflict, managed)
        if action is Action.CREATE:
            try:
                return Established(service.put(partner_id), Origin.CREATED)
            except LinkExistsError:
                # Somebody else linked since the read, or the answer to our own PUT was lost: look again.
                current = service.get()
                action = decide(current, partner_id, on_conflict, managed)
        if isinstance(current, Unreadable):
            raise UnreadableAnswer(f"{current.reason}. Nothing was changed")
        if current is None or action is Action.CREATE:
            raise UnreadableAnswer(
                "the service refuses to link because of a link that it does not show. Nothing was changed"
            )
        if action is Action.ADOPT:
            return Established(current, Origin.ADOPTED)
        if action is Action.SWITCH:
            return Established(service.patch(partner_id), Origin.SWITCHED)
        if action is Action.REFUSE:
            raise LinkConflict(
                object_id=who.object_id,
                tenant_id=who.tenant_id,
                current=current.partner_id,
                current_name=current.partner_name,
                wanted=partner_id,
            )
        return Established(current, None)


def read(
    principal: Principal, *, waiting: Waiting | None = None, environment: Mapping[str, str] = os.environ
) -> Link | None:
    """Return the principal's link, or None where nothing is linked.

    A principal or application that does not exist has no link. Raises UnreadableAnswer, and what signing in raises.
    """
    try:
        with _session(principal, waiting, environment) as (_, service):
            current = service.get()
    except (ApplicationGone, PrincipalGone):
        return None
    if isinstance(current, Unreadable):
        raise UnreadableAnswer(current.reason)
    return current if current is not None and current.active else None


def remove(
    principal: Principal,
    managed: str,
    *,
    waiting: Waiting | None = None,
    environment: Mapping[str, str] = os.environ,
) -> str | None:
    """Remove the principal's link if it still names `managed`, the partner ID that this library set.

    Returns None when it was removed, else why there was nothing to remove: not linked, principal gone, or linked to
    another partner, whose link is left alone. Raises UnreadableAnswer, and what signing in raises.
    """
    try:
        with _session(principal, waiting, environment) as (_, service):
            current = service.get()
            action = decide(current, None, managed=managed)
            if isinstance(current, Unreadable):
                raise UnreadableAnswer(f"{current.reason}. Nothing was removed")
            if current is None or action is Action.NOTHING:
                return f"{principal} was not linked any more"
            if action is Action.LEAVE:
                return (
                    f"warning: {principal} is linked to partner ID {current.partner_id} by now, not to {managed}: "
                    "that link is left alone"
                )
            service.delete(managed)
            return None
    except ApplicationGone:
        return f"the application of {principal} does not exist any more, and its link with it"
    except PrincipalGone:
        return f"{principal} does not exist any more, and its link with it"


@contextmanager
def _session(
    principal: Principal, waiting: Waiting | None, environment: Mapping[str, str]
) -> Iterator[tuple[SignedIn, LinkService]]:
    waiting = waiting or Waiting()
    cloud = waiting.run(lambda: cloud_from_environment(environment))
    with (
        signed_in(principal, cloud, waiting, environment) as who,
        LinkService(who.credential, cloud, waiting, principal) as service,
    ):
        yield who, service
