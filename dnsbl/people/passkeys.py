"""Passkeys (WebAuthn Level 3): what a browser is asked, and whether its answer is right. Answers are untrusted.

The library is imported where it is used: it takes a tenth of every verb's start, and few need it.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..store.contract.people import Account, Passkey

if TYPE_CHECKING:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

__all__ = ["Registered", "Site", "creation", "credential_id", "registered", "request", "site", "uses_after"]

log = logging.getLogger("dnsbl.people")

NAME = "dnsbl"
MAX_CREDENTIAL = 16 * 1024  # characters of a browser's answer
MAX_ID = 1023  # bytes of a credential's id (WebAuthn section 4)
WAIT = 5 * 60_000  # milliseconds that a browser waits for its user (WebAuthn section 15.1)


@dataclass(slots=True, frozen=True)
class Site:
    """The relying party: the host that passkeys are bound to, and the origin that the page is of."""

    id: str
    origin: str


@dataclass(slots=True, frozen=True)
class Registered:
    id: bytes
    public_key: bytes
    uses: int


def site(public_url: str, host: str) -> Site | None:
    """Which site a page is of; None: passkeys cannot be had there. They need a name, and https unless it is localhost.
    `host`: what the browser asked for, untrusted; only localhost is believed."""
    if public_url:
        parts = urlsplit(public_url)
        name = parts.hostname or ""
        if is_address(name) or not name or (parts.scheme != "https" and name != "localhost"):
            return None
        return Site(name, f"{parts.scheme}://{parts.netloc}".lower())
    name, _, port = host.partition(":")
    if name != "localhost" or not (port == "" or (port.isascii() and port.isdigit())):
        return None
    return Site(name, f"http://{host}")


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def creation(where: Site, account: Account, known: Sequence[Passkey]) -> tuple[str, bytes]:
    """What a browser is asked to make a passkey: JSON, and the challenge in it."""
    import webauthn
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = webauthn.generate_registration_options(
        rp_id=where.id,
        rp_name=NAME,
        user_id=account.id.to_bytes(8, "big"),
        user_name=account.name,
        timeout=WAIT,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=descriptors(known),
    )
    return webauthn.options_to_json(options), options.challenge


def request(where: Site, known: Sequence[Passkey]) -> tuple[str, bytes]:
    """What a browser is asked to sign with one of these: JSON, and the challenge in it."""
    import webauthn
    from webauthn.helpers.structs import UserVerificationRequirement

    options = webauthn.generate_authentication_options(
        rp_id=where.id,
        timeout=WAIT,
        allow_credentials=descriptors(known),
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    return webauthn.options_to_json(options), options.challenge


def descriptors(known: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    return [PublicKeyCredentialDescriptor(id=each.id) for each in known]


def registered(where: Site, challenge: bytes, credential: str) -> Registered | None:
    """What a browser made; None: it is not what was asked for."""
    import webauthn

    answer = parsed(credential)
    if answer is None:
        return None
    try:
        made = webauthn.verify_registration_response(
            credential=answer, expected_challenge=challenge, expected_rp_id=where.id, expected_origin=where.origin
        )
    except Exception as error:  # the library lets decoders' own errors through; a stranger's bytes must not end in 500
        log.info("a passkey was not taken: %s", type(error).__name__)
        return None
    if len(made.credential_id) > MAX_ID:
        return None
    return Registered(made.credential_id, made.credential_public_key, made.sign_count)


def uses_after(where: Site, challenge: bytes, credential: str, passkey: Passkey) -> int | None:
    """The authenticator's counter after it signed; None: it did not, or its counter went back (a copy was made)."""
    import webauthn

    answer = parsed(credential)
    if answer is None:
        return None
    try:
        return webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=where.id,
            expected_origin=where.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.uses,
        ).new_sign_count
    except Exception as error:  # as above
        log.info("a passkey's answer was not taken: %s", type(error).__name__)
        return None


def credential_id(credential: str) -> bytes | None:
    """Which passkey an answer names."""
    from webauthn.helpers import base64url_to_bytes

    answer = parsed(credential)
    try:
        return base64url_to_bytes(str(answer["rawId"])) if answer else None
    except (KeyError, ValueError):
        return None


def parsed(credential: str) -> dict[str, Any] | None:
    if len(credential) > MAX_CREDENTIAL:
        return None
    try:
        answer = json.loads(credential)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
