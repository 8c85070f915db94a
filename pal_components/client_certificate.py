"""A key pair with a self-signed certificate as a Pulumi resource, made once and kept encrypted in state.

This module is a state contract like `partner_link`: its provider is pickled by reference into the state of stacks.
"""

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

_VALID_DAYS = 365
_KEY_SIZE = 2048


class ClientCertificateProvider(ResourceProvider):
    """Makes a key pair; a new one for another generation."""

    serialize_as_secret_always = False

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Only another generation makes another key pair."""
        replaces = ["generation"] if olds.get("generation") != news.get("generation") else []
        changes = any(olds.get(name) != value for name, value in news.items())
        return DiffResult(changes=changes, replaces=replaces, delete_before_replace=False)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the key pair."""
        certificate, key, thumbprint = self_signed(props["common_name"])
        outputs = {"common_name": props["common_name"], "generation": props["generation"]}
        return CreateResult(thumbprint, {**outputs, "certificate": certificate, "pem": certificate + key})

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Keep the key pair."""
        return UpdateResult({**olds, "common_name": news["common_name"]})


def self_signed(common_name: str) -> tuple[str, str, str]:
    """Return certificate and private key as PEM text, and the thumbprint that the portal shows."""
    from datetime import datetime, timedelta, timezone

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_SIZE)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    # The clocks of this machine and of the service differ by a little.
    begin = datetime.now(timezone.utc) - timedelta(minutes=5)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=_VALID_DAYS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 a name, not a proof
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode(), thumbprint


def public_certificate(certificate: str, password: str | None) -> str:
    """Return the certificate alone, as PEM text, of PEM text or of a PFX in base64. Raises ValueError."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12

    from pal_components.link.sign_in import certificate_bytes

    content = certificate_bytes(certificate)
    if content.startswith(b"-----BEGIN") or b"-----BEGIN CERTIFICATE" in content:
        found = x509.load_pem_x509_certificate(content[content.index(b"-----BEGIN CERTIFICATE") :])
    else:
        loaded = pkcs12.load_key_and_certificates(content, password.encode() if password else None)[1]
        if loaded is None:
            raise ValueError("the PFX has no certificate")
        found = loaded
    return found.public_bytes(serialization.Encoding.PEM).decode()


class ClientCertificate(Resource, module="pal", name="ClientCertificate"):
    """A key pair with a self-signed certificate, valid for a year. Its id is the certificate's thumbprint."""

    certificate: pulumi.Output[str]
    """The certificate, PEM text."""
    pem: pulumi.Output[str]
    """Certificate and private key, PEM text, encrypted in state."""

    def __init__(
        self, name: str, common_name: str, generation: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare it. Another `generation` makes another key pair."""
        super().__init__(
            ClientCertificateProvider(),
            name,
            {"common_name": common_name, "generation": generation, "certificate": None, "pem": None},
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["pem"])),
        )
