"""Signatures of minisign(1), checked. What each line holds is in `zones.signing`, which makes them."""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ..errors import ConfigError, TransferError

__all__ = ["PublicKey"]

KEY, PREHASHED = b"Ed", b"ED"
MARK, NAME, PUBLIC, SIGNATURE = 2, 8, 32, 64  # bytes: of each part
TRUSTED = "trusted comment: "
LINES = 4


class PublicKey:
    """A key as minisign prints it: one line of base64, or a comment and that line. Raises ConfigError."""

    def __init__(self, text: str) -> None:
        lines = text.strip().splitlines() or [""]
        try:
            packed = base64.b64decode(lines[-1].strip(), validate=True)
        except ValueError:
            packed = b""
        if len(packed) != MARK + NAME + PUBLIC or packed[:MARK] != KEY:
            raise ConfigError(["follow: public_key: not a key of minisign; `dnsbl zone public-key` there prints it"])
        self.name = packed[MARK : MARK + NAME]
        self.key = Ed25519PublicKey.from_public_bytes(packed[MARK + NAME :])

    def check(self, message: bytes, text: str) -> None:
        """Raises TransferError unless `text`, the lines of a .minisig file, signs the message."""
        lines = text.splitlines()
        if len(lines) != LINES or not lines[2].startswith(TRUSTED):
            raise TransferError("its signature is none of minisign")
        signed = decoded(lines[1], MARK + NAME + SIGNATURE)
        if signed[:MARK] != PREHASHED:
            raise TransferError("its signature is of a kind that is not used here (not prehashed)")
        if signed[MARK : MARK + NAME] != self.name:
            raise TransferError("it is signed by another key than follow.public_key")
        signature, comment = signed[MARK + NAME :], lines[2].removeprefix(TRUSTED).encode("utf-8", "surrogatepass")
        try:
            self.key.verify(signature, hashlib.blake2b(message).digest())
            self.key.verify(decoded(lines[3], SIGNATURE), signature + comment)
        except InvalidSignature:
            raise TransferError("its signature is wrong: it was changed on its way, or is another's") from None


def decoded(line: str, size: int) -> bytes:
    try:
        packed = base64.b64decode(line.strip(), validate=True)
    except ValueError:
        packed = b""
    if len(packed) != size or base64.b64encode(packed) != line.strip().encode():  # no bits behind the last octet
        raise TransferError("its signature is none of minisign")
    return packed
