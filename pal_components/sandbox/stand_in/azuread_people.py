"""Users, invitations, groups and members in the stand-in for azuread: the real plugin's requests, in its order."""

import re
import uuid
from http import HTTPStatus
from typing import Any

from typing_extensions import override

from pal_components.sandbox.stand_in import azuread_people_tables as tables
from pal_components.sandbox.stand_in import schema as rules
from pal_components.sandbox.stand_in.azuread_base import GraphProvider, GraphResource
from pal_components.sandbox.stand_in.cloud import ServiceError, wait_for
from pal_components.sandbox.stand_in.plugin import (
    PartlyCreatedError,
    Properties,
    ProviderError,
    Secret,
    State,
)

_POLICIES = {"disableStrongPassword": "DisableStrongPassword", "disablePasswordExpiration": "DisablePasswordExpiration"}
_ADDITIONAL = (
    *("accountEnabled", "ageGroup", "city", "companyName", "consentProvidedForMinor", "country", "department"),
    *("employeeHireDate", "employeeId", "employeeOrgData", "employeeType", "faxNumber", "mailNickname"),
    *("onPremisesImmutableId", "otherMails", "passwordPolicies", "postalCode", "state", "streetAddress"),
    "usageLocation",
)


class _Person(GraphResource):
    """What users and groups have in common: their id, and inputs that the stand-in leaves to the real plugin."""

    collection: str
    left_out: frozenset[str]

    @override
    def check(self, name: str, seed: bytes, olds: Properties, news: Properties) -> tuple[Properties, list[str]]:
        offered = {key: value for key, value in news.items() if key not in self.left_out}
        inputs, failures = super().check(name, seed, olds, offered)
        return inputs, failures + [
            f"{self.token}: the sandbox's stand-in does not offer {key}" for key in sorted(self.left_out & news.keys())
        ]

    def _object_id(self, resource_id: str) -> str:
        match = re.fullmatch(rf"/{self.collection}/([0-9a-fA-F-]{{36}})", resource_id)
        if not match:
            raise ProviderError(
                f"{resource_id!r} is no id of {self.token}: one looks like /{self.collection}/<object id>"
            )
        return match[1]

    def _wait_until_gone(self, what: str, path: str) -> None:
        wait_for(
            self._provider,
            f"the deletion of {what}",
            lambda: True if self._graph.find(f"retrieving {what}", path) is None else None,
        )


class User(_Person):
    """A member of the directory, who signs in with a password."""

    collection = "users"
    left_out = frozenset({"managerId"})

    def __init__(self, provider: GraphProvider) -> None:
        super().__init__(provider, "azuread:index/user:User", tables.USER)

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        if not inputs.get("password"):
            raise ProviderError("`password` is required when creating a new user")
        name = inputs["userPrincipalName"]
        body = self._body({}, {"mailNickname": name.partition("@")[0]} | inputs)
        body["passwordProfile"] = _password_profile(inputs)
        created = self._graph.send(f"creating user {name!r}", "POST", "/v1.0/users", body)
        if not created.get("id"):
            raise ProviderError(f"creating user {name!r}: the answer holds no object ID")
        object_id = created["id"]
        try:
            self._show_in_address_list(object_id, inputs)
            return f"/users/{object_id}", self._outputs(self._get(object_id), inputs)
        except ProviderError as error:
            raise PartlyCreatedError(str(error), f"/users/{object_id}", inputs | {"objectId": object_id}) from error

    @override
    def read(self, resource_id: str, olds: Properties, old_inputs: Properties) -> State | None:
        object_id = self._object_id(resource_id)
        found = self._graph.find(f"retrieving user {object_id}", f"/v1.0/users/{object_id}")
        return None if found is None else self._state(self._outputs(found, olds), old_inputs)

    @override
    def update(self, resource_id: str, olds: Properties, news: Properties) -> Properties:
        object_id = self._object_id(resource_id)
        body = self._body(olds, news)
        if news.get("password") and news["password"] != olds.get("password"):
            body["passwordProfile"] = _password_profile(news)
        shown = news.get("showInAddressList") != olds.get("showInAddressList")
        if shown:
            body["showInAddressList"] = news["showInAddressList"]
        self._graph.send(f"updating user {object_id}", "PATCH", f"/v1.0/users/{object_id}", body)
        if shown:
            self._show_in_address_list(object_id, news)
        return self._outputs(self._get(object_id), {"password": olds.get("password")} | news)

    @override
    def delete(self, resource_id: str, olds: Properties) -> None:
        object_id = self._object_id(resource_id)
        path = f"/v1.0/users/{object_id}"
        self._graph.send(f"deleting user {object_id}", "DELETE", path)
        self._wait_until_gone(f"user {object_id}", path)

    def _get(self, object_id: str) -> Properties:
        return self._graph.get(f"retrieving user {object_id}", f"/v1.0/users/{object_id}")

    def _show_in_address_list(self, object_id: str, inputs: Properties) -> None:
        body = {"showInAddressList": inputs.get("showInAddressList", True)}
        # The stable API does not keep this property.
        self._graph.send(f"updating user {object_id}", "PATCH", f"/beta/users/{object_id}", body)

    def _body(self, olds: Properties, news: Properties) -> Properties:
        """Return the object to send; what the service chose and the program does not mention stays as it is."""
        computed = {name: olds[name] for name, prop in self._schema.items() if prop.computed and olds.get(name)}
        body = rules.to_wire(self._schema, computed | news)
        for name, wire in (
            ("businessPhones", "businessPhones"),
            ("employeeHireDate", "employeeHireDate"),
            ("onpremisesImmutableId", "onPremisesImmutableId"),
        ):
            if news.get(name) in (None, "", olds.get(name)):
                del body[wire]
        if olds and news.get("mail") in (None, "", olds.get("mail")):
            del body["mail"]
        policies = [policy for name, policy in _POLICIES.items() if news.get(name)]
        return body | {"@odata.type": "#microsoft.graph.user", "passwordPolicies": ", ".join(policies) or None}

    def _outputs(self, found: Properties, source: Properties) -> Properties:
        outputs = describe_user(self._provider, self._schema, found)
        kept = rules.kept(self._schema, source)
        return outputs | kept | {"password": Secret(source["password"]) if source.get("password") else None}


def _password_profile(inputs: Properties) -> Properties:
    force = inputs.get("forcePasswordChange", False)
    return {"forceChangePasswordNextSignIn": force, "password": inputs["password"]}


def describe_user(provider: GraphProvider, schema: rules.Schema, found: Properties) -> Properties:
    """Return the outputs for a user that Graph returned, with what only further requests tell."""
    object_id = found["id"]
    doing = f"retrieving additional fields of user {object_id}"
    graph = provider.graph
    extra = graph.get(doing, f"/v1.0/users/{object_id}", **{"$select": ",".join(_ADDITIONAL)})
    outputs = rules.from_wire(schema, {**found, **extra})
    policies = {policy.strip().lower() for policy in (extra.get("passwordPolicies") or "").split(",")}
    outputs |= {name: policy.lower() in policies for name, policy in _POLICIES.items()}
    beta = graph.get(doing, f"/beta/users/{object_id}", **{"$select": "showInAddressList"})
    outputs["showInAddressList"] = bool(beta.get("showInAddressList"))
    manager = graph.find(f"retrieving the manager of user {object_id}", f"/v1.0/users/{object_id}/manager") or {}
    # Read from an answer that was not asked for it: empty for everybody, as with the real plugin.
    return outputs | {"managerId": manager.get("id", ""), "externalUserState": ""}


class Invitation(GraphResource):
    """The invitation of a guest; the guest goes with it."""

    def __init__(self, provider: GraphProvider) -> None:
        super().__init__(provider, "azuread:index/invitation:Invitation", tables.INVITATION)

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        body = {
            "invitedUserEmailAddress": inputs["userEmailAddress"],
            "inviteRedirectUrl": inputs["redirectUrl"],
            "invitedUserType": inputs["userType"],
        }
        if inputs.get("userDisplayName"):
            body["invitedUserDisplayName"] = inputs["userDisplayName"]
        if "message" in inputs:
            body |= {"sendInvitationMessage": True, "invitedUserMessageInfo": _message(inputs["message"])}
        doing = f"inviting {inputs['userEmailAddress']}"
        made = self._graph.send(doing, "POST", "/v1.0/invitations", body)
        user_id = (made.get("invitedUser") or {}).get("id")
        if not (made.get("id") and user_id and made.get("inviteRedeemUrl")):
            raise ProviderError(f"{doing}: the answer lacks the invitation's id, its user's id or the redeem URL")
        known = inputs | {"userId": user_id, "redeemUrl": made["inviteRedeemUrl"]}
        try:
            for company in (f"TERRAFORM_UPDATE_{uuid.uuid4()}", None):
                self._graph.send(
                    f"updating user {user_id}", "PATCH", f"/v1.0/users/{user_id}", {"companyName": company}
                )
            found = self._graph.get(f"retrieving user {user_id}", f"/v1.0/users/{user_id}")
        except ProviderError as error:
            raise PartlyCreatedError(str(error), made["id"], known) from error
        return made["id"], known | {"userEmailAddress": found.get("mail") or ""}

    @override
    def read(self, resource_id: str, olds: Properties, old_inputs: Properties) -> State | None:
        if not olds:
            raise ProviderError(f"{self.token} cannot be imported: the service never shows an invitation again")
        user_id = olds.get("userId", "")
        found = self._graph.find(f"retrieving user {user_id}", f"/v1.0/users/{user_id}") if user_id else {}
        # A guest who is gone leaves the invitation in the state, without a user: so the real plugin has it.
        told = {"userId": ""} if found is None else {"userEmailAddress": found.get("mail") or ""}
        return self._state(olds | told, old_inputs)

    @override
    def delete(self, resource_id: str, olds: Properties) -> None:
        user_id = olds.get("userId", "")
        path = f"/v1.0/users/{user_id}"
        self._graph.send(f"deleting invited user {user_id}", "DELETE", path)
        wait_for(
            self._provider,
            f"the deletion of user {user_id}",
            lambda: True if self._graph.find("retrieving the invited user", path) is None else None,
        )


def _message(message: Properties) -> Properties:
    info: Properties = {}
    if message.get("additionalRecipients"):
        info["ccRecipients"] = [{"emailAddress": {"address": address}} for address in message["additionalRecipients"]]
    for name, wire in (("body", "customizedMessageBody"), ("language", "messageLanguage")):
        if message.get(name):
            info[wire] = message[name]
    return info


class Group(_Person):
    """A security group."""

    collection = "groups"
    left_out = frozenset(tables.GROUP_LEFT_OUT)

    def __init__(self, provider: GraphProvider) -> None:
        super().__init__(provider, "azuread:index/group:Group", tables.GROUP)

    @override
    def check(self, name: str, seed: bytes, olds: Properties, news: Properties) -> tuple[Properties, list[str]]:
        inputs, failures = super().check(name, seed, olds, news)
        if not {"mailEnabled", "securityEnabled"} & news.keys():
            failures.append(f"{self.token}: one of mailEnabled, securityEnabled must be specified")
        if news.get("mailEnabled") is True:
            failures.append(f"{self.token}: the sandbox's stand-in does not offer mailEnabled groups")
        return inputs, failures

    @override
    def plan(self, olds: Properties | None, news: Properties) -> Properties:
        if olds is None:
            self._refuse_duplicate(news)
        return super().plan(olds, news)

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        self._refuse_duplicate(inputs)
        caller = self._provider.caller
        wanted = self._existing_owners(inputs.get("owners", []))
        owners = sorted(wanted, key=lambda owner: owner.lower() != caller.lower()) or [caller]
        nickname = {"mailNickname": inputs.get("mailNickname") or uuid.uuid4().hex[:9]}
        body = rules.to_wire(self._schema, inputs | nickname) | tables.GROUP_FIXED
        body["owners@odata.bind"] = [self._reference(owner) for owner in owners[:20]]
        if not inputs.get("visibility"):
            del body["visibility"]
        created = self._graph.send(f"creating group {inputs['displayName']!r}", "POST", "/beta/groups", body)
        if not created.get("id"):
            raise ProviderError(f"creating group {inputs['displayName']!r}: the answer holds no object ID")
        object_id = created["id"]
        try:
            for name in (f"TERRAFORM_UPDATE_{uuid.uuid4()}", inputs["displayName"]):
                self._patch(object_id, {"displayName": name})
            self._add(object_id, "owners", owners[20:])
            self._add(object_id, "members", inputs.get("members", []))
            return f"/groups/{object_id}", self._outputs(self._get(object_id), inputs)
        except ProviderError as error:
            raise PartlyCreatedError(str(error), f"/groups/{object_id}", inputs | {"objectId": object_id}) from error

    @override
    def read(self, resource_id: str, olds: Properties, old_inputs: Properties) -> State | None:
        object_id = self._object_id(resource_id)
        found = self._graph.find(f"retrieving group {object_id}", self._path(object_id))
        return None if found is None else self._state(self._outputs(found, olds), old_inputs)

    @override
    def update(self, resource_id: str, olds: Properties, news: Properties) -> Properties:
        object_id = self._object_id(resource_id)
        with self._provider.lock(object_id):
            body = {
                "description": news.get("description") or None,
                "displayName": news["displayName"],
                "mailEnabled": news.get("mailEnabled", False),
                "membershipRule": None,
                "securityEnabled": news.get("securityEnabled", False),
            }
            if news.get("visibility", olds.get("visibility")) != olds.get("visibility"):
                body["visibility"] = news["visibility"]
            self._patch(object_id, body)
            for name in ("members", "owners"):
                if name in news:
                    existing = self._ids(object_id, name)
                    # Additions first: a group must not be without an owner in between.
                    self._add(object_id, name, [one for one in news[name] if one not in existing])
                    self._remove(object_id, name, [one for one in existing if one not in news[name]])
            return self._outputs(self._get(object_id), news)

    @override
    def delete(self, resource_id: str, olds: Properties) -> None:
        object_id = self._object_id(resource_id)
        self._get(object_id)
        self._graph.send(f"deleting group {object_id}", "DELETE", self._path(object_id))
        self._wait_until_gone(f"group {object_id}", self._path(object_id))

    def _path(self, object_id: str) -> str:
        return f"/beta/groups/{object_id}"

    def _get(self, object_id: str) -> Properties:
        return self._graph.get(f"retrieving group {object_id}", self._path(object_id))

    def _patch(self, object_id: str, body: Properties) -> None:
        self._graph.send(f"updating group {object_id}", "PATCH", self._path(object_id), body)

    def _ids(self, object_id: str, name: str) -> list[str]:
        found = self._graph.list_all(f"listing {name} of group {object_id}", f"{self._path(object_id)}/{name}")
        return [entry["id"] for entry in found]

    def _existing_owners(self, owners: list[str]) -> list[str]:
        """Return the owners that are users or service principals: the real plugin leaves others out without a word."""
        kinds = ("#microsoft.graph.user", "#microsoft.graph.servicePrincipal")
        caller = self._provider.caller.lower()
        return [
            owner
            for owner in owners
            if owner.lower() == caller
            or self._graph.get(f"retrieving owner {owner}", f"/v1.0/directoryObjects/{owner}").get("@odata.type")
            in kinds
        ]

    def _reference(self, object_id: str) -> str:
        return f"{self._graph.base}/beta/directoryObjects/{object_id}"

    def _add(self, object_id: str, name: str, ids: list[str]) -> None:
        for one in ids:
            doing = f"adding {one} to the {name} of group {object_id}"
            self._graph.send(doing, "POST", f"{self._path(object_id)}/{name}/$ref", {"@odata.id": self._reference(one)})

    def _remove(self, object_id: str, name: str, ids: list[str]) -> None:
        for one in ids:
            doing = f"removing {one} from the {name} of group {object_id}"
            self._graph.send(doing, "DELETE", f"{self._path(object_id)}/{name}/{one}/$ref")

    def _outputs(self, found: Properties, source: Properties) -> Properties:
        outputs = describe_group(self._provider, self._schema, found)
        return outputs | rules.kept(self._schema, source)

    def _refuse_duplicate(self, inputs: Properties) -> None:
        name = inputs["displayName"]
        if not inputs.get("preventDuplicateNames") or rules.unknown(name):
            return
        condition = "displayName eq '{}'".format(name.replace("'", "''"))
        found = self._graph.list_all("listing groups", "/beta/groups", **{"$filter": condition})
        if found:
            raise ProviderError(
                f"an existing group with name {name!r} (ID: {found[0]['id']}) was found and preventDuplicateNames was "
                f"specified. To be managed by Pulumi, it needs to be imported: pulumi import {self.token} NAME "
                f"/groups/{found[0]['id']}"
            )


def describe_group(provider: GraphProvider, schema: rules.Schema, found: Properties) -> Properties:
    """Return the outputs for a group that Graph returned, with its owners and members."""
    object_id = found["id"]
    outputs = rules.from_wire(schema, found) | tables.GROUP_LEFT_OUT
    for name in ("owners", "members"):
        listed = provider.graph.list_all(f"listing {name} of group {object_id}", f"/beta/groups/{object_id}/{name}")
        outputs[name] = [entry["id"] for entry in listed]
    return outputs


class GroupMember(GraphResource):
    """One member of a group."""

    def __init__(self, provider: GraphProvider) -> None:
        super().__init__(provider, "azuread:index/groupMember:GroupMember", tables.GROUP_MEMBER)

    @override
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        group_id, member_id = inputs["groupObjectId"], inputs["memberObjectId"]
        path = f"/beta/groups/{group_id}"
        resource_id = f"{group_id}/member/{member_id}"
        with self._provider.lock(group_id):
            self._graph.get(f"retrieving group {group_id}", path)
            existing = self._graph.list_all(f"listing members of group {group_id}", f"{path}/members")
            if any(member["id"].lower() == member_id.lower() for member in existing):
                raise ProviderError(
                    f"a resource with the ID {resource_id!r} already exists. To be managed by Pulumi, it needs to be "
                    f"imported: pulumi import {self.token} NAME {resource_id}"
                )
            reference = {"@odata.id": f"{self._graph.base}/beta/directoryObjects/{member_id}"}
            doing = f"adding member {member_id} to group {group_id}"
            self._graph.send(doing, "POST", f"{path}/members/$ref", reference)
            wait_for(
                self._provider,
                f"member {member_id} of group {group_id}",
                lambda: self._is_member(group_id, member_id) or None,
            )
        return resource_id, dict(inputs)

    @override
    def read(self, resource_id: str, olds: Properties, old_inputs: Properties) -> State | None:
        group_id, member_id = self._parse(resource_id)
        if not self._is_member(group_id, member_id):
            return None
        return self._state({"groupObjectId": group_id, "memberObjectId": member_id}, old_inputs)

    @override
    def delete(self, resource_id: str, olds: Properties) -> None:
        group_id, member_id = self._parse(resource_id)
        with self._provider.lock(group_id):
            doing = f"removing member {member_id} from group {group_id}"
            self._graph.send(doing, "DELETE", f"/beta/groups/{group_id}/members/{member_id}/$ref")
            wait_for(
                self._provider,
                f"the removal of member {member_id} from group {group_id}",
                lambda: None if self._is_member(group_id, member_id) else True,
            )

    def _parse(self, resource_id: str) -> tuple[str, str]:
        group_id, kind, member_id = [*resource_id.split("/"), "", ""][:3]
        if kind != "member" or not member_id:
            raise ProviderError(
                f"{resource_id!r} is no id of {self.token}: one looks like <object id>/member/<object id>"
            )
        return group_id, member_id

    def _is_member(self, group_id: str, member_id: str) -> bool:
        doing = f"retrieving member {member_id} of group {group_id}"
        try:
            path = f"/beta/groups/{group_id}/members"
            return bool(self._graph.list_all(doing, path, **{"$filter": f"id eq '{member_id}'"}))
        except ServiceError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return False


def get_user(provider: GraphProvider, args: Properties) -> Properties:
    """Look a user up by object id, user principal name, mail, mail nickname or employee id."""
    filters = {
        "employeeId": "employeeId eq '{}'",
        "mail": "mail eq '{}'",
        "mailNickname": "mailNickname eq '{}'",
        "userPrincipalName": "userPrincipalName eq '{}'",
    }
    found = provider.look_up("user", "users", args, filters)
    outputs = describe_user(provider, tables.USER, found)
    for name in _POLICIES:
        del outputs[name]
    return outputs | {"id": f"/users/{found['id']}", "externalUserState": found.get("externalUserState") or ""}


def get_group(provider: GraphProvider, args: Properties) -> Properties:
    """Look a group up by object id, display name or mail nickname, where asked for of this sort only."""
    sorts = {name: args[name] for name in ("mailEnabled", "securityEnabled") if name in args}
    condition = "".join(f" and {name} eq {str(value).lower()}" for name, value in sorts.items())
    filters = {"displayName": "displayName eq '{}'" + condition, "mailNickname": "mailNickname eq '{}'" + condition}
    wanted: dict[str, Any] = {name: value for name, value in args.items() if name not in sorts}
    if wanted.pop("includeTransitiveMembers", False):
        raise ProviderError("the sandbox's stand-in does not offer includeTransitiveMembers")
    found = provider.look_up("group", "groups", wanted, filters, version="beta")
    for name, value in sorts.items():
        if found.get(name) is not value:
            raise ProviderError(f"group {found['id']} does not have the specified {name} setting (expected: {value})")
    outputs = describe_group(provider, tables.GROUP, found)
    outputs.pop("administrativeUnitIds")
    outputs["dynamicMemberships"] = []
    return outputs | {"id": f"/groups/{found['id']}", "includeTransitiveMembers": False}
