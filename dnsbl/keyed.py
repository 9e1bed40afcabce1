"""Keyed hashes of what must not be kept in clear: trap and recipient addresses, reporters' mail addresses (RFC 6590).

The key is 32 random bytes in `data_dir/secret`, for its owner alone, made when first needed. Without it a token says
nothing; with it the same text always has the same token, so that distinct traps can be counted. Lost, tokens of before
and after count as different.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from .errors import StoreError
from .files import sync_directory

__all__ = ["Keyed"]

SIZE = 32  # bytes of the key
FINGERPRINT = 8  # hex digits
TOKEN = 10  # bytes of a token: 80 bits, so that two addresses do not meet


class Keyed:
    """Texts to tokens. Raises StoreError where the key cannot be read or made."""

    def __init__(self, data_dir: Path) -> None:
        self.key = kept(data_dir / "secret")

    def fingerprint(self) -> str:
        """8 hex digits that tell this key from another and say nothing of it: kept where tokens are, they show that a
        lost key was replaced."""
        return hashlib.sha256(self.key).hexdigest()[:FINGERPRINT]

    def token(self, text: str) -> str:
        """16 characters of base 32."""
        digest = hmac.new(self.key, text.strip().lower().encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        return base64.b32encode(digest[:TOKEN]).decode().lower()

    def derive(self, purpose: str, nonce: str) -> bytes:
        """32 bytes that only this key makes of a nonce, others for each purpose: a secret that need not be kept."""
        return hmac.new(self.key, f"{purpose}\0{nonce}".encode(), hashlib.sha256).digest()


def kept(path: Path) -> bytes:
    """The key in a file, made with it where there is none; two that make it at once agree on one."""
    try:
        if not path.exists():
            make(path)
        key = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: the key of hashes cannot be read or made ({error.strerror})") from error
    if len(key) != SIZE:
        raise StoreError(f"{path}: not a key of {SIZE} bytes; restore it from a backup, or move it away for a new one")
    return key


def make(path: Path) -> None:
    """Written aside and linked into place: it has its name only when it is whole, and the first one stays."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, secrets.token_bytes(SIZE))
            os.fsync(file)
        finally:
            os.close(file)
        try:
            os.link(aside, path)
        except FileExistsError:
            return
        sync_directory(path.parent)  # tokens made with it are kept, too
    finally:
        aside.unlink(missing_ok=True)
