"""Who handed a mail over: the address that a machine of the receiving side itself saw, and never one that a sender
could have written.

Every relay puts its Received line on top (RFC 5321 section 4.4). So the topmost was written by the machine that gave
the mail to us; where that is a relay of ours, its line names whom it had the mail from, and so on down while that is a
relay of ours too. Below the first address that is not, every line is the sender's own invention.

Within a line the words after `from` (HELO) and the host name in the comment (reverse DNS) are the sender's choice; only
the address that stands where the relay's software puts it is a fact:

    from helo (rdns [192.0.2.1]) by mx          Postfix, Sendmail, Gmail
    from rdns ([192.0.2.1] helo=helo) by mx     Exim; from [192.0.2.1] (helo=helo) without reverse DNS
    from rdns (HELO helo) (ident@192.0.2.1)     qmail
    from helo (192.0.2.1) by mx (10.0.0.1)      Exchange

A line that can be read in two ways is not read: who is in doubt lists nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from ...errors import IntakeError
from ...special import PRIVATE_RANGES
from ...subjects import parse
from .headers import comments, read_head

__all__ = ["Hop", "Network", "last_hop"]

Network = IPv4Network | IPv6Network

MAX_LINE = 2048  # characters of one Received line: real ones have 100 to 500
MAX_WALK = 32  # lines: more relays of ours in a row are a loop
MAX_HELO = 255  # characters kept
LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

BARE = r"(?:IPv6:)?([0-9a-f.:]{3,45})"
LITERAL = rf"\[{BARE}\](?::\d{{1,5}})?"
IDENT = r"(?:[^\s()\[\]@]{0,64}@)?"  # RFC 1413, as the peer says
# What a relay's software writes of the connection: [ident@][rdns] [address], or the bare address of qmail, Exchange.
CONNECTION = re.compile(
    rf"\s*(?!(?:helo|ehlo|account)[ =]){IDENT}(?:[\w.:+=/-]{{1,255}}\s+)?{LITERAL}(?:\s*\(may be forged\))?"
    r"(?:\s+helo=(\S{1,300}))?(?:\s+ident=\S{1,300})?\s*"
    rf"|\s*{IDENT}{BARE}\s*",
    re.IGNORECASE,
)
GREETING = re.compile(
    r"\s*(?:account \S{1,100} )?(?:helo|ehlo)[ =](\S{0,300})(?:\s+ident=\S{0,300})?\s*", re.IGNORECASE
)
ADDRESS = re.compile(rf"{LITERAL}|{BARE}", re.IGNORECASE)
PULLED = re.compile(r"a?pop[23]?s?|k?pop3?|imaps?|imap4(?:rev1)?|etrn|odmr|sdps", re.IGNORECASE)
WITHIN = re.compile(r"lmtps?a?", re.IGNORECASE)  # RFC 2033: never over a wide area network
NETWORK_HALF = re.compile(r"\(qmail \d{1,20} invoked from network\)", re.IGNORECASE)
COMMENT = "\0"  # stands for one


@dataclass(slots=True, frozen=True)
class Hop:
    """Who handed the mail over, as a machine of the receiving side saw it: the address in its shortest form, and the
    name it gave itself, which says whatever it likes."""

    address: str
    helo: str = ""


class Line(NamedTuple):
    """What one Received line says. No hop: handed over within the machine. `pulled`: fetched from a mailbox of ours."""

    hop: Hop | None
    pulled: bool = False


def last_hop(head: bytes, peer: Hop | None, relays: Sequence[Network]) -> Hop:
    """Who handed the mail to the receiving side. `head`: the mail, or its header fields; `peer`: who gave it to us, or
    None where it lay in a mailbox: then its topmost line was written by our side, and loopback is ours too. `relays`:
    our own networks. Raises IntakeError with the reason where that cannot be known."""
    ours = [*relays, *LOOPBACK] if peer is None else list(relays)
    hop = first = Hop(known_address(peer.address), peer.helo) if peer else None
    walk = received(head)
    while hop is None or inside(hop.address, ours):
        text = next(walk, None)
        if text is None:
            raise IntakeError(f"no Received line shows who handed the mail to {hop.address if hop else 'the mailbox'}")
        line = read_line(text)
        if line.hop is None:
            refuse_local(text, ours)
            continue
        hop = line.hop
        if line.pulled:
            ours.append(ip_network(hop.address))
    if hop is not first and PRIVATE_RANGES.covers(parse(hop.address)):  # a machine of ours that nobody has declared
        raise IntakeError(f"a relay had it from {hop.address}, which is private and not among the relays")
    return hop


def received(head: bytes) -> Iterator[str]:
    """The Received lines from the top. Raises IntakeError after MAX_WALK."""
    fields, _ = read_head(head)
    for number, text in enumerate(fields.every("received")):
        if number == MAX_WALK:
            raise IntakeError(f"more than {MAX_WALK} Received lines of relays of ours")
        yield text


def refuse_local(text: str, ours: Sequence[Network]) -> None:
    """What was handed over within a relay may have been made there, with Received lines to one's liking. Raises
    IntakeError where the relay's loopback is not among ours. Half of qmail's two lines says nothing of the kind."""
    if not inside("127.0.0.1", ours) and not NETWORK_HALF.match(text):
        raise IntakeError("handed over within a relay, whose loopback is not among the relays")


def inside(address: str, networks: Sequence[Network]) -> bool:
    ip = ip_address(address)
    return any(ip in network for network in networks)


def read_line(text: str) -> Line:
    """One Received line. Raises IntakeError where it is in no known form, or could be read in two ways."""
    if len(text) > MAX_LINE:
        raise IntakeError(f"a Received line of more than {MAX_LINE} characters")
    outside, within = comments(text.replace(COMMENT, ""), COMMENT)
    words = outside.split()
    lower = [word.lower() for word in words]
    if lower[:1] != ["from"]:
        if "from" in lower:
            raise IntakeError("a Received line whose from clause is not where it belongs")
        return Line(None)
    rest = lower[2:]  # the word after `from` is the sender's: it may say "by"
    if "from" in rest or rest.count("by") != 1:
        raise IntakeError("a Received line with more or less than one from and one by")
    by = 2 + rest.index("by")
    protocol = lower[lower.index("with") + 1 :][:1] if "with" in lower[by:] else []
    return peer_of(words[1:by], within, "".join(protocol))


def peer_of(clause: list[str], within: list[str], protocol: str) -> Line:
    """What the words between `from` and `by` say. `within`: all comments of the line, of which the clause has the
    first. Raises IntakeError."""
    count = clause.count(COMMENT)
    named = [word for word in clause if word != COMMENT]
    greetings = [match for comment in within[:count] if (match := GREETING.fullmatch(comment))]
    others = (comment for comment in within[:count] if not GREETING.fullmatch(comment))
    found = [hop for comment in others if (hop := connection(comment, named))]
    if len({hop.address for hop in found}) > 1:
        raise IntakeError("a Received line that names more than one address")
    if PULLED.fullmatch(protocol):
        return Line(found[0] if found else literal(named[-1:], ""), pulled=True)
    if len(named) > 1:
        raise IntakeError("a Received line whose from clause has several names")
    if found:
        return Line(Hop(found[0].address, greetings[0][1][:MAX_HELO]) if greetings else found[0])
    if greetings:
        return Line(literal(named, greetings[0][1]))
    if any(comment.lower().startswith("exim ") for comment in within[count:]):
        return Line(literal(named, ""))
    if WITHIN.fullmatch(protocol):
        return Line(None)
    raise IntakeError("a Received line in no known form")


def connection(comment: str, named: list[str]) -> Hop | None:
    """The peer in a comment that is about the connection; other comments (TLS, authentication) are not."""
    match = CONNECTION.fullmatch(comment)
    address = plain_address(match[1] or match[3]) if match else None
    if match is None or address is None:
        return None
    return Hop(address, (match[2] or "".join(named[:1]))[:MAX_HELO])


def literal(named: list[str], helo: str) -> Hop:
    """The peer where the address itself stands after `from`, as Exim has it without reverse DNS. Raises IntakeError."""
    match = ADDRESS.fullmatch("".join(named))
    return Hop(known_address(match[1] or match[2] if match else ""), helo[:MAX_HELO])


def known_address(text: str) -> str:
    """An address in its shortest form. Raises IntakeError."""
    address = plain_address(text)
    if address is None:
        raise IntakeError("no address where the peer's is looked for")
    return address


def plain_address(text: str) -> str | None:
    """An address in its shortest form; IPv4-mapped IPv6 is the IPv4 it stands for."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return str((address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address)
