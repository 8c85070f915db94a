"""What an administrator, Microsoft or time does to a world, and what is only known as a guess: set by hand."""

import uuid
from datetime import datetime, timedelta, timezone

from pal_components.sandbox.errors import GraphError, SandboxError
from pal_components.sandbox.state import State

PUT_MODES = {
    "conflict": "409 PartnerIdAlreadyLinked, and nothing changes",
    "overwrite": "200, and the link is switched",
    "ignore": "200 with the link as it was, and nothing changes",
}
SECRET_POLICIES = ("forbidden", "short")
LONGEST_SECRET = timedelta(minutes=5)
"""How long a client secret may live under the policy ``short``."""

_PUT_MODE = "put on existing"


def put_on_existing(state: State, mode: str) -> None:
    """Say what a PUT does where the caller is linked already, which was never recorded: one of ``PUT_MODES``.

    Raises:
        SandboxError: there is no such mode.
    """
    if mode not in PUT_MODES:
        raise SandboxError(f"{mode} is nothing that a PUT could do: one of {', '.join(PUT_MODES)}.")
    state.keep(_PUT_MODE, mode)


def put_mode(state: State) -> str:
    """Return what a PUT does where the caller is linked already."""
    return state.setting(_PUT_MODE) or "conflict"


def policy(state: State, tenant_id: str, *, secrets: str | None) -> None:
    """Give a tenant an app management policy for client secrets, or take it away where ``secrets`` is ``None``.

    ``forbidden`` allows none, ``short`` none that lives longer than :data:`LONGEST_SECRET`.

    Raises:
        SandboxError: there is no such policy or tenant.
    """
    if secrets not in (None, *SECRET_POLICIES):
        raise SandboxError(f"{secrets} is no policy for client secrets: one of {', '.join(SECRET_POLICIES)}.")
    with state.transaction():
        tenant_id = _tenant(state, tenant_id)
        state.run("DELETE FROM policy WHERE tenant_id = ?", tenant_id)
        if secrets is not None:
            state.run("INSERT INTO policy VALUES (?, ?, ?)", tenant_id, str(uuid.uuid4()), secrets)


def check_secret(state: State, tenant_id: str, starts: datetime, ends: datetime) -> None:
    """Refuse a new client secret that the tenant's policy does not allow.

    Raises:
        GraphError: with the code of the policy's restriction.
    """
    row = state.one("SELECT * FROM policy WHERE tenant_id = ?", tenant_id)
    if row is None:
        return
    if row["secrets"] == "forbidden":
        message = f"Credential type not allowed as per assigned policy '{row['id']}'."
        raise GraphError(400, "CredentialTypeNotAllowedAsPerAppPolicy", message)
    if ends - starts > LONGEST_SECRET:
        message = f"Credential lifetime exceeds the max value allowed as per assigned policy '{row['id']}'."
        raise GraphError(400, "CredentialInvalidLifetimeAsPerAppPolicy", message)


def remove_tenant(state: State, tenant_id: str) -> None:
    """Remove a tenant with all that is in it, as when it was deleted for good.

    Raises:
        SandboxError: there is no such tenant.
    """
    with state.transaction():
        tenant_id = _tenant(state, tenant_id)
        objects = (
            "(SELECT id FROM application WHERE tenant_id = ?1"
            " UNION SELECT id FROM service_principal WHERE tenant_id = ?1)"
        )
        for table, column in (
            ("owner", "object_id"),
            ("graph_permission", "principal_id"),
            ("password", "object_id"),
            ("certificate", "object_id"),
            ("federated_credential", "application_id"),
        ):
            state.run(f"DELETE FROM {table} WHERE {column} IN {objects}", tenant_id)  # noqa: S608 our own names
        for table in ("application", "service_principal", "role_assignment", "partner_link", "scope", "policy"):
            state.run(f"DELETE FROM {table} WHERE tenant_id = ?", tenant_id)  # noqa: S608 our own names
        state.run("DELETE FROM tenant WHERE id = ?", tenant_id)


def set_link_state(state: State, tenant_id: str, object_id: str, link_state: str) -> None:
    """Set the state of a link, which is shown like any other unless it is ``Deleted``; its counter goes up.

    Raises:
        SandboxError: the principal never had a link.
    """
    with state.transaction():
        key = (tenant_id.lower(), object_id.lower())
        if state.one("SELECT 1 FROM partner_link WHERE tenant_id = ? AND object_id = ?", *key) is None:
            raise SandboxError(f"The principal {object_id} of the tenant {tenant_id} has no link.")
        state.run(
            "UPDATE partner_link SET state = ?, version = version + 1 WHERE tenant_id = ? AND object_id = ?",
            link_state,
            *key,
        )


def expire_secrets(state: State, object_id: str, now: datetime) -> None:
    """Let every client secret of an application or service principal be expired, by its object id.

    Raises:
        SandboxError: it has none.
    """
    with state.transaction():
        if state.one("SELECT 1 FROM password WHERE object_id = ?", object_id.lower()) is None:
            raise SandboxError(f"The object {object_id} has no client secret.")
        ended = (now - timedelta(seconds=1)).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        state.run("UPDATE password SET ends = ? WHERE object_id = ?", ended, object_id.lower())


def _tenant(state: State, tenant_id: str) -> str:
    row = state.one("SELECT id FROM tenant WHERE id = ? OR default_domain = ?", tenant_id.lower(), tenant_id)
    if row is None:
        raise SandboxError(f"There is no tenant {tenant_id}.")
    return str(row["id"])
