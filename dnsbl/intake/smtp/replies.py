"""What the receiver says: codes of RFC 5321 section 4.2 with those of RFC 3463, which RFC 2034 asks for. Pure."""

from __future__ import annotations

import re

__all__ = [
    "DEFERRED", "FAULTS", "GOODBYES", "NO_SUCH_ADDRESS", "OK", "TAKEN", "TOO_MANY_RECIPIENTS", "enhanced", "refusal",
]  # fmt: skip

OK = "250 2.1.0 OK"
TAKEN = "250 2.0.0 OK, taken"
DEFERRED = "451 4.3.0 cannot take it now; try again later"
NO_SUCH_ADDRESS = "550 5.1.1 no such address here"
TOO_MANY_RECIPIENTS = "452 4.5.3 too many recipients; send it again to the others"
FAULTS = {  # of a mail that was read to its end: by a Collector's `fault`
    "size": "552 5.3.4 mail too large",
    "line": "500 5.5.2 line too long",
    "memory": "452 4.3.1 too much mail at once; try again later",
}
GOODBYES = {  # after which the connection is closed: by the reason that is counted
    "connections": "421 4.7.0 too many connections; try again later",
    "network": "421 4.7.0 too many connections from your network; try again later",
    "idle": "421 4.4.2 timed out",
    "slow": "421 4.4.2 too slow",
    "errors": "421 4.7.0 too many errors",
    "tls": "421 4.7.0 commands came ahead of the handshake",
    "closing": "421 4.3.2 going down; try again later",
    "size": FAULTS["size"],
    "line": FAULTS["line"],
    "memory": FAULTS["memory"],
}
GENERIC = {
    "214": "2.0.0", "221": "2.0.0", "250": "2.0.0", "454": "4.7.0", "500": "5.5.2", "501": "5.5.4", "502": "5.5.1",
    "503": "5.5.1", "552": "5.3.4", "553": "5.1.3", "554": "5.7.0", "555": "5.5.4",
}  # fmt: skip
MAX_SENTENCE = 400  # characters; RFC 5321 section 4.5.3.1.5: a reply has 512 octets with its code and CRLF


def refusal(sentence: str) -> str:
    """A mail that the taker does not want, in its words; what is not ASCII in them is escaped."""
    return f"554 5.6.0 {sentence.encode('ascii', 'backslashreplace').decode()[:MAX_SENTENCE]}"


def enhanced(reply: str) -> str:
    """aiosmtpd's own replies with a code of RFC 3463, which they lack. Those of several lines are EHLO's."""
    code, blank, text = reply.partition(" ")
    if code not in GENERIC or not blank or re.match(r"[245]\.\d", text):
        return reply
    return f"{code} {GENERIC[code]} {text}"
