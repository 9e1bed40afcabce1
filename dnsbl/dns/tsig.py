"""Signatures on DNS messages by a shared key (RFC 8945): checked on what comes, made on what goes, both ways. Pure.

A message is signed by a TSIG record at its very end. Its MAC covers the MAC of the request (in a reply), the message as
it was before the record and with its original id, and the record's own fields; from the second message of a
stream on, the MAC before, the messages since, and of the fields only the time (section 5.3.1).

    server    check(query) -> Checked -> reply_to(checked) -> Signer.sign, for each message of the reply
    client    sign_query(query) -> StreamChecker.check, for each message of the reply

Untrusted: every message. What a record claims is believed only once its MAC is right; MACs are compared in constant
time. A MAC may be truncated as far as section 5.2.2.1 allows, which is 128 bits or more here: there is no policy beyond
it, so BADTRUNC is never said. The times a key was used at are not kept (the SHOULD of section 5.2.3): within the
fudge a query can be repeated, and all that one does is to be answered again.
"""

from __future__ import annotations

import base64
import hmac
from typing import NamedTuple

from ..config import DnsConfig
from ..errors import TsigError
from .tsigrecord import (
    FUDGE,
    TIME_SIZE,
    Key,
    Record,
    find,
    legal,
    mac_of,
    started,
    timers,
    unsigned,
    variables,
    wire_name,
    with_record,
    without,
)  # fmt: skip

__all__ = [
    "BADKEY", "BADSIG", "BADTIME", "FORMERR", "Checked", "Key", "Signer", "StreamChecker", "check", "keys_of",
    "reply_to", "sign_query", "wire_name",
]  # fmt: skip

FORMERR = 1
BADSIG, BADKEY, BADTIME = 16, 17, 18  # RFC 8945 section 3
BARE_SIZE = 26  # octets of a TSIG record without names, MAC and other data
MAX_UNSIGNED = 99  # messages of a stream between two signed ones; RFC 8945 section 5.3.1


class Checked(NamedTuple):
    """A query whose signature was looked at. `key`: whose it is; None where it has none, or not a good one."""

    message: bytes  # without the TSIG record
    key: Key | None
    mac: bytes
    error: int  # 0, FORMERR, BADKEY, BADSIG or BADTIME
    record: Record | None = None

    @property
    def room(self) -> int:
        """Octets that the signature of the reply takes, or what is said in its place."""
        if self.key:
            return self.key.room
        return len(self.record.name) + len(self.record.algorithm) + BARE_SIZE if self.record else 0


def keys_of(settings: DnsConfig) -> dict[bytes, Key]:
    """The keys that are configured, by their names on the wire."""
    made = (
        Key(wire_name(key.name), key.algorithm, base64.b64decode(key.secret.get_secret_value()))
        for key in settings.keys
    )
    return {key.name: key for key in made}


# server


def check(wire: bytes, keys: dict[bytes, Key], now: int) -> Checked:
    """Look at a query's signature: the key, the MAC, the time (section 5.2). Never raises."""
    try:
        record = find(wire)
    except TsigError:
        return Checked(wire, None, b"", FORMERR)
    if record is None:
        return Checked(wire, None, b"", 0)
    message = without(wire, record)
    key = keys.get(record.name)
    if key is None or record.algorithm != wire_name(key.algorithm):
        return Checked(message, None, b"", BADKEY, record)
    if not legal(record.mac, key):
        return Checked(message, None, b"", FORMERR)
    digest = mac_of(key, b"", unsigned(message, record), record.variables())
    if not hmac.compare_digest(digest[: len(record.mac)], record.mac):
        return Checked(message, None, b"", BADSIG, record)
    error = 0 if abs(now - record.time) <= record.fudge else BADTIME
    return Checked(message, key, record.mac, error, record)


def reply_to(checked: Checked, reply: bytes, now: int) -> bytes:
    """The one reply to a query, signed as it must be: not at all, by its key, or with an error (section 5.3.2)."""
    record, key = checked.record, checked.key
    if record is None:
        return reply
    if key is None:  # whoever it was gets no MAC of ours
        return with_record(reply, record.name, record.algorithm, record.time, record.fudge, b"", checked.error)
    if checked.error == BADTIME:
        return Signer(key, checked.mac).sign_late(reply, record, now)
    return Signer(key, checked.mac).sign(reply, now)


class Signer:
    """Signs the messages of one reply, in turn."""

    def __init__(self, key: Key, request_mac: bytes) -> None:
        self.key = key
        self.algorithm = wire_name(key.algorithm)
        self.before = request_mac
        self.first = True

    def sign(self, message: bytes, now: int) -> bytes:
        """A message with its TSIG record; `now` in seconds since 1970."""
        name, algorithm = self.key.name, self.algorithm
        what = variables(name, algorithm, now, FUDGE, 0, b"") if self.first else timers(now, FUDGE)
        self.before = mac_of(self.key, self.before, message, what)
        self.first = False
        return with_record(message, name, algorithm, now, FUDGE, self.before, 0)

    def sign_late(self, message: bytes, record: Record, now: int) -> bytes:
        """BADTIME: signed with the client's time, so that it can check this, and ours beside (section 5.2.3)."""
        ours = now.to_bytes(TIME_SIZE, "big")
        what = variables(self.key.name, self.algorithm, record.time, record.fudge, BADTIME, ours)
        mac = mac_of(self.key, self.before, message, what)
        return with_record(message, self.key.name, self.algorithm, record.time, record.fudge, mac, BADTIME, ours)


# client


def sign_query(message: bytes, key: Key, now: int) -> tuple[bytes, bytes]:
    """A query with its TSIG record, and the MAC that its reply is checked with."""
    signer = Signer(key, b"")
    signed = signer.sign(message, now)
    return signed, signer.before


class StreamChecker:
    """Checks the messages of the reply to a signed query, in turn. `complete`: the last one was signed itself, so that
    nothing may be missing before it; a reply that ends otherwise is not to be believed."""

    def __init__(self, key: Key, request_mac: bytes) -> None:
        self.key = key
        self.algorithm = wire_name(key.algorithm)
        self.running = started(key, request_mac)
        self.first = True
        self.unsigned = 0  # messages since the last signed one
        self.complete = False

    def check(self, wire: bytes, now: int) -> bytes:
        """The message without its TSIG record. Raises TsigError: then nothing of the reply is to be believed."""
        record = find(wire)
        if record is None:
            return self.hold(wire)
        if record.name != self.key.name or record.algorithm != self.algorithm:
            raise TsigError("the reply is signed by another key than the query")
        if record.error in REASONS and not record.mac:
            raise TsigError(f"refused by the other server: {REASONS[record.error]}")
        if not legal(record.mac, self.key):
            raise TsigError("the reply's signature has no legal length (RFC 8945 section 5.2.2.1)")
        message = without(wire, record)
        self.running.update(unsigned(message, record))
        self.running.update(record.variables() if self.first else timers(record.time, record.fudge))
        if not hmac.compare_digest(self.running.digest()[: len(record.mac)], record.mac):
            raise TsigError("the reply's signature is wrong: it was changed on its way, or the two keys differ")
        if record.error in REASONS:
            raise TsigError(f"refused by the other server: {REASONS[record.error]}")
        if abs(now - record.time) > record.fudge:
            raise TsigError(f"the reply was signed {now - record.time:+d} s from now; set the clocks of both servers")
        self.running = started(self.key, record.mac)
        self.first, self.unsigned, self.complete = False, 0, True
        return message

    def hold(self, wire: bytes) -> bytes:
        """An unsigned message: the next signed one vouches for it."""
        self.unsigned += 1
        if self.first or self.unsigned > MAX_UNSIGNED:
            raise TsigError("the reply is not signed; give the other server the same key")
        self.running.update(wire)
        self.complete = False
        return wire


REASONS = {
    BADSIG: "it finds our signature wrong (BADSIG); the two servers have different secrets under one key name",
    BADKEY: "it does not know our key (BADKEY); its name and algorithm must be the same on both servers",
    BADTIME: "the clocks of the two servers differ (BADTIME); set them right",
    22: "it wants a longer signature (BADTRUNC)",
}
