"""The properties of azuread's resource types for people: SDK name, form, place in Microsoft Graph, replacement.

Source: the published schema of pulumi-azuread 6.11 and of the Terraform provider behind it (azuread 3.9).
"""

from typing import Any

from pal_components.sandbox.stand_in.schema import Kind, Property, is_guid


def _is_address(value: str) -> bool:
    local, at, domain = value.partition("@")
    return bool(local and at and domain)


def _is_web_address(value: str) -> bool:
    return value.startswith(("http://", "https://"))


def _told(wire: str = "", kind: Kind = Kind.STRING) -> Property:
    return Property(kind, wire, output=True)


def _guid() -> Property:
    return Property(required=True, replaces=True, valid=is_guid, form="a GUID")


_SAME_NAME = (
    *("ageGroup", "city", "companyName", "consentProvidedForMinor", "country", "department", "employeeHireDate"),
    *("employeeType", "faxNumber", "givenName", "jobTitle", "mobilePhone", "officeLocation", "postalCode"),
    *("preferredLanguage", "state", "streetAddress", "surname", "usageLocation"),
)
USER = {
    **{name: Property(wire=name) for name in _SAME_NAME},
    "accountEnabled": Property(Kind.BOOL, "accountEnabled", default=True),
    "businessPhones": Property(Kind.LIST, "businessPhones", computed=True),
    "costCenter": Property(wire="employeeOrgData.costCenter"),
    "disablePasswordExpiration": Property(Kind.BOOL, default=False),
    "disableStrongPassword": Property(Kind.BOOL, default=False),
    "displayName": Property(wire="displayName", required=True),
    "division": Property(wire="employeeOrgData.division"),
    "employeeId": Property(wire="employeeId", valid=lambda value: len(value) <= 16, form="at most 16 characters"),
    "forcePasswordChange": Property(Kind.BOOL, default=False, kept=True),
    "mail": Property(wire="mail", computed=True),
    "mailNickname": Property(wire="mailNickname", computed=True),
    "onpremisesImmutableId": Property(wire="onPremisesImmutableId", computed=True),
    "otherMails": Property(Kind.SET, "otherMails"),
    "password": Property(computed=True, valid=lambda value: len(value) <= 256, form="1 to 256 characters"),
    "showInAddressList": Property(Kind.BOOL, default=True),
    "userPrincipalName": Property(
        wire="userPrincipalName", required=True, valid=_is_address, form="a name like someone@contoso.onmicrosoft.com"
    ),
    "aboutMe": _told("aboutMe"),
    "creationType": _told("creationType"),
    "imAddresses": _told("imAddresses", Kind.LIST),
    "objectId": _told("id"),
    "onpremisesDistinguishedName": _told("onPremisesDistinguishedName"),
    "onpremisesDomainName": _told("onPremisesDomainName"),
    "onpremisesSamAccountName": _told("onPremisesSamAccountName"),
    "onpremisesSecurityIdentifier": _told("onPremisesSecurityIdentifier"),
    "onpremisesSyncEnabled": _told("onPremisesSyncEnabled", Kind.BOOL),
    "onpremisesUserPrincipalName": _told("onPremisesUserPrincipalName"),
    "proxyAddresses": _told("proxyAddresses", Kind.LIST),
    "userType": _told("userType"),
}

INVITATION = {
    "message": Property(
        Kind.BLOCK,
        replaces=True,
        kept=True,
        fields={
            "additionalRecipients": Property(
                Kind.LIST, valid=lambda value: len(value) <= 1, form="a list of one address"
            ),
            "body": Property(conflicts=frozenset({"language"})),
            "language": Property(conflicts=frozenset({"body"})),
        },
    ),
    "redirectUrl": Property(
        required=True, replaces=True, kept=True, valid=_is_web_address, form="a URL that starts with https://"
    ),
    "userDisplayName": Property(replaces=True, kept=True),
    "userEmailAddress": Property(
        required=True, replaces=True, valid=_is_address, form="an address like someone@contoso.com"
    ),
    "userType": Property(
        replaces=True, kept=True, default="Guest", valid=("Guest", "Member").__contains__, form="Guest or Member"
    ),
    "redeemUrl": _told(),
    "userId": _told(),
}

GROUP = {
    "assignableToRole": Property(Kind.BOOL, "isAssignableToRole", replaces=True),
    "description": Property(wire="description"),
    "displayName": Property(wire="displayName", required=True),
    "mailEnabled": Property(Kind.BOOL, "mailEnabled"),
    "mailNickname": Property(wire="mailNickname", computed=True, replaces=True),
    "members": Property(Kind.SET, computed=True),
    "owners": Property(Kind.SET, computed=True),
    "preventDuplicateNames": Property(Kind.BOOL, default=False, kept=True),
    "securityEnabled": Property(Kind.BOOL, "securityEnabled"),
    "visibility": Property(
        wire="visibility", computed=True, valid=("Private", "Public").__contains__, form="Private or Public"
    ),
    "mail": _told("mail"),
    "objectId": _told("id"),
    "onpremisesDomainName": _told("onPremisesDomainName"),
    "onpremisesNetbiosName": _told("onPremisesNetBiosName"),
    "onpremisesSamAccountName": _told("onPremisesSamAccountName"),
    "onpremisesSecurityIdentifier": _told("onPremisesSecurityIdentifier"),
    "onpremisesSyncEnabled": _told("onPremisesSyncEnabled", Kind.BOOL),
    "preferredLanguage": _told("preferredLanguage"),
    "proxyAddresses": _told("proxyAddresses", Kind.LIST),
}
GROUP_LEFT_OUT: dict[str, Any] = {
    "administrativeUnitIds": [],
    "autoSubscribeNewMembers": False,
    "behaviors": [],
    "dynamicMembership": None,
    "externalSendersAllowed": False,
    "hideFromAddressLists": False,
    "hideFromOutlookClients": False,
    "onpremisesGroupType": "",
    "provisioningOptions": [],
    "theme": "",
    "types": [],
    "writebackEnabled": False,
}
"""What only groups of other sorts than security groups have, and what it is for a security group."""
GROUP_FIXED: dict[str, Any] = {
    "groupTypes": [],
    "membershipRule": None,
    "resourceBehaviorOptions": [],
    "resourceProvisioningOptions": [],
}
"""What a new security group is sent with, whatever the program says."""

GROUP_MEMBER = {"groupObjectId": _guid(), "memberObjectId": _guid()}
