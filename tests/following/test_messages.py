"""Transfer messages: any legal packing is read as dnspython reads it, and nothing illegal does more than be refused."""

from __future__ import annotations

import struct

import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EXAMPLES

from dnsbl.errors import TransferError
from dnsbl.following.messages import SOA, Record, header, question, records, soa_numbers

ORIGIN = b"\x02ip\x07example\0"
NAME = dns.name.from_text("ip.example.")
SOA_TEXT = "ns1.Example. hostmaster.ip.example. 7 900 300 604800 60"

labels = st.text("abc09-*", min_size=1, max_size=5)
owners = st.lists(labels, max_size=6).map(lambda parts: ".".join([*parts, "ip.example."]))
datas = st.sampled_from(
    [("A", "127.0.0.2"), ("TXT", '"some words" "and more"'), ("NS", "ns1.ip.example."), ("NS", "NS9.Other."),
     ("SOA", SOA_TEXT), ("AAAA", "2001:db8::1")]
)  # fmt: skip


def rendered(rows: list[tuple[str, tuple[str, str]]], qtype: str = "AXFR") -> bytes:
    """A reply as dnspython packs it: names compressed wherever they can be."""
    message = dns.message.make_query(NAME, qtype, id=7)
    message.flags = dns.flags.QR | dns.flags.AA
    message.answer = [dns.rrset.from_text(owner, 300, "IN", rtype, data) for owner, (rtype, data) in rows]
    return message.to_wire(max_size=65535)


def read(wire: bytes, qtype: int = 252) -> list[Record]:
    head = header(wire, 7, ORIGIN, qtype)
    return list(records(wire, head.start, head.answers, ORIGIN))


def plain(owner: str, rtype: str, data: str) -> Record:
    name = dns.name.from_text(owner.lower())
    rdata = dns.rrset.from_text(owner, 300, "IN", rtype, data)[0]
    octets = rdata.to_digestable() if rtype in ("NS", "SOA") else rdata.to_wire()
    return name.to_wire()[: -len(ORIGIN)], int(dns.rdatatype.from_text(rtype)), 300, octets


@settings(max_examples=150 * EXAMPLES)
@given(st.lists(st.tuples(owners, datas), min_size=1, max_size=20))
def test_names_are_read_however_they_are_compressed(rows: list[tuple[str, tuple[str, str]]]) -> None:
    assert read(rendered(rows)) == [plain(owner, rtype, data) for owner, (rtype, data) in rows]


@settings(max_examples=500 * EXAMPLES)
@given(st.data())
def test_an_altered_message_is_read_or_refused(data: st.DataObject) -> None:
    wire = bytearray(rendered([("a.b.ip.example.", ("A", "127.0.0.2")), ("*.b.ip.example.", ("SOA", SOA_TEXT))]))
    for place in data.draw(st.lists(st.integers(0, len(wire) - 1), max_size=4)):
        wire[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(wire)))
    for octets in (bytes(wire), bytes(wire[:cut])):
        try:
            found = read(octets)
        except TransferError:
            continue
        assert all(len(owner) + len(ORIGIN) <= 255 for owner, *_ in found)


@settings(max_examples=500 * EXAMPLES)
@given(st.binary(max_size=300))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    head = question(7, ORIGIN, 252)
    wire = head[:2] + b"\x84\0" + head[4:6] + b"\0\3" + head[8:] + octets
    try:
        read(wire)
    except TransferError:
        return


@pytest.mark.parametrize(
    ("owner", "why"),
    [
        (b"\xc0\x00", "does not lead back"),  # into the header
        (b"\xc0\x1c", "does not lead back"),  # to itself
        (b"\xc0\x30", "does not lead back"),  # onwards
        (b"\x01a\x40", "no known kind"),
        (b"\x01a\0", "outside the zone"),
        (b"\x0ca" + ORIGIN, "outside the zone"),  # the origin's octets, not its labels
        (b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x34" + b"a" * 52 + b"\xc0\x0c", "name"),
    ],
)
def test_names_that_are_none(owner: bytes, why: str) -> None:
    head = question(7, ORIGIN, 252)
    assert len(head) == 0x1C
    wire = head[:2] + b"\x84\0" + head[4:6] + b"\0\1" + head[8:] + owner
    with pytest.raises(TransferError, match=why):
        read(wire + struct.pack("!HHIH", 1, 1, 300, 4) + b"\x7f\0\0\2")


@pytest.mark.parametrize("hops", [127, 128])
def test_pointers_to_pointers_end(hops: int) -> None:
    """No name needs more than it may have labels. Thousands of records, each with a name of thousands of pointers,
    would take seconds a message."""
    head = question(7, ORIGIN, 252)
    chain = b"".join(struct.pack("!H", 0xC000 | (0x0C if not n else 0x1C + 2 * (n - 1))) for n in range(2000))
    record = struct.pack("!HHIH", 1, 1, 300, 4) + b"\x7f\0\0\2"
    body = b"\x01a\xc0\x0c" + struct.pack("!HHIH", 16, 1, 300, len(chain)) + chain
    start = len(head) + 4 + 10
    chain = b"".join(struct.pack("!H", 0xC000 | (0x0C if not n else start + 2 * (n - 1))) for n in range(2000))
    body = body[:14] + chain
    last = struct.pack("!H", 0xC000 | (start + 2 * (hops - 2)))
    wire = head[:2] + b"\x84\0" + head[4:6] + b"\0\2" + head[8:] + body + b"\x01b" + last + record
    if hops <= 127:
        assert read(wire)[1][0] == b"\x01b"
    else:
        with pytest.raises(TransferError, match="too many of them"):
            read(wire)


@pytest.mark.parametrize("flags", [0x0400, 0x8C00, 0x9400])
def test_what_is_no_reply_is_refused(flags: int) -> None:
    wire = bytearray(rendered([("ip.example.", ("SOA", SOA_TEXT))]))
    wire[2:4] = struct.pack("!H", flags)
    with pytest.raises(TransferError, match="no reply"):
        header(bytes(wire), 7, ORIGIN, 252)


def test_another_id_or_question_is_refused() -> None:
    wire = rendered([("ip.example.", ("SOA", SOA_TEXT))])
    with pytest.raises(TransferError, match="no reply"):
        header(wire, 8, ORIGIN, 252)
    with pytest.raises(TransferError, match="another question"):
        header(wire, 7, ORIGIN, 251)
    (record,) = read(wire)
    assert record[1] == SOA and soa_numbers(record[3]) == (7, 900, 300, 604800, 60)
