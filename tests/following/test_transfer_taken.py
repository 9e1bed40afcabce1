"""The order of a transfer's records says what they are: everything out of order is refused."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Iterator, Sequence

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transfers import message, whole
from worlds import EXAMPLES, IP, world

from dnsbl.config import ZoneDef
from dnsbl.errors import TransferError
from dnsbl.following.transfer import AXFR, IXFR, Transfer
from dnsbl.following.verify import misfit, same_records
from dnsbl.zones.wire import soa_record

A_RECORD = struct.pack("!HHIH", 1, 1, IP.ttl, 4) + b"\x7f\0\0\2"


def host(number: int) -> bytes:
    label = str(number).encode()
    return bytes((len(label),)) + label + b"\x012\x012\x019\xc0\x0c" + A_RECORD


def soa(serial: int) -> bytes:
    return soa_record(IP, serial)


def taken(parts: Sequence[bytes], have: int | None = 5, each: int = 100, zone: ZoneDef = IP) -> Transfer:
    """A transfer of these records, `each` a message."""
    transfer = Transfer(zone, 7, IXFR if have else AXFR, have, io.BytesIO())
    for start in range(0, len(parts), each):
        some = parts[start : start + each]
        transfer.message(message(zone, 7, IXFR if have else AXFR, [(1, part) for part in some]))
    return transfer


@pytest.mark.parametrize("each", [1, 2, 3, 100])
def test_a_whole_zone(each: int) -> None:
    transfer = taken([soa(9), host(1), host(2), soa(9)], None, each)
    assert transfer.done and transfer.whole and transfer.serial == 9
    listed = transfer.gathered.blocks.done().listed4()
    assert (listed.first.tolist(), listed.last.tolist()) == ([0x09020201], [0x09020202])


@pytest.mark.parametrize("each", [2, 3, 100])
def test_differences_in_several_steps_come_to_one(each: int) -> None:
    steps = [soa(5), host(1), host(2), soa(7), host(3), host(4), soa(7), host(3), soa(9), host(1), soa(9)]
    transfer = taken([soa(9), *steps], 5, each)
    assert transfer.done and not transfer.whole and not transfer.current
    assert {record[0][:2] for record in transfer.removed} == {b"\x012"}
    assert {record[0][:2] for record in transfer.added} == {b"\x014"}


@pytest.mark.parametrize("each", [1, 2, 100])
def test_differences_may_be_answered_with_all(each: int) -> None:
    assert taken([soa(9), host(1), soa(9)], 5, each).whole


def test_nothing_new_is_one_record() -> None:
    for serial in (5, 4):
        transfer = taken([soa(serial)], 5)
        assert transfer.done and transfer.current
    assert not taken([soa(9)], 5).done  # more is to come


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([host(1), soa(9)], "does not begin with the SOA"),
        ([soa(9), host(1), soa(8)], "where none can be"),
        ([soa(9), soa(5), host(1), soa(7), host(2), soa(6)], "where none can be"),
        ([soa(9), soa(6), host(1), soa(9)], "where none can be"),
        ([soa(9), soa(5), host(1), host(1), soa(9)], "delete or add a record twice"),
        ([soa(9), host(1), soa(9), host(2)], "after the end"),
        ([soa(9), host(1), b"\x01a" + soa(9), soa(9)], "not at the origin"),
        ([soa(9), b"\x01a\xc0\x0c" + A_RECORD, soa(9)], "no address or network"),
        ([soa(9), host(1).replace(b"\x7f\0\0\2", b"\x7f\0\0\3"), soa(9)], "no code of this zone"),
    ],
)
def test_what_is_out_of_order_is_refused(parts: list[bytes], why: str) -> None:
    with pytest.raises(TransferError, match=why):
        transfer = taken(parts)
        transfer.gathered.blocks.done()


def test_a_refusal_says_what_the_primary_says() -> None:
    wire = bytearray(message(IP, 7, IXFR, []))
    wire[3] |= 5
    with pytest.raises(TransferError, match="REFUSED"):
        Transfer(IP, 7, IXFR, 5, io.BytesIO()).message(bytes(wire))


# against the records of a zone


@pytest.fixture(scope="module")
def served() -> Iterator[list[bytes]]:
    with world([IP]) as made:
        made.report("9.2.2.0/24", "2.0.0.0/24", "9.3.3.3", "2a00:1::/32")
        made.settle()
        made.publish("ip")
        yield [made.served("ip"), list(whole(made.served("ip"), 7))]


def test_the_order_of_records_is_of_no_matter(served: list) -> None:  # type: ignore[type-arg]
    """Another server sends them in another order, and knows its own ways of packing."""
    view, messages = served
    transfer = Transfer(IP, 7, AXFR, None, io.BytesIO())
    first, *middle, last = messages
    random.Random(1).shuffle(middle)
    for wire in [first, *middle, last]:
        transfer.message(wire)
    assert transfer.done and same_records(transfer, view)


@settings(max_examples=100 * EXAMPLES, deadline=None)
@given(st.data())
def test_any_octet_that_is_changed_is_found(served: list, data: st.DataObject) -> None:  # type: ignore[type-arg]
    view, messages = served
    number = data.draw(st.integers(1, len(messages) - 2))
    wire = bytearray(messages[number])
    place = data.draw(st.integers(12, len(wire) - 1))
    wire[place] ^= data.draw(st.integers(1, 255))
    changed = [*messages[:number], bytes(wire), *messages[number + 1 :]]
    transfer = Transfer(IP, 7, AXFR, None, io.BytesIO())
    try:
        for each in changed:
            transfer.message(each)
        transfer.gathered.blocks.done()
    except TransferError:
        return
    if not same_records(transfer, view):  # else it was the case of a letter, or a pointer to a pointer to the origin
        assert "the zone" in str(misfit(transfer, view)) or "twice" in str(misfit(transfer, view))
    else:
        assert read(bytes(wire)) == read(messages[number])


def read(wire: bytes) -> list[str]:
    """The records of a message, as another library reads them."""
    return [str(each).lower() for each in dns.message.from_wire(wire, one_rr_per_rrset=True).answer]
