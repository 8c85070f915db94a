"""Stand-in for the azuread plugin: applications, principals, their credentials, and people, over Microsoft Graph.

The requests, their order and their bodies are those of the real plugin, so that a service sees the same from both; what
is missing are its waits (a thing is read once to be sure of it, not five times) and the resource types listed nowhere
below. Run by the Pulumi engine as `python -m pal_components.sandbox.stand_in.azuread`.
"""

import base64
import binascii
import functools
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any

from typing_extensions import override

from pal_components.sandbox.stand_in import azuread_tables as tables
from pal_components.sandbox.stand_in import schema as rules
from pal_components.sandbox.stand_in.azuread_base import GraphProvider, GraphResource, VanishedError
from pal_components.sandbox.stand_in.azuread_people import Group, GroupMember, Invitation, User, get_group, get_user
from pal_components.sandbox.stand_in.cloud import (
    Api,
    ClientSecret,
    ServiceError,
    Settings,
    SignIn,
    find_cloud,
    retry_while,
    wait_for,
)
from pal_components.sandbox.stand_in.plugin import (
    Function,
    PartlyCreatedError,
    Properties,
    ProviderError,
    Resource,
    Secret,
    State,
    serve,
)

_REFUSAL = "unexpected status {status} ({status} {reason}) with error: {code}: {message}"


class AzureAD(GraphProvider):
    """The package azuread, as far as this library needs it."""

    package = "azuread"
    settings = frozenset(
        {
            "adoPipelineServiceConnectionId",
            "clientCertificate",
            "clientCertificatePassword",
            "clientCertificatePath",
            "clientId",
            "clientIdFilePath",
            "clientSecret",
            "clientSecretFilePath",
            "disableTerraformPartnerId",
            "environment",
            "metadataHost",
            "msiEndpoint",
            "oidcRequestToken",
            "oidcRequestUrl",
            "oidcToken",
            "oidcTokenFilePath",
            "partnerId",
            "tenantId",
            "useAksWorkloadIdentity",
            "useCli",
            "useMsi",
            "useOidc",
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self._credential = ClientSecret("", "", "")
        self.resources: Mapping[str, Resource] = {
            resource.token: resource
            for resource in (
                Application(self),
                ServicePrincipal(self),
                Password(self, "applications", tables.APPLICATION_PASSWORD),
                Password(self, "servicePrincipals", tables.SERVICE_PRINCIPAL_PASSWORD),
                Certificate(self, "applications", tables.APPLICATION_CERTIFICATE),
                Certificate(self, "servicePrincipals", tables.SERVICE_PRINCIPAL_CERTIFICATE),
                FederatedIdentityCredential(self),
                User(self),
                Invitation(self),
                Group(self),
                GroupMember(self),
            )
        }
        self.functions: Mapping[str, Function] = {
            f"azuread:index/{name}:{name}": function
            for name, function in (
                ("getApplication", self._get_application),
                ("getClientConfig", self._get_client_config),
                ("getGroup", functools.partial(get_group, self)),
                ("getServicePrincipal", self._get_service_principal),
                ("getUser", functools.partial(get_user, self)),
            )
        }

    @override
    def configure(self, variables: Mapping[str, str]) -> None:
        """Find the cloud and sign in, at once, as the real plugin does."""
        settings = Settings(variables)
        cloud = find_cloud(settings)
        self._credential = _credential(settings)
        sign_in = SignIn(cloud, self._credential, discover=False)
        scope = f"{cloud.graph}/.default"
        self.caller = sign_in.claims(scope).get("oid", "")
        if not self.caller:
            raise ProviderError("the access token does not say whose it is (claim oid)")
        user_agent = f"pal-components-sandbox stand-in for pulumi-azuread/{self.version}"
        self._api = Api(cloud.graph, sign_in, scope, user_agent, _REFUSAL)

    def _get_client_config(self, _: Properties) -> Properties:
        tenant, client = self._credential.tenant, self._credential.client_id
        return {
            "id": f"{tenant}-{client}-{self.caller}",
            "clientId": client,
            "objectId": self.caller,
            "tenantId": tenant,
        }

    def _get_application(self, args: Properties) -> Properties:
        found = self.look_up(
            "application",
            "applications",
            args,
            {
                "clientId": "appId eq '{}'",
                "displayName": "displayName eq '{}'",
                "identifierUri": "identifierUris/any(uri:uri eq '{}')",
            },
        )
        outputs = Application(self).describe(found)
        web = outputs.pop("web")
        web["implicitGrants"] = [web.pop("implicitGrant")]
        for name, block in (
            ("apis", outputs.pop("api")),
            ("optionalClaims", outputs.pop("optionalClaims")),
            ("publicClients", outputs.pop("publicClient")),
            ("singlePageApplications", outputs.pop("singlePageApplication")),
            ("webs", web),
        ):
            outputs[name] = [block]
        return outputs | {"id": f"/applications/{found['id']}", "identifierUri": args.get("identifierUri", "")}

    def _get_service_principal(self, args: Properties) -> Properties:
        found = self.look_up(
            "service principal",
            "servicePrincipals",
            args,
            {"clientId": "appId eq '{}'", "displayName": "displayName eq '{}'"},
        )
        outputs = ServicePrincipal(self).describe(found, with_owners=False)
        outputs["samlSingleSignOns"] = [outputs.pop("samlSingleSignOn")]
        return outputs | {"id": f"/servicePrincipals/{found['id']}"}


def _credential(settings: Settings) -> ClientSecret:
    """Return how to sign in, in the real plugin's order: a certificate before a secret before everything else."""
    if settings.get("clientCertificate", "ARM_CLIENT_CERTIFICATE") or settings.get(
        "clientCertificatePath", "ARM_CLIENT_CERTIFICATE_PATH"
    ):
        raise ProviderError("the stand-in for azuread signs in with a client secret only; a certificate is configured")
    credential = ClientSecret(
        settings.get("tenantId", "ARM_TENANT_ID"),
        settings.get("clientId", "ARM_CLIENT_ID"),
        settings.get("clientSecret", "ARM_CLIENT_SECRET"),
    )
    missing = [
        f"{name} ({variable})"
        for name, variable, value in (
            ("tenantId", "ARM_TENANT_ID", credential.tenant),
            ("clientId", "ARM_CLIENT_ID", credential.client_id),
            ("clientSecret", "ARM_CLIENT_SECRET", credential.secret),
        )
        if not value
    ]
    if missing:
        raise ProviderError(
            "failed to load Azure credentials: the stand-in for azuread signs in with a client secret only, "
            f"and {', '.join(missing)} is not set"
        )
    return credential


class _DirectoryObject(GraphResource):
    """What applications and service principals have in common: owners, tags that are features, two API versions."""

    collection: str
    what: str

    def _path(self, object_id: str) -> str:
        return f"/v1.0/{self.collection}/{object_id}"

    def _object_id(self, resource_id: str) -> str:
        match = re.fullmatch(rf"/{self.collection}/([0-9a-fA-F-]{{36}})", resource_id)
        if not match:
            raise ProviderError(f"{resource_id!r} is no {self.what} id; one looks like /{self.collection}/<object id>")
        return match[1]

    def describe(self, found: Properties, *, with_owners: bool = True) -> Properties:
        """Return the outputs for an object that Graph returned, with what only further requests tell."""
        raise NotImplementedError

    @override
    def read(self, resource_id: str, olds: Properties, old_inputs: Properties) -> State | None:
        object_id = self._object_id(resource_id)
        found = self._graph.find(f"retrieving {self.what} {object_id}", self._path(object_id))
        return None if found is None else self._state(self.describe(found) | rules.kept(self._schema, olds), old_inputs)

    def _read_back(self, object_id: str, inputs: Properties) -> Properties:
        found = self._graph.find(f"retrieving {self.what} {object_id}", self._path(object_id))
        if found is None:
            raise VanishedError(f"{self.what} {object_id} was written, but is not found: expected non-nil state")
        return self.describe(found) | rules.kept(self._schema, inputs)

    def _owners(self, object_id: str) -> list[str]:
        path = f"{self._path(object_id)}/owners"
        return [owner["id"] for owner in self._graph.list_all(f"retrieving owners of {self.what} {object_id}", path)]

    def _create(self, body: Properties, owners: list[str], post: Callable[[Properties], Properties]) -> Properties:
        """Create the object with the caller as an owner, and further owners beyond the first twenty afterwards."""
        others = [owner for owner in owners if owner.lower() != self._provider.caller.lower()]
        first = [self._provider.caller, *others[:19]]
        created = post(body | {"owners@odata.bind": [self._reference(owner) for owner in first]})
        if not created.get("id"):
            raise ProviderError(f"creating {self.what}: the answer holds no object ID")
        return created

    def _settle_owners(self, object_id: str, owners: list[str]) -> None:
        """Add the owners that did not fit into the creation, and take the caller out unless it was asked for."""
        caller = self._provider.caller
        others = [owner for owner in owners if owner.lower() != caller.lower()]
        self._change_owners(object_id, others[19:], [caller] if len(others) == len(owners) else [])

    def _update_owners(self, object_id: str, olds: Properties, news: Properties) -> None:
        prop = self._schema["owners"]
        wanted = news.get("owners", [])
        if rules.normal(prop, olds.get("owners")) != rules.normal(prop, wanted):
            existing = self._owners(object_id)
            self._change_owners(
                object_id, [o for o in wanted if o not in existing], [o for o in existing if o not in wanted]
            )

    def _change_owners(self, object_id: str, add: list[str], remove: list[str]) -> None:
        path = f"{self._path(object_id)}/owners"
        for owner in add:
            doing = f"adding owner {owner} to {self.what} {object_id}"
            self._graph.send(doing, "POST", f"{path}/$ref", {"@odata.id": self._reference(owner)})
        for owner in remove:
            self._graph.send(f"removing owner {owner} from {self.what} {object_id}", "DELETE", f"{path}/{owner}/$ref")

    def _reference(self, owner: str) -> str:
        return f"{self._graph.base}/v1.0/directoryObjects/{owner}"

    def _body(self, olds: Properties, news: Properties) -> Properties:
        """Return the object to send; features are tags, and tags that nobody mentions stay as they are."""
        body = rules.to_wire(self._schema, news)
        body["@odata.type"] = f"#microsoft.graph.{self.collection[:-1]}"
        changed = rules.diff(self._schema, olds, news).changes
        features = next((name for name in ("featureTags", "features") if name in news and name in changed), None)
        body["tags"] = _tags(news[features]) if features else news.get("tags", olds.get("tags", []))
        return body

    def _wait_until_gone(self, object_id: str) -> None:
        doing = f"retrieving {self.what} {object_id}"
        wait_for(
            self._provider,
            f"the deletion of {self.what} {object_id}",
            lambda: True if self._graph.find(doing, self._path(object_id)) is None else None,
        )


def _tags(features: list[Properties]) -> list[str]:
    said = features[0] if features else {}
    return [
        tag
        for tag, (name, old_name, means_set) in tables.FEATURES.items()
        if said.get(name) or said.get(old_name, not means_set) is means_set
    ]


def _features(tags: list[str], *, deprecated: bool) -> list[Properties]:
    present = {tag.lower() for tag in tags}
    return [
        {
            (old_name if deprecated else name): (tag.lower() in present) is (means_set or not deprecated)
            for tag, (name, old_name, means_set) in tables.FEATURES.items()
        }
    ]


def _ids_by_value(entries: list[Properties]) -> dict[str, str]:
    return {entry["value"]: entry["id"] for entry in entries if entry["value"] and entry["id"]}


class Application(_DirectoryObject):
    """An application registration."""

    collection = "applications"
    what = "application"
    _LEFT_OUT = frozenset({"logoImage", "password", "templateId"})

    def __init__(self, provider: GraphProvider) -> None:
        super().__init__(provider, "azuread:index/application:Application", tables.APPLICATION)

    @override
    def check(self, name: str, seed: bytes, olds: Properties, news: Properties) -> tuple[Properties, list[str]]:
        inputs, failures = super().check(
            name, seed, olds, {key: value for key, value in news.items() if key not in self._LEFT_OUT}
        )
        missing = [
            f"{self.token}: the sandbox's stand-in does not offer {n}" for n in sorted(self._LEFT_OUT & news.keys())
        ]
        return inputs, failures + missing

    @override
    def plan(self, olds: Properties | None, news: Properties) -> Properties:
        if olds is None:
            self._refuse_duplicate(news)
        return super().plan(olds, news)

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        graph = self._graph
        self._refuse_duplicate(inputs)
        body = self._body({}, inputs)
        # Holding Application.ReadWrite.OwnedBy, this one can only be set on an application that exists.
        mapped_claims = body["api"].pop("acceptMappedClaims")
        owners = inputs.get("owners", [])
        created = self._create(
            body, owners, lambda body: graph.send("creating application", "POST", "/v1.0/applications", body)
        )
        object_id = created["id"]
        try:
            for name in (f"TERRAFORM_UPDATE_{uuid.uuid4()}", inputs["displayName"]):
                patch = {"@odata.type": body["@odata.type"], "displayName": name}
                retry_while(self._provider, _not_replicated, lambda patch=patch: self._patch(object_id, patch))  # type: ignore[misc]
            self._set_post_response({}, inputs, object_id)
            if mapped_claims:
                self._patch(object_id, {"api": body["api"] | {"acceptMappedClaims": True}})
            self._settle_owners(object_id, owners)
            return f"/applications/{object_id}", self._read_back(object_id, inputs)
        except VanishedError:
            raise
        except ProviderError as error:
            known = {"objectId": object_id, "clientId": created.get("appId", "")}
            raise PartlyCreatedError(str(error), f"/applications/{object_id}", inputs | known) from error

    @override
    def update(self, resource_id: str, olds: Properties, news: Properties) -> Properties:
        object_id = self._object_id(resource_id)
        with self._provider.lock(object_id):
            self._refuse_duplicate(news, object_id)
            changed = rules.diff(self._schema, olds, news).changes
            body = self._body(olds, news)
            for name, wire in (
                ("appRoles", "appRoles"),
                ("identifierUris", "identifierUris"),
                ("optionalClaims", "optionalClaims"),
                ("requiredResourceAccesses", "requiredResourceAccess"),
            ):
                if name not in changed:
                    del body[wire]
            if "appRoles" in changed:
                self._disable_first(object_id, body, "appRoles")
            scopes = tables.APPLICATION["api"].fields["oauth2PermissionScopes"]
            before, after = (p.get("api", {}).get("oauth2PermissionScopes") for p in (olds, news))
            if rules.normal(scopes, before) == rules.normal(scopes, after):
                del body["api"]["oauth2PermissionScopes"]
            else:
                self._disable_first(object_id, body, "api", "oauth2PermissionScopes")
            self._patch(object_id, body)
            self._set_post_response(olds, news, object_id)
            self._update_owners(object_id, olds, news)
            return self._read_back(object_id, news)

    @override
    def delete(self, resource_id: str, olds: Properties) -> None:
        object_id = self._object_id(resource_id)
        self._graph.send(f"deleting application {object_id}", "DELETE", self._path(object_id))
        self._wait_until_gone(object_id)

    @override
    def describe(self, found: Properties, *, with_owners: bool = True) -> Properties:
        object_id = found["id"]
        outputs = rules.from_wire(self._schema, found)
        outputs["appRoleIds"] = _ids_by_value(outputs["appRoles"])
        outputs["oauth2PermissionScopeIds"] = _ids_by_value(outputs["api"]["oauth2PermissionScopes"])
        outputs["featureTags"] = _features(outputs["tags"], deprecated=False)
        # The stable API does not know this property.
        beta = self._graph.get(
            f"retrieving additional properties of application {object_id}",
            f"/beta/applications/{object_id}",
            **{"$select": "oauth2RequirePostResponse"},
        )
        outputs["oauth2PostResponseRequired"] = bool(beta.get("oauth2RequirePostResponse"))
        if with_owners:
            outputs["owners"] = self._owners(object_id)
        return outputs

    def _patch(self, object_id: str, body: Properties, version: str = "v1.0") -> None:
        self._graph.send(f"updating application {object_id}", "PATCH", f"/{version}/applications/{object_id}", body)

    def _set_post_response(self, olds: Properties, news: Properties, object_id: str) -> None:
        name = "oauth2PostResponseRequired"
        if news.get(name, False) != olds.get(name, None if name in news else False):
            self._patch(object_id, {"oauth2RequirePostResponse": news.get(name, False)}, "beta")

    def _disable_first(self, object_id: str, body: Properties, *path: str) -> None:
        """Disable the roles or scopes that change or go: Graph refuses to touch an enabled one."""

        def entries(document: Properties) -> list[Properties]:
            for key in path:
                document = document.get(key) or {}
            return document or []  # type: ignore[return-value]

        wanted = {entry["id"]: entry for entry in entries(body)}
        existing = entries(self._graph.get(f"retrieving application {object_id}", self._path(object_id)))
        stale = [
            entry
            for entry in existing
            if entry.get("isEnabled") and any(wanted.get(entry["id"], {}).get(k) != v for k, v in entry.items() if v)
        ]
        if stale:
            patch: Any = [entry | {"isEnabled": False} if entry in stale else entry for entry in existing]
            for key in reversed(path):
                patch = {key: patch}
            self._patch(object_id, patch)

    def _refuse_duplicate(self, inputs: Properties, object_id: str = "") -> None:
        name = inputs["displayName"]
        if not inputs.get("preventDuplicateNames") or rules.unknown(name):
            return
        condition = f"displayName eq '{name}'"
        for found in self._graph.list_all("listing applications", "/v1.0/applications", **{"$filter": condition}):
            if found.get("displayName") == name and found["id"] != object_id:
                raise ProviderError(
                    f"an existing application with name {name!r} (ID: {found['id']}) was found and "
                    "preventDuplicateNames was specified. To be managed by Pulumi, it needs to be imported: "
                    f"{_import(self.token, found['id'])}"
                )


def _not_replicated(error: ServiceError) -> bool:
    return error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


def _import(token: str, object_id: str) -> str:
    collection = "applications" if token.endswith(":Application") else "servicePrincipals"
    return f"pulumi import {token} NAME /{collection}/{object_id}"


class ServicePrincipal(_DirectoryObject):
    """An application's principal in a tenant."""

    collection = "servicePrincipals"
    what = "service principal"

    def __init__(self, provider: GraphProvider) -> None:
        super().__init__(provider, "azuread:index/servicePrincipal:ServicePrincipal", tables.SERVICE_PRINCIPAL)

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        graph = self._graph
        condition = f"appId eq '{inputs['clientId']}'"
        found = graph.list_all("listing service principals", "/v1.0/servicePrincipals", **{"$filter": condition})
        if len(found) > 1:
            raise ProviderError(f"found multiple service principals matching filter: {condition}")
        if found:
            object_id = found[0]["id"]
            if not inputs.get("useExisting"):
                raise ProviderError(
                    f"a resource with the ID {object_id!r} already exists. To be managed by Pulumi, it needs to be "
                    f"imported: {_import(self.token, object_id)}"
                )
            resource_id = f"/servicePrincipals/{object_id}"
            return resource_id, self.update(resource_id, {}, inputs)
        body = self._body({}, inputs) | {"description": f"TERRAFORM_UPDATE_{uuid.uuid4()}"}
        owners = inputs.get("owners", [])

        def post(body: Properties) -> Properties:
            return retry_while(
                self._provider,
                _application_not_replicated,
                lambda: graph.send("creating service principal", "POST", "/v1.0/servicePrincipals", body),
            )

        created = self._create(body, owners, post)
        object_id = created["id"]
        try:
            patch = {"@odata.type": body["@odata.type"], "description": inputs.get("description") or None}
            graph.send(f"updating service principal {object_id}", "PATCH", self._path(object_id), patch)
            self._settle_owners(object_id, owners)
            return f"/servicePrincipals/{object_id}", self._read_back(object_id, inputs)
        except VanishedError:
            raise
        except ProviderError as error:
            known = {"objectId": object_id}
            raise PartlyCreatedError(str(error), f"/servicePrincipals/{object_id}", inputs | known) from error

    @override
    def update(self, resource_id: str, olds: Properties, news: Properties) -> Properties:
        object_id = self._object_id(resource_id)
        body = self._body(olds, news)
        del body["appId"]
        self._graph.send(f"updating service principal {object_id}", "PATCH", self._path(object_id), body)
        self._update_owners(object_id, olds, news)
        return self._read_back(object_id, news)

    @override
    def delete(self, resource_id: str, olds: Properties) -> None:
        object_id = self._object_id(resource_id)
        try:
            self._graph.send(f"deleting service principal {object_id}", "DELETE", self._path(object_id))
        except ServiceError:
            if not olds.get("useExisting"):
                raise
        if not olds.get("useExisting"):
            self._wait_until_gone(object_id)

    @override
    def describe(self, found: Properties, *, with_owners: bool = True) -> Properties:
        object_id = found["id"]
        outputs = rules.from_wire(self._schema, found)
        outputs["appRoleIds"] = _ids_by_value(outputs["appRoles"])
        outputs["oauth2PermissionScopeIds"] = _ids_by_value(outputs["oauth2PermissionScopes"])
        outputs["featureTags"] = _features(outputs["tags"], deprecated=False)
        outputs["features"] = _features(outputs["tags"], deprecated=True)
        client_id = outputs["clientId"].lower()
        outputs["servicePrincipalNames"] = [n for n in outputs["servicePrincipalNames"] if n.lower() != client_id]
        # The stable API does not know this property.
        beta = self._graph.get(
            f"retrieving additional properties of service principal {object_id}",
            f"/beta/servicePrincipals/{object_id}",
            **{"$select": "samlMetadataUrl"},
        )
        outputs["samlMetadataUrl"] = beta.get("samlMetadataUrl") or ""
        if with_owners:
            outputs["owners"] = self._owners(object_id)
        return outputs


def _application_not_replicated(error: ServiceError) -> bool:
    return (
        error.status == HTTPStatus.BAD_REQUEST and "does not reference a valid application object" in error.message
    ) or (error.status == HTTPStatus.FORBIDDEN and "the backing application of the service principal" in error.message)


class _Credential(GraphResource):
    """What passwords, certificates and federated credentials have in common: they hang on one object."""

    kind: str

    def __init__(self, provider: GraphProvider, collection: str, schema: rules.Schema) -> None:
        parent = "Application" if collection == "applications" else "ServicePrincipal"
        name = f"{parent}{type(self).__name__}"
        super().__init__(provider, f"azuread:index/{name[0].lower()}{name[1:]}:{name}", schema)
        self._collection = collection
        self._parent_property = f"{parent[0].lower()}{parent[1:]}Id"
        self._what = "application" if collection == "applications" else "service principal"

    def _path(self, object_id: str) -> str:
        return f"/v1.0/{self._collection}/{object_id}"

    def _parent(self, inputs: Properties) -> str:
        return str(inputs[self._parent_property]).rpartition("/")[2]

    def _parse(self, resource_id: str) -> tuple[str, str]:
        object_id, kind, key_id = [*resource_id.split("/"), "", ""][:3]
        if kind != self.kind or not key_id:
            raise ProviderError(
                f"{resource_id!r} is no id of {self.token}; one looks like <object id>/{self.kind}/<id>"
            )
        return object_id, key_id

    def _get(self, object_id: str) -> Properties:
        return self._graph.get(f"retrieving {self._what} {object_id}", self._path(object_id))

    def _find(self, object_id: str) -> Properties | None:
        return self._graph.find(f"retrieving {self._what} {object_id}", self._path(object_id))

    def _outputs(self, object_id: str, found: Properties, source: Properties) -> Properties:
        kept = rules.kept(self._schema, source)
        kept[self._parent_property] = f"/{self._collection}/{object_id}"
        return rules.from_wire(self._schema, found) | kept


def _entry(document: Properties, collection: str, key_id: str) -> Properties | None:
    entries = document.get(collection) or []
    return next((entry for entry in entries if str(entry.get("keyId")).lower() == key_id.lower()), None)


class Password(_Credential):
    """A client secret that the service makes up; nothing about it can be changed, and nobody can read it again."""

    kind = "password"

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        object_id = self._parent(inputs)
        with self._provider.lock(object_id):
            if self._collection == "applications" and self._find(object_id) is None:
                raise ProviderError(f"application {object_id} was not found")
            # endDateRelative is dropped, as the real plugin drops it: the service's own expiry applies.
            wanted = {
                wire: inputs[name]
                for name, wire in (
                    ("displayName", "displayName"),
                    ("startDate", "startDateTime"),
                    ("endDate", "endDateTime"),
                )
                if inputs.get(name)
            }
            added = self._graph.send(
                f"adding password for {self._what} {object_id}",
                "POST",
                f"{self._path(object_id)}/addPassword",
                {"passwordCredential": wanted},
            )
            for name in ("keyId", "secretText"):
                if not added.get(name):
                    raise ProviderError(f"adding password for {self._what} {object_id}: the answer holds no {name}")
            found = wait_for(
                self._provider,
                f"the password of {self._what} {object_id}",
                lambda: _entry(self._get(object_id), "passwordCredentials", added["keyId"]),
            )
            outputs = self._outputs(object_id, _named(found), inputs)
            return f"{object_id}/password/{added['keyId']}", outputs | {"value": Secret(added["secretText"])}

    @override
    def read(self, resource_id: str, olds: Properties, old_inputs: Properties) -> State | None:
        if not olds:
            raise ProviderError(f"{self.token} cannot be imported: the service never shows a password again")
        object_id, key_id = self._parse(resource_id)
        found = _entry(self._find(object_id) or {}, "passwordCredentials", key_id)
        if found is None:
            return None
        outputs = self._outputs(object_id, _named(found), olds) | {"value": Secret(olds.get("value"))}
        return self._state(outputs, old_inputs)

    @override
    def delete(self, resource_id: str, olds: Properties) -> None:
        object_id, key_id = self._parse(resource_id)
        with self._provider.lock(object_id):
            self._graph.send(
                f"removing password {key_id} from {self._what} {object_id}",
                "POST",
                f"{self._path(object_id)}/removePassword",
                {"keyId": key_id},
            )
            _wait_for_removal(self, object_id, "passwordCredentials", key_id)


def _named(found: Properties) -> Properties:
    """Return a password credential with its name: an old one carries it in another property, in base64."""
    if "displayName" in found or not found.get("customKeyIdentifier"):
        return found
    try:
        return found | {"displayName": base64.b64decode(found["customKeyIdentifier"], validate=True).decode()}
    except ValueError as error:
        raise ProviderError(f"parsing customKeyIdentifier of password {found['keyId']}: {error}") from error


def _wait_for_removal(credential: "Password | Certificate", object_id: str, collection: str, key_id: str) -> None:
    wait_for(
        credential._provider,
        f"the removal of {credential.kind} {key_id} from {object_id}",
        lambda: True if _entry(credential._get(object_id), collection, key_id) is None else None,
    )


class Certificate(_Credential):
    """A certificate that an application or a principal may sign in with."""

    kind = "certificate"

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        object_id = self._parent(inputs)
        key_id = inputs.get("keyId") or str(uuid.uuid4())
        new = {
            "keyId": key_id,
            "type": inputs.get("type", ""),
            "usage": "Verify",
            "key": _pem_in_base64(inputs["value"], inputs["encoding"]),
        }
        if inputs.get("startDate"):
            new["startDateTime"] = inputs["startDate"]
        end = inputs.get("endDate") or _end(inputs)
        if end:
            new["endDateTime"] = end
        resource_id = f"{object_id}/certificate/{key_id}"
        with self._provider.lock(object_id):
            document = self._find(object_id)
            if document is None:
                raise ProviderError(f"{self._what} {object_id} was not found")
            if _entry(document, "keyCredentials", key_id):
                raise ProviderError(
                    f"a resource with the ID {resource_id!r} already exists. To be managed by Pulumi, it needs to be "
                    f"imported: pulumi import {self.token} NAME {resource_id}"
                )
            doing = f"adding certificate for {self._what} {object_id}"
            self._put(doing, object_id, [*(document.get("keyCredentials") or []), new])
            found = wait_for(
                self._provider,
                f"the certificate of {self._what} {object_id}",
                lambda: _entry(self._get(object_id), "keyCredentials", key_id),
            )
        return resource_id, self._outputs(object_id, found, inputs) | {"value": Secret(inputs["value"])}

    @override
    def read(self, resource_id: str, olds: Properties, old_inputs: Properties) -> State | None:
        object_id, key_id = self._parse(resource_id)
        # An application that is gone fails the refresh of its certificate; a principal that is gone drops it.
        document = self._get(object_id) if self._collection == "applications" else self._find(object_id)
        found = _entry(document or {}, "keyCredentials", key_id)
        if found is None:
            return None
        outputs = self._outputs(object_id, found, olds)
        return self._state(outputs | ({"value": Secret(olds["value"])} if "value" in olds else {}), old_inputs)

    @override
    def delete(self, resource_id: str, olds: Properties) -> None:
        object_id, key_id = self._parse(resource_id)
        with self._provider.lock(object_id):
            document = self._get(object_id) if self._collection == "applications" else self._find(object_id)
            if document is None:
                return
            rest = [e for e in document.get("keyCredentials") or [] if str(e.get("keyId")).lower() != key_id.lower()]
            self._put(f"removing certificate {key_id} from {self._what} {object_id}", object_id, rest)
            _wait_for_removal(self, object_id, "keyCredentials", key_id)

    def _put(self, doing: str, object_id: str, credentials: list[Properties]) -> None:
        body: Properties = {
            "@odata.type": f"#microsoft.graph.{self._collection[:-1]}",
            "keyCredentials": credentials,
        }
        if self._collection == "applications":
            body["id"] = object_id
        self._graph.send(doing, "PATCH", self._path(object_id), body)


def _pem_in_base64(value: str, encoding: str) -> str:
    """Return what Graph takes for a key here: the base64 form of the whole PEM text."""
    if encoding != "pem":
        try:
            der = bytes.fromhex(value.strip()) if encoding == "hex" else base64.b64decode(value.strip(), validate=True)
        except (ValueError, binascii.Error):
            raise ProviderError(f"failed to decode {encoding} certificate data") from None
        text = base64.b64encode(der).decode()
        wrapped = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
        value = f"-----BEGIN CERTIFICATE-----\n{wrapped}\n-----END CERTIFICATE-----\n"
    return base64.b64encode(value.encode()).decode()


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def _end(inputs: Properties) -> str:
    relative = inputs.get("endDateRelative", "")
    if not relative:
        return ""
    if not re.fullmatch(rf"({_DURATION.pattern})+", relative):
        raise ProviderError(f"unable to parse endDateRelative ({relative!r}) as a duration like 240h")
    if inputs.get("startDate"):
        raise ProviderError("endDateRelative cannot be used with startDate: the real plugin fails on it too")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(relative))
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


class FederatedIdentityCredential(_Credential):
    """Trust in tokens of another issuer, in place of a secret."""

    kind = "federatedIdentityCredential"

    def __init__(self, provider: GraphProvider) -> None:
        super().__init__(provider, "applications", tables.FEDERATED_IDENTITY_CREDENTIAL)

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        object_id = self._parent(inputs)
        with self._provider.lock(object_id):
            self._get(object_id)
            created = self._graph.send(
                f"adding federated identity credential for application {object_id}",
                "POST",
                self._credentials(object_id),
                self._body(inputs),
            )
            if not created.get("id"):
                raise ProviderError(f"adding federated identity credential for application {object_id}: no ID received")
            found = wait_for(
                self._provider,
                f"federated identity credential {created['id']} of application {object_id}",
                lambda: self._find_credential(object_id, created["id"]),
            )
        return f"{object_id}/{self.kind}/{created['id']}", self._outputs(object_id, found, inputs)

    @override
    def read(self, resource_id: str, olds: Properties, old_inputs: Properties) -> State | None:
        object_id, credential_id = self._parse(resource_id)
        found = self._find_credential(object_id, credential_id)
        return None if found is None else self._state(self._outputs(object_id, found, olds), old_inputs)

    @override
    def update(self, resource_id: str, olds: Properties, news: Properties) -> Properties:
        object_id, credential_id = self._parse(resource_id)
        path = f"{self._credentials(object_id)}/{credential_id}"
        doing = f"updating federated identity credential {credential_id} of application {object_id}"
        with self._provider.lock(object_id):
            self._graph.send(doing, "PATCH", path, self._body(news) | {"id": credential_id})
        return self._outputs(object_id, self._graph.get(doing, path), news)

    @override
    def delete(self, resource_id: str, olds: Properties) -> None:
        object_id, credential_id = self._parse(resource_id)
        with self._provider.lock(object_id):
            doing = f"removing federated identity credential {credential_id} from application {object_id}"
            self._graph.send(doing, "DELETE", f"{self._credentials(object_id)}/{credential_id}")
            wait_for(
                self._provider,
                f"the removal of federated identity credential {credential_id} from {object_id}",
                lambda: True if self._find_credential(object_id, credential_id) is None else None,
            )

    def _credentials(self, object_id: str) -> str:
        return f"{self._path(object_id)}/federatedIdentityCredentials"

    def _find_credential(self, object_id: str, credential_id: str) -> Properties | None:
        doing = f"retrieving federated identity credential {credential_id} of application {object_id}"
        return self._graph.find(doing, f"{self._credentials(object_id)}/{credential_id}")

    def _body(self, inputs: Properties) -> Properties:
        body = rules.to_wire(self._schema, inputs)
        return body | {
            "@odata.type": "#microsoft.graph.federatedIdentityCredential",
            "description": inputs.get("description", ""),
        }


if __name__ == "__main__":
    serve(AzureAD())
