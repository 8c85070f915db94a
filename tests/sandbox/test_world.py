"""What a sandbox starts with, and how a file replaces it."""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from pal_components.sandbox import world
from pal_components.sandbox.errors import SandboxError
from pal_components.sandbox.state import State


@pytest.fixture
def state(tmp_path: Path) -> Any:
    """An empty state."""
    directory = tmp_path / "state"
    directory.mkdir()
    state = State(directory)
    yield state
    state.close()


def built_in() -> dict[str, Any]:
    """Return the built-in world's file."""
    document: dict[str, Any] = json.loads((files("pal_components.sandbox") / "world.json").read_text("utf-8"))
    return document


def written(tmp_path: Path, content: Any) -> Path:
    """Write a world file."""
    path = tmp_path / "other.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_the_built_in_world_has_what_the_guide_says(state: State) -> None:
    """Two partners with two IDs each, two customers, and one deploying identity with a principal in every tenant."""
    world.seed(state, None)
    assert {row["partner_id"]: row["kind"] for row in state.all("SELECT * FROM partner")} == {
        "4567890": "global",
        "4567891": "location",
        "5127254": "global",
        "5127255": "location",
    }
    assert [row["display_name"] for row in state.all("SELECT * FROM tenant")] == [
        "Northwind Services",
        "Contoso",
        "Fabrikam",
    ]
    everything = world.show(state, seeded=True)
    assert [row["roleName"] for row in everything["roleAssignments"]] == 2 * [
        "Role Based Access Control Administrator",
        "Contributor",
    ]
    assert len(everything["servicePrincipals"]) == 4
    assert [row["appId"] for row in everything["applications"]] == [
        "d0000000-0000-4000-8000-00000000000d",
        "e0000000-0000-4000-8000-00000000000e",
    ]
    assert set(world.show(state)) >= {"links", "servicePrincipals", "applications", "roleAssignments", "registrations"}
    assert not any(world.show(state).values())


def test_identifiers_never_change(state: State, tmp_path: Path) -> None:
    """Two sandboxes with the same world have the same objects."""
    world.seed(state, None)
    directory = tmp_path / "second"
    directory.mkdir()
    second = State(directory)
    world.seed(second, None)
    assert world.show(second, seeded=True) == world.show(state, seeded=True)
    second.close()


def test_a_file_replaces_the_world(state: State, tmp_path: Path) -> None:
    """Only what the file says is there."""
    document = built_in()
    document["partners"] = [{"partnerId": "1234568", "name": "Litware", "account": "location"}]
    document["tenants"][1]["managementGroups"].append({"name": "below", "parent": "contoso-root"})
    world.seed(state, written(tmp_path, document))
    assert [row["name"] for row in state.all("SELECT * FROM partner")] == ["Litware"]
    row = state.one("SELECT parent FROM scope WHERE name = 'below'")
    assert row is not None
    assert row["parent"].endswith("/contoso-root")


def test_a_state_keeps_the_world_it_started_with(state: State, tmp_path: Path) -> None:
    """Without a file the state's own world stays; with another one the mistake is said."""
    world.seed(state, None)
    world.seed(state, None)
    document = built_in()
    document["partners"] = []
    with pytest.raises(SandboxError, match="started with another world"):
        world.seed(state, written(tmp_path, document))


def _set(place: list[Any], value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: Any) -> None:
        for key in place[:-1]:
            document = document[key]
        document[place[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(["partners", 0, "account"], "both"), r"partners\[0\]\.account is neither global nor location: both"),
        (_set(["partners", 0, "name"], ""), r"partners\[0\]\.name is missing or no text"),
        (_set(["tenants", 1, "tenantId"], "contoso"), r"tenants\[1\]\.tenantId is no GUID: contoso"),
        (_set(["tenants"], {}), "tenants is no list"),
        (_set(["tenants", 0], 1), r"tenants\[0\] is no object"),
        (
            _set(["tenants", 1, "subscriptions", 0, "managementGroup"], "none"),
            r"tenants\[1\]\.subscriptions\[0\]\.managementGroup is none of this tenant: none",
        ),
        (
            _set(["tenants", 1, "managementGroups", 0, "parent"], "none"),
            r"tenants\[1\]\.managementGroups\[0\]\.parent is no management group named before it: none",
        ),
        (
            _set(["tenants", 1, "subscriptions", 1, "subscriptionId"], "11111111-1111-1111-1111-111111111111"),
            r"tenants\[1\]\.subscriptions\[1\]\.subscriptionId is there twice",
        ),
        (
            _set(["tenants", 1, "subscriptions", 0, "resourceGroups", 0, "resources"], ["x"]),
            r"tenants\[1\]\.subscriptions\[0\]\.resourceGroups\[0\]\.resources: x is not Namespace/type/name",
        ),
        (
            _set(["applications", 0, "servicePrincipals", 1, "roleAssignments", 0, "role"], "King"),
            r"servicePrincipals\[1\]\.roleAssignments\[0\]\.role is no built-in role: King",
        ),
        (
            _set(["applications", 0, "servicePrincipals", 1, "roleAssignments", 0, "scope"], "/x"),
            r"servicePrincipals\[1\]\.roleAssignments\[0\]\.scope is none of the tenant: /x",
        ),
        (
            _set(["applications", 0, "tenantId"], "00000000-1111-4222-8333-444444444444"),
            r"applications\[0\]\.tenantId is none of the tenants",
        ),
        (_set(["applications", 0, "secrets"], "one"), r"applications\[0\]\.secrets is no list of texts"),
        (_set(["deployer"], None), "deployer is no object"),
    ],
)
def test_a_mistake_in_a_file_is_named(
    state: State, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """The message has the file and the place in it, and nothing of the world is left behind."""
    document = built_in()
    change(document)
    path = written(tmp_path, document)
    with pytest.raises(SandboxError, match=f"^The world file {path}: .*{message}"):
        world.seed(state, path)
    assert state.all("SELECT * FROM partner") == []
    world.seed(state, None)


def test_what_is_no_world_is_refused(state: State, tmp_path: Path) -> None:
    """Missing files, text that is no JSON, and JSON that is no object."""
    with pytest.raises(SandboxError, match="cannot be read: No such file"):
        world.seed(state, tmp_path / "none.json")
    with pytest.raises(SandboxError, match="is no JSON"):
        world.seed(state, written(tmp_path, "{"))
    with pytest.raises(SandboxError, match="is no object"):
        world.seed(state, written(tmp_path, []))


def test_another_version_of_the_state_is_refused(state: State) -> None:
    """A directory that a later sandbox wrote is not guessed at."""
    state.run("PRAGMA user_version = 99")
    with pytest.raises(SandboxError, match="another version of the sandbox"):
        State(state.directory)
