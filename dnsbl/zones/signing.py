"""Signatures of what others take away, as minisign(1) has them: whoever mirrors or loads a file can tell that it is
ours without trusting the way it came.

The key is Ed25519, made of `data_dir/secret` (keyed.py): there is no further secret to keep, and a backup of that file
restores it. Formats, all base64 (https://jedisct1.github.io/minisign, "Signature format"):

    public key   "Ed", 8 bytes that name the key, 32 bytes
    signature    "ED" (of the BLAKE2b-512 of the file), the same 8 bytes, 64 bytes
    then         64 bytes that sign the 64 before together with the trusted comment
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..keyed import Keyed

__all__ = ["Signer", "digest_of"]

PURPOSE, VERSION = "signing of exports", "1"  # what the key is derived for
KEY, PREHASHED = b"Ed", b"ED"
KEY_NAME = 8  # bytes
UNTRUSTED = "untrusted comment: "
TRUSTED = "trusted comment: "


def digest_of(message: bytes) -> bytes:
    """What is signed of a message: its BLAKE2b-512. A file's is made while it is written."""
    return hashlib.blake2b(message).digest()


class Signer:
    """Signs in the name of a data directory. Raises StoreError where its key cannot be read or made."""

    def __init__(self, keyed: Keyed) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(keyed.derive(PURPOSE, VERSION))
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.name = hashlib.blake2b(self.public, digest_size=KEY_NAME).digest()

    @property
    def public_key(self) -> str:
        """One line, for `minisign -P` and for `public_key` of `[[follow]]`."""
        return encoded(KEY + self.name + self.public)

    @property
    def public_text(self) -> str:
        """A file for `minisign -p`."""
        return f"{UNTRUSTED}minisign public key {self.name[::-1].hex().upper()}\n{self.public_key}\n"

    def sign(self, digest: bytes, comment: str) -> str:
        """The four lines of a .minisig file for what has this BLAKE2b-512. `comment` is signed too: one line."""
        signature = self.key.sign(digest)
        both = self.key.sign(signature + comment.encode("utf-8"))
        head = (
            f"{UNTRUSTED}signature by the key of this list's operator\n{encoded(PREHASHED + self.name + signature)}\n"
        )
        return f"{head}{TRUSTED}{comment}\n{encoded(both)}\n"


def encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
