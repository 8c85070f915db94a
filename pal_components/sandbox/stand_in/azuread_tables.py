"""The properties of azuread's resource types: SDK name, form, place in Microsoft Graph's object, default, replacement.

Source: the published schema of pulumi-azuread 6.11 and of the Terraform provider behind it (azuread 3.9).
"""

import re
from collections.abc import Mapping

from pal_components.sandbox.stand_in.schema import Kind, Property, is_guid

_ID = re.compile(r"/(applications|servicePrincipals)/[0-9a-fA-F-]{36}")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def _text(wire: str = "") -> Property:
    return Property(wire=wire)


def _flag(wire: str) -> Property:
    return Property(Kind.BOOL, wire)


def _set(wire: str) -> Property:
    return Property(Kind.SET, wire)


def _told(wire: str = "", kind: Kind = Kind.STRING, fields: Mapping[str, Property] | None = None) -> Property:
    return Property(kind, wire, output=True, fields=fields or {})


def _parent(collection: str) -> Property:
    return Property(
        required=True,
        replaces=True,
        valid=lambda value: _ID.fullmatch(value) is not None and value.startswith(f"/{collection}/"),
        form=f"an id like /{collection}/00000000-0000-0000-0000-000000000000",
    )


def _date(wire: str, *conflicts: str) -> Property:
    return Property(
        wire=wire,
        computed=True,
        replaces=True,
        conflicts=frozenset(conflicts),
        valid=lambda value: _RFC_3339.fullmatch(value) is not None,
        form="an RFC 3339 time like 2030-01-01T00:00:00Z",
    )


_APP_ROLE = {
    "id": Property(wire="id", required=True, valid=is_guid, form="a GUID"),
    "allowedMemberTypes": Property(Kind.SET, "allowedMemberTypes", required=True),
    "description": Property(wire="description", required=True),
    "displayName": Property(wire="displayName", required=True),
    "enabled": Property(Kind.BOOL, "isEnabled", default=True),
    "value": _text("value"),
}
_PERMISSION_SCOPE = {
    "id": Property(wire="id", required=True, valid=is_guid, form="a GUID"),
    "adminConsentDescription": _text("adminConsentDescription"),
    "adminConsentDisplayName": _text("adminConsentDisplayName"),
    "enabled": Property(Kind.BOOL, "isEnabled", default=True),
    "type": Property(wire="type", default="User"),
    "userConsentDescription": _text("userConsentDescription"),
    "userConsentDisplayName": _text("userConsentDisplayName"),
    "value": _text("value"),
}
_OPTIONAL_CLAIM = {
    "name": Property(wire="name", required=True),
    "additionalProperties": Property(Kind.LIST, "additionalProperties"),
    "essential": _flag("essential"),
    "source": _text("source"),
}
_RESOURCE_ACCESS = {
    "id": Property(wire="id", required=True, valid=is_guid, form="a GUID"),
    "type": Property(wire="type", required=True),
}
_FEATURE_TAG = {name: Property(Kind.BOOL) for name in ("customSingleSignOn", "enterprise", "gallery", "hide")}
_FEATURE = {
    **{name: Property(Kind.BOOL) for name in ("customSingleSignOnApp", "enterpriseApplication", "galleryApplication")},
    "visibleToUsers": Property(Kind.BOOL, default=True),
}

APPLICATION = {
    "api": Property(
        Kind.BLOCK,
        fields={
            "knownClientApplications": _set("api.knownClientApplications"),
            "mappedClaimsEnabled": _flag("api.acceptMappedClaims"),
            "oauth2PermissionScopes": Property(Kind.BLOCKS, "api.oauth2PermissionScopes", fields=_PERMISSION_SCOPE),
            "requestedAccessTokenVersion": Property(Kind.INT, "api.requestedAccessTokenVersion", default=1),
        },
    ),
    "appRoles": Property(Kind.BLOCKS, "appRoles", fields=_APP_ROLE),
    "description": _text("description"),
    "deviceOnlyAuthEnabled": _flag("isDeviceOnlyAuthSupported"),
    "displayName": Property(wire="displayName", required=True),
    "fallbackPublicClientEnabled": _flag("isFallbackPublicClient"),
    "featureTags": Property(Kind.BLOCKS, computed=True, conflicts=frozenset({"tags"}), fields=_FEATURE_TAG),
    "groupMembershipClaims": Property(Kind.CLAIMS, "groupMembershipClaims"),
    "identifierUris": _set("identifierUris"),
    "marketingUrl": _text("info.marketingUrl"),
    "notes": _text("notes"),
    "oauth2PostResponseRequired": Property(Kind.BOOL),
    "optionalClaims": Property(
        Kind.BLOCK,
        fields={
            "accessTokens": Property(Kind.BLOCKS, "optionalClaims.accessToken", fields=_OPTIONAL_CLAIM),
            "idTokens": Property(Kind.BLOCKS, "optionalClaims.idToken", fields=_OPTIONAL_CLAIM),
            "saml2Tokens": Property(Kind.BLOCKS, "optionalClaims.saml2Token", fields=_OPTIONAL_CLAIM),
        },
    ),
    "owners": Property(Kind.SET),
    "preventDuplicateNames": Property(Kind.BOOL, default=False, kept=True),
    "privacyStatementUrl": _text("info.privacyStatementUrl"),
    "publicClient": Property(Kind.BLOCK, fields={"redirectUris": _set("publicClient.redirectUris")}),
    "requiredResourceAccesses": Property(
        Kind.BLOCKS,
        "requiredResourceAccess",
        fields={
            "resourceAppId": Property(wire="resourceAppId", required=True),
            "resourceAccesses": Property(Kind.BLOCKS, "resourceAccess", required=True, fields=_RESOURCE_ACCESS),
        },
    ),
    "serviceManagementReference": _text("serviceManagementReference"),
    "signInAudience": Property(wire="signInAudience", default="AzureADMyOrg"),
    "singlePageApplication": Property(Kind.BLOCK, fields={"redirectUris": _set("spa.redirectUris")}),
    "supportUrl": _text("info.supportUrl"),
    "tags": Property(Kind.SET, "tags", computed=True, conflicts=frozenset({"featureTags"})),
    "termsOfServiceUrl": _text("info.termsOfServiceUrl"),
    "web": Property(
        Kind.BLOCK,
        fields={
            "homepageUrl": _text("web.homePageUrl"),
            "implicitGrant": Property(
                Kind.BLOCK,
                fields={
                    "accessTokenIssuanceEnabled": _flag("web.implicitGrantSettings.enableAccessTokenIssuance"),
                    "idTokenIssuanceEnabled": _flag("web.implicitGrantSettings.enableIdTokenIssuance"),
                },
            ),
            "logoutUrl": _text("web.logoutUrl"),
            "redirectUris": _set("web.redirectUris"),
        },
    ),
    "appRoleIds": _told(kind=Kind.MAP),
    "clientId": _told("appId"),
    "disabledByMicrosoft": _told("disabledByMicrosoftStatus"),
    "logoUrl": _told("info.logoUrl"),
    "oauth2PermissionScopeIds": _told(kind=Kind.MAP),
    "objectId": _told("id"),
    "publisherDomain": _told("publisherDomain"),
    "templateId": _told("applicationTemplateId"),
}

SERVICE_PRINCIPAL = {
    "accountEnabled": Property(Kind.BOOL, "accountEnabled", default=True),
    "alternativeNames": _set("alternativeNames"),
    "appRoleAssignmentRequired": _flag("appRoleAssignmentRequired"),
    "clientId": Property(wire="appId", required=True, replaces=True, valid=is_guid, form="a GUID"),
    "description": _text("description"),
    "featureTags": Property(Kind.BLOCKS, computed=True, conflicts=frozenset({"features", "tags"}), fields=_FEATURE_TAG),
    "features": Property(Kind.BLOCKS, computed=True, conflicts=frozenset({"featureTags", "tags"}), fields=_FEATURE),
    "loginUrl": _text("loginUrl"),
    "notes": _text("notes"),
    "notificationEmailAddresses": _set("notificationEmailAddresses"),
    "owners": Property(Kind.SET),
    "preferredSingleSignOnMode": _text("preferredSingleSignOnMode"),
    "samlSingleSignOn": Property(Kind.BLOCK, fields={"relayState": _text("samlSingleSignOnSettings.relayState")}),
    "tags": Property(Kind.SET, "tags", computed=True, conflicts=frozenset({"features", "featureTags"})),
    "useExisting": Property(Kind.BOOL, kept=True),
    "appRoleIds": _told(kind=Kind.MAP),
    "appRoles": _told("appRoles", Kind.BLOCKS, _APP_ROLE),
    "applicationTenantId": _told("appOwnerOrganizationId"),
    "displayName": _told("displayName"),
    "homepageUrl": _told("homepage"),
    "logoutUrl": _told("logoutUrl"),
    "oauth2PermissionScopeIds": _told(kind=Kind.MAP),
    "oauth2PermissionScopes": _told("oauth2PermissionScopes", Kind.BLOCKS, _PERMISSION_SCOPE),
    "objectId": _told("id"),
    "redirectUris": _told("replyUrls", Kind.LIST),
    "samlMetadataUrl": _told(),
    "servicePrincipalNames": _told("servicePrincipalNames", Kind.LIST),
    "signInAudience": _told("signInAudience"),
    "type": _told("servicePrincipalType"),
}

_END_DATE_RELATIVE = Property(replaces=True, kept=True, conflicts=frozenset({"endDate"}))
_PASSWORD = {
    "displayName": Property(wire="displayName", computed=True, replaces=True),
    "endDate": _date("endDateTime", "endDateRelative"),
    "endDateRelative": _END_DATE_RELATIVE,
    "rotateWhenChanged": Property(Kind.MAP, replaces=True, kept=True),
    "startDate": _date("startDateTime"),
    "keyId": _told("keyId"),
    "value": _told(),
}
_CERTIFICATE = {
    "encoding": Property(
        replaces=True, kept=True, default="pem", valid=("base64", "hex", "pem").__contains__, form="base64, hex or pem"
    ),
    "endDate": _date("endDateTime", "endDateRelative"),
    "endDateRelative": _END_DATE_RELATIVE,
    "keyId": Property(wire="keyId", computed=True, replaces=True, valid=is_guid, form="a GUID"),
    "startDate": _date("startDateTime"),
    "type": Property(
        wire="type",
        replaces=True,
        valid=("AsymmetricX509Cert", "Symmetric").__contains__,
        form="AsymmetricX509Cert or Symmetric",
    ),
    "value": Property(required=True, replaces=True),
}
APPLICATION_PASSWORD = {"applicationId": _parent("applications"), **_PASSWORD}
SERVICE_PRINCIPAL_PASSWORD = {"servicePrincipalId": _parent("servicePrincipals"), **_PASSWORD}
APPLICATION_CERTIFICATE = {"applicationId": _parent("applications"), **_CERTIFICATE}
SERVICE_PRINCIPAL_CERTIFICATE = {"servicePrincipalId": _parent("servicePrincipals"), **_CERTIFICATE}
FEDERATED_IDENTITY_CREDENTIAL = {
    "applicationId": _parent("applications"),
    "audiences": Property(
        Kind.LIST, "audiences", required=True, valid=lambda value: len(value) == 1, form="a list of one string"
    ),
    "description": _text("description"),
    "displayName": Property(
        wire="name", required=True, replaces=True, valid=lambda value: len(value) <= 120, form="1 to 120 characters"
    ),
    "issuer": Property(wire="issuer", required=True),
    "subject": Property(wire="subject", required=True),
    "credentialId": _told("id"),
}

FEATURES = {
    "WindowsAzureActiveDirectoryCustomSingleSignOnApplication": ("customSingleSignOn", "customSingleSignOnApp", True),
    "WindowsAzureActiveDirectoryIntegratedApp": ("enterprise", "enterpriseApplication", True),
    "WindowsAzureActiveDirectoryGalleryApplicationNonPrimaryV1": ("gallery", "galleryApplication", True),
    "HideApp": ("hide", "visibleToUsers", False),
}
"""Per tag: its name in `featureTags`, its name in the deprecated `features`, and what it has to say there to be set."""
