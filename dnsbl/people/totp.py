"""Codes of authenticator apps (RFC 6238: SHA-1, six digits, thirty seconds, as all apps have it).

An app's secret is derived from the key of this server and a nonce: a copy of the store alone makes no codes.
"""

from __future__ import annotations

import base64
import hmac
import secrets

import pyotp
import segno

from ..keyed import Keyed

__all__ = ["new_nonce", "qr", "secret_of", "step_of", "uri"]

STEP = 30  # seconds
WINDOW = 1  # steps before and after (RFC 6238 section 5.2): clocks differ, and typing takes time
DIGITS = 6
SECRET = 20  # bytes (RFC 4226 section 4, R6: 160 bits)
ISSUER = "dnsbl"
PURPOSE = "totp"


def new_nonce() -> str:
    return secrets.token_hex(16)


def secret_of(keyed: Keyed, nonce: str) -> str:
    """What the app is given, in base 32."""
    return base64.b32encode(keyed.derive(PURPOSE, nonce)[:SECRET]).decode()


def step_of(secret: str, code: str, now: int) -> int | None:
    """The step that a code is of, if that is near; whether it was used is the caller's to ask. All are compared,
    whichever it is."""
    code = "".join(code.split())
    if len(code) != DIGITS or not (code.isascii() and code.isdigit()):
        return None
    app = pyotp.TOTP(secret)
    present = now // STEP
    found = None
    for step in range(present - WINDOW, present + WINDOW + 1):
        if hmac.compare_digest(app.at(step * STEP), code):
            found = step
    return found


def uri(secret: str, name: str) -> str:
    """otpauth://, as apps read it."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


def qr(text: str) -> str:
    """A text as a QR code: SVG to stand in a page. Dark on light whatever the page: cameras want it so."""
    made = segno.make(text, error="m", micro=False)
    return made.svg_inline(scale=5, dark="#000", light="#fff", border=4, svgclass=None, lineclass=None, omitsize=False)
