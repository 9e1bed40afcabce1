"""The messages of a zone transfer (RFC 5936 section 2.2, RFC 1995 section 4): packed records in, messages out. Pure.

Every message has the question, so that the origin in the records can be a pointer to it; the first has it as it was
asked, and OPT where the query had that. All are signed where the query was (RFC 8945 section 5.3.1). Records are taken
as they come and kept in order; one message's worth is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .message import HEADER_SIZE, MAX_TCP
from .tsig import Key, Signer

__all__ = ["Head", "Section", "framed", "messages"]

Section = tuple[int, bytes]  # records and how many; their owners end in a pointer to the question
LENGTH_SIZE = 2  # before each message over TCP (RFC 1035 section 4.2.2)
QR_AA = 0x8400


@dataclass(frozen=True, slots=True)
class Head:
    """What all messages of a reply begin with. `question` is as it was asked; `opt` an OPT record or nothing."""

    id: bytes
    echo: int  # flags of the query that come back
    question: bytes
    opt: bytes
    key: Key | None
    mac: bytes  # of the query

    def message(self, count: int, records: bytes, first: bool) -> bytes:
        """One message, unsigned."""
        opt = self.opt if first else b""
        question = self.question if first else self.question[:-4].lower() + self.question[-4:]
        flags = (QR_AA | self.echo).to_bytes(2, "big")
        counts = b"\0\1" + count.to_bytes(2, "big") + b"\0\0" + (b"\0\1" if opt else b"\0\0")
        return b"".join((self.id, flags, counts, question, records, opt))


def messages(head: Head, sections: Iterable[Section], clock: Callable[[], float]) -> Iterator[bytes]:
    """The messages that carry these records; `clock` gives seconds since 1970. A section fits one message."""
    signer = Signer(head.key, head.mac) if head.key else None
    reserved = HEADER_SIZE + len(head.question) + (head.key.room if head.key else 0)
    room = MAX_TCP - reserved - len(head.opt)
    held: list[bytes] = []
    count = size = 0
    first = True
    for number, records in sections:
        if held and size + len(records) > room:
            yield finished(head, count, held, first, signer, clock)
            first, held, count, size, room = False, [], 0, 0, MAX_TCP - reserved
        held.append(records)
        count += number
        size += len(records)
    yield finished(head, count, held, first, signer, clock)


def finished(
    head: Head, count: int, held: list[bytes], first: bool, signer: Signer | None, clock: Callable[[], float]
) -> bytes:
    message = head.message(count, b"".join(held), first)
    return signer.sign(message, int(clock())) if signer else message


def framed(message: bytes) -> bytes:
    """With its length before it."""
    return len(message).to_bytes(LENGTH_SIZE, "big") + message
