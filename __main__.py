"""The root program: one customer per stack, all of it from the stack's configuration."""

import re
from typing import Any

import pulumi
import pulumi_azure_native as azure_native
import pulumi_azuread as azuread

import pal_components as pal
from pal_components.inputs import InputError

_INPUTS = {
    "partnerId": "partner_id",
    "scopes": "scopes",
    "roles": "roles",
    "supportingRoles": "supporting_roles",
    "customer": "customer",
    "tenantId": "tenant_id",
    "onConflict": "on_conflict",
    "removal": "removal",
    "maxWait": "max_wait",
}
_OBJECTS = {"approval": "approval", "acceptedRoles": "accepted_roles", "suppressions": "suppressions"}
_LISTS = ("scopes", "roles", "supportingRoles")
_CREDENTIAL = {
    "kind": "kind",
    "clientId": "client_id",
    "clientSecret": "client_secret",
    "certificate": "certificate",
    "certificatePassword": "certificate_password",
    "issuer": "issuer",
    "subject": "subject",
    "audience": "audience",
    "enterpriseApplication": "enterprise_application",
    "objectId": "object_id",
    "generation": "generation",
}
_SECRETS = ("client_secret", "certificate", "certificate_password")


def read_config(config: pulumi.Config) -> dict[str, Any]:
    """Return the component's inputs from the configuration; what is not set is left to the component's defaults."""
    inputs: dict[str, Any] = {}
    for key, name in _INPUTS.items():
        if config.get(key) is not None:
            inputs[name] = _list(config, key) if key in _LISTS else config.get(key)
    inputs |= {name: config.get_object(key) for key, name in _OBJECTS.items() if config.get(key) is not None}
    if "max_wait" in inputs:
        inputs["max_wait"] = config.get_float("maxWait")
    given = config.get("credential")
    if given is not None:
        credential = config.get_object("credential") if given.lstrip().startswith("{") else {"kind": given}
        for key in credential:
            if key not in _CREDENTIAL:
                raise pulumi.RunError(
                    f"config customer-access:credential has {key!r}: there are {', '.join(_CREDENTIAL)}"
                )
        inputs["credential"] = {_CREDENTIAL[key]: value for key, value in credential.items()}
        for name in _SECRETS:
            if inputs["credential"].get(name) is not None:
                inputs["credential"][name] = pulumi.Output.secret(inputs["credential"][name])
    return inputs


def _list(config: pulumi.Config, key: str) -> list[Any]:
    """Take a list, or a single value, which is what `pulumi config set scopes /subscriptions/...` gives."""
    text = config.get(key) or ""
    if not text.lstrip().startswith("["):
        return [text] if text.strip() else []
    return list(config.get_object(key))


def main() -> None:
    """Declare the customer."""
    config = pulumi.Config()
    inputs = read_config(config)
    opts = None
    if tenant_id := inputs.get("tenant_id"):
        # The customer's tenant, whichever the environment would choose.
        opts = pulumi.ResourceOptions(
            providers=[
                azuread.Provider("customer", tenant_id=tenant_id),
                azure_native.Provider("customer", tenant_id=tenant_id, subscription_id=_subscription(inputs)),
            ]
        )
    try:
        # The stack names the resources: the customer's name is for people, and may change.
        access = pal.CustomerAccess(pulumi.get_stack(), inputs, opts)
    except InputError as error:
        raise pulumi.RunError(f"config {config.name}:{_config_key(error.property_path)} {error.reason}") from None
    pulumi.export("partnerId", access.partner_id)
    pulumi.export("objectId", access.object_id)
    pulumi.export("linkOrigin", access.origin)
    pulumi.export("attestation", access.attestation)


def _subscription(inputs: dict[str, Any]) -> str | None:
    """Return the subscription of the first scope that has one: azure-native does not start without any."""
    found = (re.match(r"/subscriptions/([0-9a-f-]{36})", str(scope).lower()) for scope in inputs.get("scopes", ()))
    return next((match[1] for match in found if match), None)


def _config_key(property_path: str) -> str:
    """Return the configuration's spelling of a property path, such as `supportingRoles[0]`."""
    name = re.match(r"[a-z_]+", property_path)
    keys = {value: key for key, value in (_INPUTS | _OBJECTS).items()}
    return property_path.replace(name[0], keys.get(name[0], name[0]), 1) if name else property_path


main()
