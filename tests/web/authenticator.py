"""An authenticator in software (WebAuthn Level 3 sections 6.1, 6.3 and 5.8.1), and the browser around it."""

from __future__ import annotations

import base64
import hashlib
import json
import struct

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40  # flags, section 6.1


class Authenticator:
    """One credential. `create` and `get` take what a page asks and answer as a browser does, both as JSON."""

    def __init__(self, origin: str) -> None:
        self.origin, self.uses, self.id = origin, 5, b"credential-of-the-test"
        self.key = ec.generate_private_key(ec.SECP256R1())

    def forge(self) -> None:
        """Another key under the same name."""
        self.key = ec.generate_private_key(ec.SECP256R1())

    def create(self, options: str) -> str:
        asked = json.loads(options)
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}  # RFC 9053
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + cbor2.dumps(public)
        data = self.data(asked["rp"]["id"], PRESENT | VERIFIED | ATTESTED) + attested
        said = self.client_data("webauthn.create", asked["challenge"])
        return self.answer(
            clientDataJSON=said, attestationObject=cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        )

    def get(self, options: str, spoil: bool = False) -> str:
        asked = json.loads(options)
        assert [each["id"] for each in asked["allowCredentials"]] == [text(self.id)]
        self.uses += 1
        data, said = self.data(asked["rpId"], PRESENT | VERIFIED), self.client_data("webauthn.get", asked["challenge"])
        signed = data + hashlib.sha256(said).digest() + bytes(spoil)
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return self.answer(clientDataJSON=said, authenticatorData=data, signature=signature)

    def data(self, rp: str, flags: int) -> bytes:
        return hashlib.sha256(rp.encode()).digest() + struct.pack(">BI", flags, self.uses)

    def client_data(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def answer(self, **response: bytes) -> str:
        parts = {name: text(value) for name, value in response.items()}
        return json.dumps({"id": text(self.id), "rawId": text(self.id), "type": "public-key", "response": parts})


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
