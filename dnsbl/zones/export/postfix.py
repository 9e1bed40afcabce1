"""Tables of networks for Postfix (cidr_table(5)).

Pieces do not overlap, so in a table, where the first match counts, the order is of no matter. A network that is listed
as good only is let through to the next check (DUNNO), or past postscreen's tests (permit): never accepted blindly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...config import CodeDef, ZoneDef
from ..contents import Contents
from .codes import good
from .entries import NOTE, Lines, Part, entries, public, told
from .rbldnsd import plain
from .text import header

__all__ = ["cidr_lines", "postscreen_lines"]

NOTES = (
    NOTE,
    "Not in it: codes, and the texts of any code but the first. Postfix goes through the whole table for each client:",
    "ask by DNS where it has more than some ten thousand lines (export format `postfix`).",
)
CIDR_NOTE = "smtpd_client_restrictions = check_client_access cidr:/etc/postfix/FILE"
POSTSCREEN_NOTE = "postscreen_access_list = permit_mynetworks, cidr:/etc/postfix/FILE"


def cidr_lines(held: Contents) -> Iterator[str]:
    yield from table(held, CIDR_NOTE, lambda codes: cidr_line(held.zone, codes))


def postscreen_lines(held: Contents) -> Iterator[str]:
    yield from table(held, POSTSCREEN_NOTE, postscreen_line)


def table(held: Contents, note: str, line: Callable[[list[CodeDef]], Iterator[Part]]) -> Iterator[str]:
    held = public(held)
    yield header(held, "#", [*NOTES, note])
    yield from map(Lines(held.zone, line).of, entries(held))


def cidr_line(zone: ZoneDef, codes: list[CodeDef]) -> Iterator[Part]:
    """The status in front keeps a text that begins with digits from being taken for one (access(5))."""
    yield None
    bad = [code for code in codes if not good(code)]
    if not bad:
        yield " DUNNO\n"
        return
    yield " REJECT 5.7.1 "
    yield from told(next((code.text for code in bad if code.text), f"$ is listed in {zone.origin}"), ascii_line)
    yield "\n"


def ascii_line(text: str) -> str:
    """As a reply may be (RFC 5321 section 4.2.1)."""
    return plain(text).encode("ascii", "replace").decode()


def postscreen_line(codes: list[CodeDef]) -> Iterator[Part]:
    yield None
    yield " permit\n" if all(map(good, codes)) else " reject\n"
