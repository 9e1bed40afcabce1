"""Passwords: which will do, and argon2id (RFC 9106) of them."""

from __future__ import annotations

import base64
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from ..errors import IntakeError
from ..phrases import N_

__all__ = ["MAX_PASSWORD", "MIN_PASSWORD", "hashed", "is_right", "need_good"]

MIN_PASSWORD = 10  # characters (NIST SP 800-63B asks for 8, and for a second factor beside)
MAX_PASSWORD = 200  # characters; nobody types more, and what is longer is not hashed
MIN_DIFFERENT = 5  # characters that are not alike
HASHER = PasswordHasher()  # RFC 9106 section 4, the second recommended option: 64 MiB, three passes, four lanes


def need_good(password: str, name: str) -> None:
    """Raises IntakeError, whose sentence is in the catalogue, where a password will not do for this person."""
    password = unicodedata.normalize("NFC", password)
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise IntakeError(N_("A password has 10 to 200 characters; choose another one."))
    if not password.casefold().replace(name, "").strip():
        raise IntakeError(N_("The password is your name; choose another one."))
    if len(set(password)) < MIN_DIFFERENT:
        raise IntakeError(N_("The password has fewer than 5 different characters; choose another one."))


def hashed(password: str) -> str:
    """Takes 64 MiB and a tenth of a second."""
    return HASHER.hash(normal(password))


def is_right(password: str, kept: str) -> bool:
    """Whether it is the password of this hash. Where there is no hash it costs the same, and is wrong."""
    if len(password) > MAX_PASSWORD:
        password = ""  # which nobody has
    try:
        return HASHER.verify(kept or NOBODYS, normal(password)) and bool(kept)
    except VerificationError:
        return False


def normal(password: str) -> bytes:
    """The same password typed on another keyboard is the same bytes (RFC 8265 section 4.2)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def nobodys() -> str:
    """A hash that is as dear as any, and no password's."""
    salt, digest = (base64.b64encode(bytes(size)).rstrip(b"=").decode() for size in (HASHER.salt_len, HASHER.hash_len))
    costs = f"m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"


NOBODYS = nobodys()
