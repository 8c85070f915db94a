"""Keys that sign tokens: one file each in the state directory, published as JSON Web Keys."""

import os
import uuid
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pal_components.sandbox.certificates import write_private
from pal_components.sandbox.errors import SandboxError


class SigningKey:
    """An RSA key, kept in a file that only its owner can read; made where there is none.

    Raises:
        SandboxError: the file holds something else.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            _make(path)
        loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise SandboxError(f"{path} holds no RSA key: remove it, and another one is made.")
        self._private = loaded
        self.public = loaded.public_key()
        digest = hashes.Hash(hashes.SHA256())
        digest.update(
            self.public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        self.id = digest.finalize().hex()[:40]

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a signed token."""
        return jwt.encode(claims, self._private, algorithm="RS256", headers={"kid": self.id, "x5t": self.id})

    def published(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self.public, as_dict=True)
        return {"kty": "RSA", "use": "sig", "kid": self.id, "n": key["n"], "e": key["e"], "alg": "RS256"}


def _make(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    write_private(fresh, pem)
    try:
        os.link(fresh, path)
    except FileExistsError:
        # Another process was faster; its key may be in use already.
        pass
    finally:
        fresh.unlink()
