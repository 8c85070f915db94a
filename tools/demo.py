"""Onboard the demo customer and offboard it again, on the real engine and the sandbox.

Whatever is shown of the customer's tenant is read back over HTTP by an identity of its own, never taken from what
Pulumi said. Every step that is not as promised ends the demo with an error.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import requests

from pal_components.sandbox.server import Sandbox

ROOT = Path(__file__).parents[1]
STACK = "demo"
PARTNER_ID = "4567891"
_ARM = "https://management.azure.com/.default"


def main() -> int:
    """Run the demo; 0 when everything was as promised."""
    with tempfile.TemporaryDirectory(prefix="pal-demo-") as folder:
        state_dir = Path(folder) / "sandbox"
        work_dir = _program(Path(folder))
        with Sandbox(state_dir) as sandbox:
            customer = Customer(sandbox)
            pulumi = Engine(work_dir, state_dir)
            _say("A local Azure is running. No tenant, no account, nothing leaves this machine.")
            pulumi.quiet("stack", "init", STACK)

            _say("pulumi up: onboard the customer")
            pulumi.run("up", "--yes", "--skip-preview", "--suppress-outputs")
            link = customer.links()
            _demand(len(link) == 1, f"one link was promised, the tenant has {len(link)}")
            _demand(link[0]["partnerId"] == PARTNER_ID, f"the link names {link[0]['partnerId']}")
            principals, applications, assignments = (
                customer.principals(),
                customer.applications(),
                customer.assignments(),
            )
            _demand(
                len(principals) == len(applications) == 1, "one application with one service principal was promised"
            )
            _demand(
                {a["principalId"] for a in assignments} == {link[0]["objectId"]} == {principals[0]["id"]},
                "the roles were promised to the linked principal",
            )
            _demand(not applications[0]["passwordCredentials"], "no secret was to stay")
            _say("What the customer's tenant says now, asked over HTTP:")
            _show("partner link", f"{link[0]['partnerId']} ({link[0]['partnerName']}), {link[0]['state']}")
            _show("service principal", f"{principals[0]['displayName']}, {principals[0]['id']}")
            _show("secrets left", "none")
            for assignment in assignments:
                _show("role", f"{assignment['roleName']} on {assignment['scope']}")
            attestation = json.loads(pulumi.quiet("stack", "output", "attestation", "--json"))
            _demand(attestation["objectId"] == link[0]["objectId"], "the evidence names another principal")
            _demand(attestation["partnerId"] == link[0]["partnerId"], "the evidence names another partner")
            _say("The evidence for the customer and the auditor (the output `attestation`):")
            sys.stdout.write(json.dumps(attestation, indent=2) + "\n")

            _say("pulumi up again: nothing to do")
            text = pulumi.run("up", "--yes", "--skip-preview", "--suppress-outputs", "--expect-no-changes")
            _demand("unchanged" in text, "no change was promised")
            _demand(customer.links() == link, "the link was touched")

            _say("pulumi destroy: offboard the customer, link first")
            pulumi.run("destroy", "--yes", "--skip-preview")
            left = {
                "links": customer.links(),
                "service principals": customer.principals(),
                "applications": customer.applications(),
                "role assignments": customer.assignments(),
            }
            _say("What is left in the customer's tenant, asked over HTTP:")
            for what, found in left.items():
                _show(what, "none" if not found else json.dumps(found))
            _demand(not any(left.values()), "nothing was to be left")
    _say("Done: onboarded, unchanged, offboarded, nothing left.")
    return 0


class Customer:
    """The customer's tenant, asked over HTTP: by the deploying identity, and for the link by its principal.

    Nobody but the principal itself can read its link.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._environment = sandbox.environment()
        self._graph = f"{sandbox.url}/graph/.default"

    def links(self) -> list[dict[str, Any]]:
        """Return the links of all service principals, each asked with a secret made for the question."""
        found = []
        for application in self.applications():
            path = f"graph/v1.0/applications/{application['id']}"
            secret = self._call("POST", f"{path}/addPassword", self._graph, json={"passwordCredential": {}}).json()
            try:
                answer = self._call(
                    "GET",
                    "providers/Microsoft.ManagementPartner/partners?api-version=2018-02-01",
                    _ARM,
                    signs_in=(application["appId"], secret["secretText"]),
                )
            finally:
                self._call("POST", f"{path}/removePassword", self._graph, json={"keyId": secret["keyId"]})
            if answer.status_code == requests.codes.ok:
                found.append(answer.json()["properties"])
        _demand(len(found) == len(self._sandbox.show()["links"]), "there are links without a service principal")
        return found

    def principals(self) -> list[dict[str, Any]]:
        """Return the service principals that are not the deploying identity's."""
        return [row for row in self._all_principals() if row["appId"] != self._environment["ARM_CLIENT_ID"]]

    def _all_principals(self) -> list[dict[str, Any]]:
        return self._get("graph/v1.0/servicePrincipals", self._graph)

    def applications(self) -> list[dict[str, Any]]:
        """Return the application registrations."""
        return self._get("graph/v1.0/applications", self._graph)

    def assignments(self) -> list[dict[str, Any]]:
        """Return the role assignments at and below the subscription, with the names of their roles."""
        scope = f"subscriptions/{self._environment['ARM_SUBSCRIPTION_ID']}/providers/Microsoft.Authorization"
        roles = {
            row["id"].rsplit("/", 1)[1]: row["properties"]["roleName"]
            for row in self._get(f"{scope}/roleDefinitions?api-version=2022-04-01", _ARM)
        }
        deployer = {row["id"] for row in self._all_principals() if row["appId"] == self._environment["ARM_CLIENT_ID"]}
        result = []
        for row in self._get(f"{scope}/roleAssignments?api-version=2022-04-01", _ARM):
            properties = row["properties"]
            if properties["principalId"] not in deployer:
                name = roles[properties["roleDefinitionId"].rsplit("/", 1)[1]]
                result.append({**properties, "roleName": name})
        return result

    def _get(self, path: str, scope: str) -> list[dict[str, Any]]:
        answer = self._call("GET", path, scope)
        answer.raise_for_status()
        return list(answer.json()["value"])

    def _call(
        self, method: str, path: str, scope: str, signs_in: tuple[str, str] | None = None, json: Any = None
    ) -> requests.Response:
        environment = self._environment
        client_id, client_secret = signs_in or (environment["ARM_CLIENT_ID"], environment["ARM_CLIENT_SECRET"])
        token = requests.post(
            f"{self._sandbox.url}/{environment['ARM_TENANT_ID']}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": client_secret,
                "scope": scope,
            },
            verify=environment["REQUESTS_CA_BUNDLE"],
            timeout=30,
        ).json()["access_token"]
        return requests.request(
            method,
            f"{self._sandbox.url}/{path}",
            headers={"Authorization": f"Bearer {token}"},
            json=json,
            verify=environment["REQUESTS_CA_BUNDLE"],
            timeout=30,
        )


class Engine:
    """Pulumi in the program's folder, through `pal sandbox run`."""

    def __init__(self, work_dir: Path, state_dir: Path) -> None:
        self._work_dir = work_dir
        self._command = [str(Path(sys.executable).with_name("pal")), "sandbox", "run", "--state", str(state_dir), "--"]
        # Neither a stack nor a plugin of the person who runs the demo is touched.
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")},
            "PULUMI_HOME": str(work_dir / ".pulumi-home"),
        }

    def run(self, *arguments: str) -> str:
        """Run a command and show what it shows."""
        with self._started(*arguments) as process:
            lines = []
            for line in process.stdout or ():
                lines.append(line)
                # The engine announces the stand-in plugins at every step; once would be enough, and the demo says it.
                if "warning: using pulumi-resource-" not in line:
                    sys.stdout.write(f"    {line}")
                    sys.stdout.flush()
        _demand(process.returncode == 0, f"pulumi {arguments[0]} failed with exit code {process.returncode}")
        return "".join(lines)

    def quiet(self, *arguments: str) -> str:
        """Run a command and return what it shows."""
        with self._started(*arguments) as process:
            text = (process.stdout.read() if process.stdout else "") or ""
        _demand(process.returncode == 0, f"pulumi {arguments[0]} failed: {text}")
        return text

    @contextmanager
    def _started(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        with subprocess.Popen(
            [*self._command, "pulumi", *arguments, "--non-interactive"],
            cwd=self._work_dir,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            yield process


def _program(folder: Path) -> Path:
    """Copy the root program: the demo leaves no trace in the checkout, and no local edit of a stack file is touched."""
    work_dir = folder / "customer-access"
    work_dir.mkdir()
    for name in ("Pulumi.yaml", f"Pulumi.{STACK}.yaml", "__main__.py"):
        shutil.copy(ROOT / name, work_dir)
    return work_dir


def _say(line: str) -> None:
    sys.stdout.write(f"\n==> {line}\n")
    sys.stdout.flush()


def _show(what: str, value: str) -> None:
    sys.stdout.write(f"    {what:<18} {value}\n")
    sys.stdout.flush()


def _demand(kept: bool, complaint: str) -> None:
    if not kept:
        _fail(complaint)


def _fail(complaint: str) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.write(f"\ndemo: not as promised: {complaint}\n")
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
