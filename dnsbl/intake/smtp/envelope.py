"""One mail as it came: who gave it to us, what was said about it, and its octets. All of it untrusted but the peer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Envelope", "Protocol", "Recipient"]

Protocol = Literal["smtp", "lmtp"]


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address that was declared, as it was written but for its domain, which is lower case without a final dot."""

    address: str
    class_: str  # pristine, recycled, typo, feedback; or postmaster, whose mail is no sign of anything


@dataclass(frozen=True, slots=True)
class Envelope:
    peer: str  # IP address of the client: of the socket, or from the PROXY header of a proxy that is ours
    helo: str  # as said, in printable characters, cut to MAX_HELO
    mail_from: str  # empty: the null sender
    recipients: tuple[Recipient, ...]  # one or more, in order; the same twice if it was said twice
    data: bytes = field(repr=False)  # as it came, ends of lines untouched, without dot-stuffing and the final dot
    at: int  # seconds since 1970
    protocol: Protocol = "smtp"
    tls: str = ""  # "TLSv1.3"; empty: in the clear
    local: bool = False  # the proxy speaks for itself (PROXY v2 LOCAL, UNSPEC; v1 UNKNOWN): `peer` is the proxy
    smtputf8: bool = False  # RFC 6531: the client asked for it
