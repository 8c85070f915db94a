"""The azuread stand-in against the sandbox, over gRPC: each resource's life, its refusals, the lookups."""

import base64
import datetime
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import empty_pb2, struct_pb2

APPLICATION = "azuread:index/application:Application"
SERVICE_PRINCIPAL = "azuread:index/servicePrincipal:ServicePrincipal"
APPLICATION_PASSWORD = "azuread:index/applicationPassword:ApplicationPassword"
SERVICE_PRINCIPAL_PASSWORD = "azuread:index/servicePrincipalPassword:ServicePrincipalPassword"
APPLICATION_CERTIFICATE = "azuread:index/applicationCertificate:ApplicationCertificate"
SERVICE_PRINCIPAL_CERTIFICATE = "azuread:index/servicePrincipalCertificate:ServicePrincipalCertificate"
FEDERATED = "azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential"
LOOKUPS = {
    "application": "azuread:index/getApplication:getApplication",
    "principal": "azuread:index/getServicePrincipal:getServicePrincipal",
}
CONTOSO = "c0000000-0000-4000-8000-000000000001"
DEPLOYER = "d0000000-0000-4000-8000-00000000000d"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@pytest.fixture(scope="module")
def me(azuread: Any) -> str:
    """The object id of the deploying identity."""
    return str(azuread.invoke("azuread:index/getClientConfig:getClientConfig")["objectId"])


@pytest.fixture
def application(azuread: Any, me: str) -> tuple[str, dict[str, Any]]:
    """An application of the deploying identity: id and outputs."""
    made: tuple[str, dict[str, Any]] = azuread.create(APPLICATION, {"displayName": "an app", "owners": [me]})
    return made


@pytest.fixture
def principal(azuread: Any, me: str, application: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The service principal of that application: id and outputs."""
    inputs = {"clientId": application[1]["clientId"], "owners": [me]}
    made: tuple[str, dict[str, Any]] = azuread.create(SERVICE_PRINCIPAL, inputs)
    return made


def certificate() -> bytes:
    """Return a self-signed certificate, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def changed(diff: Any) -> dict[str, bool]:
    """Return the changed properties of a diff, and whether each replaces."""
    return {name: name in diff.replaces for name in diff.diffs}


def test_client_config(azuread: Any, me: str) -> None:
    """The client config is that of the configuration, with the object id of the token."""
    assert azuread.invoke("azuread:index/getClientConfig:getClientConfig") == {
        "id": f"{CONTOSO}-{DEPLOYER}-{me}",
        "clientId": DEPLOYER,
        "objectId": me,
        "tenantId": CONTOSO,
    }


class TestApplication:
    """Application registrations."""

    def test_preview(self, azuread: Any) -> None:
        """A preview shows what is written and the defaults; what the service makes up is not known yet."""
        planned = azuread.preview(APPLICATION, {"displayName": UNKNOWN, "notes": "n"})
        assert planned["displayName"] == planned["clientId"] == planned["objectId"] == planned["tags"] == UNKNOWN
        assert (planned["notes"], planned["signInAudience"]) == ("n", "AzureADMyOrg")
        assert "description" not in planned

    def test_life(self, azuread: Any, directory: Any, me: str) -> None:
        """Create, see no change, find drift, change, delete."""
        wanted = {
            "displayName": "life",
            "owners": [me],
            "notes": "first",
            "featureTags": [{"hide": True, "enterprise": True}],
            "api": {"mappedClaimsEnabled": True, "requestedAccessTokenVersion": 2},
            "web": {"redirectUris": ["https://a.example/"], "implicitGrant": {"idTokenIssuanceEnabled": True}},
            "groupMembershipClaims": ["SecurityGroup", "ApplicationGroup"],
            "oauth2PostResponseRequired": True,
        }
        inputs = azuread.check(APPLICATION, wanted)
        resource_id, outputs = azuread.create(APPLICATION, wanted)
        assert resource_id == f"/applications/{outputs['objectId']}"
        assert outputs["publisherDomain"] == "contoso.onmicrosoft.com"
        assert outputs["tags"] == ["WindowsAzureActiveDirectoryIntegratedApp", "HideApp"]
        assert changed(azuread.diff(APPLICATION, inputs, outputs, inputs)) == {}
        assert azuread.read(APPLICATION, resource_id, outputs, inputs) == (outputs, inputs)

        directory.graph("PATCH", resource_id, {"notes": "outside", "description": "outside"})
        drifted, seen = azuread.read(APPLICATION, resource_id, outputs, inputs)
        assert (drifted["notes"], seen) == ("outside", inputs | {"notes": "outside"})
        assert changed(azuread.diff(APPLICATION, seen, drifted, inputs)) == {"notes": False, "description": False}

        role = {
            "id": "11111111-2222-3333-4444-555555555555",
            "allowedMemberTypes": ["Application"],
            "description": "d",
            "displayName": "Run",
            "value": "run",
        }
        updated = azuread.update(APPLICATION, resource_id, drifted, inputs | {"appRoles": [role]})
        assert (updated["notes"], updated["description"]) == ("first", "")
        assert updated["appRoleIds"] == {"run": role["id"]}
        again = azuread.update(APPLICATION, resource_id, updated, inputs | {"displayName": "renamed"})
        assert (again["displayName"], again["appRoles"]) == ("renamed", [])

        azuread.delete(APPLICATION, resource_id, again)
        assert azuread.read(APPLICATION, resource_id, again, inputs) is None

    def test_import(self, azuread: Any, application: tuple[str, dict[str, Any]], me: str) -> None:
        """An application is imported by its id, and its inputs with it."""
        resource_id, outputs = application
        assert azuread.read(APPLICATION, resource_id, {}, {}) == (outputs, {"displayName": "an app", "owners": [me]})
        with pytest.raises(azuread.Refused, match="is no application id; one looks like /applications/"):
            azuread.read(APPLICATION, outputs["objectId"], {}, {})

    def test_the_creator_does_not_stay_owner(self, azuread: Any, directory: Any) -> None:
        """Unless it is written among the owners, the identity that creates an application is taken out of them."""
        resource_id, outputs = azuread.create(APPLICATION, {"displayName": "nobody's"})
        assert outputs["owners"] == directory.graph("GET", f"{resource_id}/owners").json()["value"] == []
        # So with Application.ReadWrite.OwnedBy alone it can do nothing more with it.
        with pytest.raises(
            azuread.Refused,
            match=r"^deleting application \S+: unexpected status 403 \(403 Forbidden\) with error: "
            r"Authorization_RequestDenied: Insufficient privileges to complete the operation\.$",
        ):
            azuread.delete(APPLICATION, resource_id, outputs)

    def test_deleting_what_is_gone_is_an_error(self, azuread: Any, application: tuple[str, dict[str, Any]]) -> None:
        """The real plugin does not take 404 for success."""
        azuread.delete(APPLICATION, *application)
        with pytest.raises(azuread.Refused, match=r"deleting application .*Request_ResourceNotFound"):
            azuread.delete(APPLICATION, *application)

    def test_refuses_a_duplicate_name(self, azuread: Any, me: str) -> None:
        """With preventDuplicateNames a second application of a name is refused, at preview already."""
        wanted = {"displayName": "only one", "owners": [me], "preventDuplicateNames": True}
        azuread.create(APPLICATION, wanted)
        for attempt in (azuread.preview, azuread.create):
            with pytest.raises(azuread.Refused, match=r"'only one'.*was found.*needs to be imported: pulumi import"):
                attempt(APPLICATION, wanted)

    def test_names_what_it_does_not_offer(self, azuread: Any) -> None:
        """Inputs of the real plugin that this one leaves out are refused as such."""
        _, failures = azuread.examine(APPLICATION, {"displayName": "a", "password": {"displayName": "p"}})
        assert failures == [f"{APPLICATION}: the sandbox's stand-in does not offer password"]


class TestServicePrincipal:
    """Service principals."""

    def test_life(self, azuread: Any, directory: Any, application: tuple[str, dict[str, Any]], me: str) -> None:
        """Create, see no change, find drift, change, delete."""
        wanted = {"clientId": application[1]["clientId"], "owners": [me], "description": "for tests"}
        inputs = azuread.check(SERVICE_PRINCIPAL, wanted)
        resource_id, outputs = azuread.create(SERVICE_PRINCIPAL, wanted)
        assert resource_id == f"/servicePrincipals/{outputs['objectId']}"
        assert (outputs["applicationTenantId"], outputs["type"]) == (CONTOSO, "Application")
        assert (outputs["displayName"], outputs["description"]) == ("an app", "for tests")
        assert changed(azuread.diff(SERVICE_PRINCIPAL, inputs, outputs, inputs)) == {}

        directory.graph("PATCH", resource_id, {"accountEnabled": False})
        drifted, seen = azuread.read(SERVICE_PRINCIPAL, resource_id, outputs, inputs)
        assert seen == inputs | {"accountEnabled": False}
        assert changed(azuread.diff(SERVICE_PRINCIPAL, seen, drifted, inputs)) == {"accountEnabled": False}
        updated = azuread.update(SERVICE_PRINCIPAL, resource_id, drifted, wanted | {"notes": "n"})
        assert (updated["accountEnabled"], updated["notes"]) == (True, "n")

        other = inputs | {"clientId": DEPLOYER}
        assert changed(azuread.diff(SERVICE_PRINCIPAL, inputs, updated, other))["clientId"]
        azuread.delete(SERVICE_PRINCIPAL, resource_id, updated)
        assert azuread.read(SERVICE_PRINCIPAL, resource_id, updated, inputs) is None
        with pytest.raises(azuread.Refused, match="deleting service principal"):
            azuread.delete(SERVICE_PRINCIPAL, resource_id, updated)

    def test_refuses_one_that_exists(self, azuread: Any, principal: tuple[str, dict[str, Any]]) -> None:
        """A principal that exists is not taken over in silence: the message says how to import it."""
        resource_id, outputs = principal
        with pytest.raises(
            azuread.Refused,
            match=f"{outputs['objectId']}' already exists.*needs to be imported: pulumi import .* NAME {resource_id}$",
        ):
            azuread.create(SERVICE_PRINCIPAL, {"clientId": outputs["clientId"]})

    def test_use_existing(self, azuread: Any, principal: tuple[str, dict[str, Any]], me: str) -> None:
        """With useExisting the principal that exists is taken and overwritten, and its deletion may fail."""
        resource_id, outputs = principal
        wanted = {"clientId": outputs["clientId"], "owners": [me], "useExisting": True, "notes": "taken"}
        taken, state = azuread.create(SERVICE_PRINCIPAL, wanted)
        assert (taken, state["notes"], state["useExisting"]) == (resource_id, "taken", True)
        azuread.delete(SERVICE_PRINCIPAL, resource_id, state)
        azuread.delete(SERVICE_PRINCIPAL, resource_id, state)

    def test_needs_an_application(self, azuread: Any) -> None:
        """The client id is a GUID, and that of an application."""
        _, failures = azuread.examine(SERVICE_PRINCIPAL, {"clientId": "app"})
        assert failures == [f"{SERVICE_PRINCIPAL}: clientId must be a GUID"]


class TestPassword:
    """Client secrets, on the application and on the principal."""

    @pytest.mark.parametrize("on", ["application", "principal"])
    def test_life(self, azuread: Any, request: pytest.FixtureRequest, on: str) -> None:
        """Create, keep the value through a refresh as a secret, replace on any change, delete."""
        owner_id, owner = request.getfixturevalue(on)
        token, parent = (
            (APPLICATION_PASSWORD, "applicationId")
            if on == "application"
            else (SERVICE_PRINCIPAL_PASSWORD, "servicePrincipalId")
        )
        wanted = {parent: owner_id, "displayName": "p", "rotateWhenChanged": {"generation": "1"}}
        planned = azuread.preview(token, wanted)
        assert planned["value"] == planned["keyId"] == planned["endDate"] == UNKNOWN

        inputs = azuread.check(token, wanted)
        answer = azuread.raw_create(token, inputs)
        assert is_secret(answer.properties, "value")
        resource_id, outputs = azuread.create(token, wanted)
        assert resource_id == f"{owner['objectId']}/password/{outputs['keyId']}"
        assert outputs["displayName"] == "p"
        assert changed(azuread.diff(token, inputs, outputs, inputs)) == {}
        assert azuread.read(token, resource_id, outputs, inputs) == (outputs, inputs)
        news = inputs | {"rotateWhenChanged": {"generation": "2"}, "displayName": "q"}
        diff = azuread.diff(token, inputs, outputs, news)
        assert changed(diff) == {"rotateWhenChanged": True, "displayName": True}
        assert not diff.deleteBeforeReplace

        azuread.delete(token, resource_id, outputs)
        assert azuread.read(token, resource_id, outputs, inputs) is None
        with pytest.raises(azuread.Refused, match="removing password"):
            azuread.delete(token, resource_id, outputs)
        with pytest.raises(azuread.Refused, match="cannot be imported"):
            azuread.read(token, resource_id, {}, {})

    def test_a_relative_end_is_dropped(self, azuread: Any, application: tuple[str, dict[str, Any]]) -> None:
        """The real plugin never sends endDateRelative, so the service's own two years apply."""
        wanted = {"applicationId": application[0], "endDateRelative": "1h"}
        _, outputs = azuread.create(APPLICATION_PASSWORD, wanted)
        lifetime = datetime.datetime.fromisoformat(outputs["endDate"].replace("Z", "+00:00")) - datetime.datetime.now(
            datetime.timezone.utc
        )
        assert lifetime > datetime.timedelta(days=700)
        assert outputs["endDateRelative"] == "1h"

    def test_an_end_is_kept_as_it_was_written(self, azuread: Any, application: tuple[str, dict[str, Any]]) -> None:
        """Dates come back as they were written: nothing would make up for another form."""
        wanted = {"applicationId": application[0], "endDate": "2031-01-01T00:00:00Z"}
        _, outputs = azuread.create(APPLICATION_PASSWORD, wanted)
        assert outputs["endDate"] == wanted["endDate"]

    @pytest.mark.parametrize(
        ("inputs", "said"),
        [
            (
                {"applicationId": "d0000000-0000-4000-8000-00000000000d"},
                "applicationId must be an id like /applications/",
            ),
            ({"endDate": "2031"}, "endDate must be an RFC 3339 time"),
            (
                {"endDate": "2031-01-01T00:00:00Z", "endDateRelative": "1h"},
                "endDate and endDateRelative cannot both be",
            ),
            ({"rotateWhenChanged": "x"}, "rotateWhenChanged must be a map of strings"),
        ],
    )
    def test_refuses_mistakes(self, azuread: Any, inputs: dict[str, Any], said: str) -> None:
        """Mistakes are found before anything is asked of the service."""
        correct = {"applicationId": "/applications/d0000000-0000-4000-8000-00000000000d"}
        _, failures = azuread.examine(APPLICATION_PASSWORD, correct | inputs)
        assert len(failures) == 1
        assert said in failures[0]

    def test_an_application_that_is_gone(self, azuread: Any, application: tuple[str, dict[str, Any]]) -> None:
        """No application: creating says so, reading drops the password from the state."""
        resource_id, outputs = azuread.create(APPLICATION_PASSWORD, {"applicationId": application[0]})
        azuread.delete(APPLICATION, *application)
        assert azuread.read(APPLICATION_PASSWORD, resource_id, outputs, {"applicationId": application[0]}) is None
        with pytest.raises(azuread.Refused, match=rf"application {application[1]['objectId']} was not found"):
            azuread.create(APPLICATION_PASSWORD, {"applicationId": application[0]})


class TestCertificate:
    """Certificates, on the application and on the principal."""

    @pytest.mark.parametrize("on", ["application", "principal"])
    def test_life(self, azuread: Any, request: pytest.FixtureRequest, on: str) -> None:
        """Create, read without change, import, delete; only replacement, no change in place."""
        owner_id, owner = request.getfixturevalue(on)
        token, parent = (
            (APPLICATION_CERTIFICATE, "applicationId")
            if on == "application"
            else (SERVICE_PRINCIPAL_CERTIFICATE, "servicePrincipalId")
        )
        pem = certificate()
        wanted = {parent: owner_id, "type": "AsymmetricX509Cert", "value": pem.decode()}
        inputs = azuread.check(token, wanted)
        assert is_secret(azuread.raw_create(token, inputs).properties, "value")
        resource_id, outputs = azuread.create(token, wanted)
        assert resource_id == f"{owner['objectId']}/certificate/{outputs['keyId']}"
        assert (outputs["encoding"], outputs["value"]) == ("pem", pem.decode())
        assert outputs["endDate"] > outputs["startDate"]
        assert changed(azuread.diff(token, inputs, outputs, inputs)) == {}
        assert azuread.read(token, resource_id, outputs, inputs) == (outputs, inputs)
        imported, _ = azuread.read(token, resource_id, {}, {})
        assert imported == {name: value for name, value in outputs.items() if name != "value"}
        assert changed(azuread.diff(token, inputs, outputs, inputs | {"value": "other"})) == {"value": True}
        with pytest.raises(azuread.Refused, match=r"already exists.*needs to be imported: pulumi import"):
            azuread.create(token, wanted | {"keyId": outputs["keyId"]})
        azuread.delete(token, resource_id, outputs)
        assert azuread.read(token, resource_id, outputs, inputs) is None

    def test_encodings(self, azuread: Any, directory: Any, application: tuple[str, dict[str, Any]]) -> None:
        """PEM, base64 and hexadecimal DER are the same certificate."""
        pem = certificate()
        der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
        values = {"pem": pem.decode(), "base64": base64.b64encode(der).decode(), "hex": der.hex()}
        for encoding, value in values.items():
            azuread.create(
                APPLICATION_CERTIFICATE,
                {"applicationId": application[0], "type": "AsymmetricX509Cert", "encoding": encoding, "value": value},
            )
        keys = directory.graph("GET", application[0]).json()["keyCredentials"]
        assert len(keys) == 3
        assert len({(key["startDateTime"], key["endDateTime"], key.get("customKeyIdentifier")) for key in keys}) == 1
        with pytest.raises(azuread.Refused, match=r"^failed to decode hex certificate data$"):
            azuread.create(
                APPLICATION_CERTIFICATE,
                {"applicationId": application[0], "type": "AsymmetricX509Cert", "encoding": "hex", "value": "xyz"},
            )

    def test_two_at_once(self, azuread: Any, directory: Any, application: tuple[str, dict[str, Any]]) -> None:
        """The list of certificates is written as a whole, so two that are made at once must not lose each other."""
        pem = certificate().decode()
        inputs = azuread.check(
            APPLICATION_CERTIFICATE,
            {"applicationId": application[0], "type": "AsymmetricX509Cert", "value": pem},
        )
        with ThreadPoolExecutor(4) as pool:
            made = [pool.submit(azuread.raw_create, APPLICATION_CERTIFICATE, inputs) for _ in range(4)]
            wait(made, timeout=20)
            if any(not one.done() for one in made):
                azuread.call("Cancel", empty_pb2.Empty())
        assert len(directory.graph("GET", application[0]).json()["keyCredentials"]) == 4

    def test_an_application_that_is_gone_fails_the_refresh(
        self, azuread: Any, application: tuple[str, dict[str, Any]]
    ) -> None:
        """Reading the certificate of an application that is gone is an error, as with the real plugin."""
        wanted = {"applicationId": application[0], "type": "AsymmetricX509Cert", "value": certificate().decode()}
        resource_id, outputs = azuread.create(APPLICATION_CERTIFICATE, wanted)
        azuread.delete(APPLICATION, *application)
        with pytest.raises(azuread.Refused, match="retrieving application"):
            azuread.read(APPLICATION_CERTIFICATE, resource_id, outputs, wanted)


class TestFederatedIdentityCredential:
    """Trust in another issuer's tokens."""

    def test_life(self, azuread: Any, application: tuple[str, dict[str, Any]]) -> None:
        """Create, see no change, change in place or by replacement, delete."""
        wanted = {
            "applicationId": application[0],
            "displayName": "pipeline",
            "issuer": "https://issuer.example",
            "subject": "repo:northwind/infra",
            "audiences": ["api://AzureADTokenExchange"],
        }
        inputs = azuread.check(FEDERATED, wanted)
        resource_id, outputs = azuread.create(FEDERATED, wanted)
        object_id = application[1]["objectId"]
        assert resource_id == f"{object_id}/federatedIdentityCredential/{outputs['credentialId']}"
        assert changed(azuread.diff(FEDERATED, inputs, outputs, inputs)) == {}
        assert azuread.read(FEDERATED, resource_id, {}, {}) == (outputs, inputs)
        news = inputs | {"subject": "repo:northwind/other", "description": "d"}
        assert changed(azuread.diff(FEDERATED, inputs, outputs, news)) == {"subject": False, "description": False}
        updated = azuread.update(FEDERATED, resource_id, outputs, news)
        assert (updated["subject"], updated["description"]) == ("repo:northwind/other", "d")
        assert changed(azuread.diff(FEDERATED, news, updated, news | {"displayName": "x"})) == {"displayName": True}
        azuread.delete(FEDERATED, resource_id, updated)
        assert azuread.read(FEDERATED, resource_id, updated, inputs) is None

    def test_one_audience(self, azuread: Any, application: tuple[str, dict[str, Any]]) -> None:
        """The service takes one audience only."""
        _, failures = azuread.examine(
            FEDERATED,
            {
                "applicationId": application[0],
                "displayName": "p",
                "issuer": "https://issuer.example",
                "subject": "s",
                "audiences": ["one", "two"],
            },
        )
        assert failures == [f"{FEDERATED}: audiences must be a list of one string"]


class TestLookups:
    """getApplication and getServicePrincipal."""

    @pytest.mark.parametrize("of", ["application", "principal"])
    @pytest.mark.parametrize("by", ["clientId", "objectId"])
    def test_finds(self, azuread: Any, request: pytest.FixtureRequest, of: str, by: str) -> None:
        """What is found is described as the resource is."""
        resource_id, outputs = request.getfixturevalue(of)
        found = azuread.invoke(LOOKUPS[of], **{by: outputs[by]})
        assert found["id"] == resource_id
        same = ("clientId", "objectId", "displayName", "tags", "signInAudience")
        assert {name: found[name] for name in same} == {name: outputs[name] for name in same}

    def test_blocks_are_lists(self, azuread: Any, application: tuple[str, dict[str, Any]]) -> None:
        """Where the resource has one object the function has a list of one."""
        found = azuread.invoke(LOOKUPS["application"], clientId=application[1]["clientId"])
        assert found["apis"] == [application[1]["api"]]
        assert found["webs"][0]["implicitGrants"] == [application[1]["web"]["implicitGrant"]]

    def test_needs_exactly_one(self, azuread: Any, application: tuple[str, dict[str, Any]]) -> None:
        """One way to look it up, and one hit."""
        token = LOOKUPS["application"]
        with pytest.raises(azuread.Refused, match="exactly one of clientId, displayName, identifierUri, objectId"):
            azuread.invoke(token)
        with pytest.raises(azuread.Refused, match="found no application matching filter: displayName eq 'O''Neill'"):
            azuread.invoke(token, displayName="O'Neill")
        azuread.create(APPLICATION, {"displayName": application[1]["displayName"]})
        with pytest.raises(azuread.Refused, match="found more than one application matching filter"):
            azuread.invoke(token, displayName=application[1]["displayName"])
        with pytest.raises(azuread.Refused, match="application has no input clientid; did you mean clientId"):
            azuread.invoke(token, clientid="x")


def is_secret(properties: struct_pb2.Struct, name: str) -> bool:
    """Return whether the engine is told to encrypt a property."""
    marks = properties.fields[name].struct_value.fields
    return bool(marks["4dabf18193072939515e22adb298388d"].string_value == "1b47061264138c4ac30d75fd1eb44270")
