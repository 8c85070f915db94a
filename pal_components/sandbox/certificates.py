"""The sandbox's TLS: an authority of its own for each state directory, and a bundle that clients can trust."""

import os
from pathlib import Path

import trustme
from requests.utils import DEFAULT_CA_BUNDLE_PATH

AUTHORITY_FILE = "ca.pem"
SERVER_FILE = "server.pem"
BUNDLE_FILE = "ca-bundle.pem"


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, all of it or nothing."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def server_certificate(directory: Path) -> Path:
    """Return the file with the server's key and certificate chain, made at the first call.

    The authority's own key is never written: nobody can sign another name with it.
    """
    server = directory / SERVER_FILE
    if not (server.exists() and (directory / AUTHORITY_FILE).exists()):
        authority = trustme.CA(organization_name="PAL sandbox")
        leaf = authority.issue_cert("localhost", "127.0.0.1", organization_name="PAL sandbox")
        write_private(directory / AUTHORITY_FILE, authority.cert_pem.bytes())
        write_private(server, leaf.private_key_and_cert_chain_pem.bytes())
    return server


def trust_bundle(directory: Path) -> Path:
    """Write and return a bundle of every authority trusted so far and the sandbox's, for SSL_CERT_FILE and the like."""
    bundle = directory / BUNDLE_FILE
    trusted = [Path(DEFAULT_CA_BUNDLE_PATH)]
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        configured = Path(os.environ.get(name) or bundle)
        # A bundle of a sandbox, this one's or one around it, would only pile up.
        if configured.name != BUNDLE_FILE and configured.is_file() and configured not in trusted:
            trusted.append(configured)
    trusted.append(directory / AUTHORITY_FILE)
    write_private(bundle, b"\n".join(path.read_bytes() for path in trusted))
    return bundle
