"""Another blocklist's zone by its differences (IXFR): from BIND, and from servers whose differences are not to be had.

Whatever way a version comes, it is the same bytes."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transferring import KEY, NOTHING, OTHER, TSIG, Answer, Bind, feed, message, refusal, serving

from dnsbl.app import App
from dnsbl.config import FeedDef
from dnsbl.intake.feeds import Pulled, pull
from dnsbl.intake.fetch import Fetched, Validators, applied, fetch, transfer
from dnsbl.intake.fetch.base import TooLarge
from dnsbl.intake.fetch.listing import Listing, Misfit

ENTRIES = 3000
CHANGES = 20
NOW = 1_790_000_000  # 2026-09-21


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TSIG", KEY)


async def pulled(made: FeedDef, kept: Path, known: Validators = NOTHING) -> Fetched:
    """What a fetch gives, kept as if it was applied."""
    got = await fetch(made, known, kept=kept)
    applied(made, got, kept)
    return got


# --- from BIND ----------------------------------------------------------------------------------------------------


@pytest.fixture
def bind(tmp_path: Path) -> Iterator[Bind]:
    if not shutil.which("named"):
        pytest.skip("BIND is not installed: there is no zone to transfer")
    (tmp_path / "bind").mkdir()
    server = Bind(tmp_path / "bind")
    server.start(1, ENTRIES)
    yield server
    server.stop()


def change(bind: Bind, rng: random.Random) -> None:
    """Entries leave, come, come back, and are given another code or TTL; some of this in a version in between."""
    for _ in range(rng.randint(1, 3)):
        update = dns.update.UpdateMessage("moving.example", keyring=dns.tsig.Key("pull.example", KEY))
        for n in rng.sample(range(ENTRIES + 600), rng.randint(1, 25)):
            owner = f"{n % 250}.{n // 250}.0.20"
            match rng.randrange(4):
                case 0:
                    update.delete(owner)
                case 1:
                    update.add(owner, 2100, "A", rng.choice(("127.0.0.2", "127.0.0.4")))
                case 2:
                    update.replace(owner, rng.choice((60, 300)), "A", "127.0.0.2")
                case 3:
                    update.replace(owner, 2100, "TXT", str(rng.random()))
        assert dns.query.tcp(update, "127.0.0.1", port=bind.port, timeout=10).rcode() == dns.rcode.NOERROR


@pytest.mark.peer
@pytest.mark.long
async def test_after_each_change_the_differences_come_to_what_a_whole_transfer_gives(
    bind: Bind, tmp_path: Path
) -> None:
    made, kept, rng = (
        feed(f"dns://127.0.0.1:{bind.port}/moving.example", tsig=TSIG),
        tmp_path / "kept",
        random.Random(7),
    )
    last = await pulled(made, kept)
    whole = last.size
    for _ in range(CHANGES):
        await asyncio.to_thread(change, bind, rng)
        last = await pulled(made, kept, last.validators)
        assert last.size < whole / 10
        fresh = await fetch(made, NOTHING)
        assert (last.data, last.validators) == (fresh.data, fresh.validators)
        assert (await fetch(made, last.validators, kept=kept)).data is None
    said = bind.stop()
    assert len(re.findall("moving.example/IN': IXFR ended", said)) == CHANGES
    assert len(re.findall("moving.example/IN': AXFR ended", said)) == CHANGES + 1, (
        "the first, and those to compare with"
    )
    # A server that has lost its journal answers IXFR with the whole zone.
    bind.start(1000, 100)
    got = await pulled(made, kept, last.validators)
    assert got.data == (await fetch(made, NOTHING)).data != last.data
    assert re.search("moving.example/IN': AXFR-style IXFR ended", bind.stop())


@pytest.mark.peer
async def test_with_another_key_nothing_comes_and_nothing_is_lost(
    bind: Bind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, kept = feed(f"dns://127.0.0.1:{bind.port}/moving.example", tsig=TSIG), tmp_path / "kept"
    first = await pulled(made, kept)
    before = kept.read_bytes()
    monkeypatch.setenv("A_TSIG", OTHER)
    assert "does not take our TSIG key" in await refusal(made, kept=kept)
    assert "does not take our TSIG key" in await refusal(made, first.validators, kept)
    monkeypatch.setenv("A_TSIG", KEY)
    again = await fetch(made, NOTHING, kept=kept)
    assert (again.data, again.size, kept.read_bytes()) == (first.data, 0, before), "IXFR: nothing has changed"


# --- from others --------------------------------------------------------------------------------------------------


@pytest.fixture
async def server() -> AsyncIterator[Callable[[Answer], Awaitable[str]]]:
    async with serving() as start:
        yield start


def soa(serial: int) -> str:
    return f"bl.example. 60 IN SOA ns.example. admin.example. {serial} 1 1 1 1"


def entry(n: int, ttl: int = 60, zone: str = "bl.example") -> str:
    return f"n{n}.spammer.com.{zone}. {ttl} IN A 127.0.0.2"


def content(*numbers: int) -> bytes:
    lines = sorted(f"n{n}.spammer.com A 127.0.0.2\n".encode() for n in numbers)
    return b"".join([b"$ORIGIN bl.example.\n", *lines])


class Primary:
    """A server of one zone, whose differences are as a test says; `asked` has the types of its queries."""

    def __init__(self) -> None:
        self.serial, self.entries = 7, range(1, 5)
        self.asked: list[str] = []
        self.differences: Answer | None = None

    async def answer(self, query: bytes, writer: asyncio.StreamWriter) -> None:
        parsed = dns.message.from_wire(query, keyring=False)
        kind = dns.rdatatype.to_text(parsed.question[0].rdtype)
        self.asked.append(kind)
        if kind == "IXFR" and self.differences:
            assert [str(rrset[0]) for rrset in parsed.authority] == [". . 7 0 0 0 0"]
            await self.differences(query, writer)
        elif kind == "SOA":
            writer.write(message(query, soa(self.serial)))
        else:
            writer.write(message(query, soa(self.serial), *map(entry, self.entries), soa(self.serial)))

    def moves_on(self, differences: Answer) -> None:
        """To version 9: the first is gone, two are new. Version 8 had one of those."""
        self.serial, self.entries, self.differences = 9, range(2, 7), differences
        self.asked.clear()


def saying(*messages: list[str], rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> Answer:
    """Answers with these messages, and closes."""

    async def answer(query: bytes, writer: asyncio.StreamWriter) -> None:
        for records in messages:
            writer.write(message(query, *records, rcode=rcode))

    return answer


def spoil(data: bytes, place: int, bits: int = 1) -> bytes:
    return data[:place] + bytes((data[place] ^ bits,)) + data[place + 1 :]


VERSIONS = [soa(9), soa(7), entry(1), soa(8), entry(5), soa(8), soa(9), entry(6), soa(9)]
ONE = [soa(9), soa(7), entry(1), soa(9), entry(5), entry(6), soa(9)]
SHUFFLED = [soa(9), soa(7), entry(1, 3), entry(2), soa(9), entry(6), entry(2, 7), entry(5), soa(9)]
OTHERS = 'x.bl.example. 60 IN TXT "kept by nobody"'


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([VERSIONS], id="version-by-version"),
        pytest.param([[record] for record in VERSIONS], id="a-record-a-message"),
        pytest.param([ONE], id="condensed"),
        pytest.param([SHUFFLED], id="in-another-order-with-other-ttls"),
        pytest.param([[*ONE[:3], OTHERS, *ONE[3:]]], id="with-records-that-are-not-kept"),
        pytest.param([[*ONE[:3], entry(1, zone="elsewhere"), *ONE[3:]]], id="with-records-of-other-zones"),
        pytest.param([[*ONE[:4], entry(3), *ONE[4:]]], id="with-what-is-there-already"),
        pytest.param([[record.upper() for record in ONE]], id="in-other-letters"),
        pytest.param([[soa(9), *map(entry, range(2, 7)), soa(9)]], id="as-the-whole-zone"),
        pytest.param([[soa(9)], [entry(2), entry(3)], [entry(6), entry(5), entry(4), soa(9)]], id="whole-in-parts"),
    ],
)
async def test_differences_are_applied(server: Any, tmp_path: Path, messages: list[list[str]]) -> None:
    primary = Primary()
    made, kept = feed(await server(primary.answer)), tmp_path / "kept"
    first = await pulled(made, kept)
    assert first.data == content(1, 2, 3, 4)
    primary.moves_on(saying(*messages))
    got = await pulled(made, kept, first.validators)
    assert (got.data, got.validators) == (content(2, 3, 4, 5, 6), Validators(etag=f"soa-9 {made.url}"))
    assert primary.asked == ["SOA", "IXFR"]


async def silent(query: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def endless(query: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(message(query, soa(9), soa(7), entry(1), soa(8)))
    more = message(query, *(entry(n % 200) for n in range(400)))
    while True:
        writer.write(more)
        await writer.drain()
        await asyncio.sleep(0)  # both ends are in this loop


async def back_and_forth(query: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(message(query, soa(2**30)))
    for serial in range(7, 2**20):
        writer.write(message(query, soa(serial), entry(1), soa(serial + 1), entry(1)))
        await writer.drain()
        await asyncio.sleep(0)


async def garbage(query: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x20" + query[:2] + b"\xff" * 30)


@pytest.mark.parametrize(
    ("differences", "why"),
    [
        pytest.param(saying(ONE[:3]), "cut", id="cut"),
        pytest.param(saying(), "cut", id="closed"),
        pytest.param(saying([]), "no transfer of the zone", id="empty"),
        pytest.param(saying([entry(5)]), "no transfer of the zone", id="no-soa"),
        pytest.param(saying([soa(9), soa(6), *ONE[2:]]), "no transfer of the zone", id="from-another-serial"),
        pytest.param(saying([*VERSIONS[:5], soa(7), *VERSIONS[6:]]), "no transfer of the zone", id="a-step-left-out"),
        pytest.param(saying([*ONE[:3], soa(8), entry(5), soa(9)]), "no transfer of the zone", id="ends-too-soon"),
        pytest.param(saying([soa(9), soa(9)]), "no transfer of the zone", id="nothing-between"),
        pytest.param(saying([soa(6)]), "no transfer of the zone", id="an-older-version"),
        pytest.param(saying([*ONE, entry(8)]), "no transfer of the zone", id="goes-on-after-its-end"),
        pytest.param(saying([*ONE[:2], entry(5), *ONE[3:]]), "is not there", id="deletes-what-is-not-there"),
        pytest.param(saying([*ONE[:2], entry(1), *ONE[2:]]), "is not there", id="deletes-twice"),
        pytest.param(saying([], rcode=dns.rcode.REFUSED), "REFUSED", id="refused"),
        pytest.param(saying([], rcode=dns.rcode.NOTIMP), "NOTIMP", id="not-implemented"),
        pytest.param(saying([], rcode=dns.rcode.FORMERR), "FORMERR", id="not-understood"),
        pytest.param(garbage, "no transfer of the zone", id="garbage"),
        pytest.param(endless, "more than 1,000 records of differences", id="endless"),
        pytest.param(back_and_forth, "more than 1,000 records of differences", id="back-and-forth"),
        pytest.param(silent, "they do not end", id="silent"),
    ],
)
async def test_where_differences_do_not_come_or_fit_the_whole_zone_is_asked_for(
    server: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, differences: Answer, why: str
) -> None:
    primary = Primary()
    made, kept = feed(await server(primary.answer), timeout=2 if differences is silent else 20), tmp_path / "kept"
    first = await pulled(made, kept)
    primary.moves_on(differences)
    with caplog.at_level(logging.INFO, "dnsbl.feeds"):
        got = await pulled(made, kept, first.validators)
    assert (got.data, got.validators) == (content(2, 3, 4, 5, 6), Validators(etag=f"soa-9 {made.url}"))
    assert primary.asked == ["SOA", "IXFR", "AXFR"]
    assert [record.message for record in caplog.records if why in record.message] == caplog.messages != []


async def test_a_whole_zone_instead_of_differences_has_all_the_time_of_one(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "DIFFERENCES_SHARE", 0.05)  # of 20 seconds

    async def slow(query: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(message(query, soa(9), entry(2), entry(3)))
        await asyncio.sleep(1.3)
        writer.write(message(query, entry(4), entry(5), entry(6), soa(9)))

    primary = Primary()
    made, kept = feed(await server(primary.answer)), tmp_path / "kept"
    await pulled(made, kept)
    primary.moves_on(slow)
    assert (await fetch(made, NOTHING, kept=kept)).data == content(2, 3, 4, 5, 6)
    assert primary.asked == ["IXFR"]


async def test_differences_cut_inside_a_message_are_none(server: Any, tmp_path: Path) -> None:
    primary = Primary()
    made, kept = feed(await server(primary.answer)), tmp_path / "kept"
    await pulled(made, kept)
    sent: list[bytes] = []

    async def damaged(query: bytes, writer: asyncio.StreamWriter) -> None:
        whole = message(query, *ONE)
        sent.append(whole)
        writer.write(whole[: len(sent) * 5])

    primary.moves_on(damaged)
    while not sent or len(sent) * 5 < len(sent[0]):
        assert (await fetch(made, NOTHING, kept=kept)).data == content(2, 3, 4, 5, 6)
    assert primary.asked.count("AXFR") == len(sent) - 1, "the last was whole"


async def test_no_byte_of_differences_can_stop_us(server: Any, tmp_path: Path) -> None:
    """Each byte made another: without a signature some of that is content, and the rest leads to the whole zone."""
    primary = Primary()
    made, kept = feed(await server(primary.answer)), tmp_path / "kept"
    await pulled(made, kept)
    place, size = 2, 3

    async def damaged(query: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal size
        whole = message(query, *ONE)
        size = len(whole)
        writer.write(spoil(whole, place, 1 << place % 8))

    primary.moves_on(damaged)
    while place < size:
        got = await fetch(made, NOTHING, kept=kept)
        assert got.data and got.data.startswith(content())
        assert primary.asked[-1] == "IXFR" or got.data == content(2, 3, 4, 5, 6), "asked again, and right"
        place += 1
    assert {"IXFR", "AXFR"} == set(primary.asked)


async def test_differences_that_are_not_signed_are_not_believed_where_we_have_a_key(
    server: Any, tmp_path: Path
) -> None:
    primary = Primary()
    url, kept = await server(primary.answer), tmp_path / "kept"
    await pulled(feed(url), kept)
    primary.moves_on(saying(ONE))
    assert "not signed by our TSIG key" in await refusal(feed(url, tsig=TSIG), kept=kept)
    assert primary.asked == ["IXFR", "AXFR"]


async def test_a_zone_that_grows_beyond_its_limit_is_refused_by_either_way(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary = Primary()
    made, kept = feed(await server(primary.answer), max_bytes=len(content(1, 2, 3, 4))), tmp_path / "kept"
    await pulled(made, kept)
    primary.moves_on(saying(ONE))
    assert "larger than" in await refusal(made, kept=kept)
    assert primary.asked == ["IXFR", "AXFR"]
    primary.moves_on(saying([soa(9), *map(entry, range(2, 7)), soa(9)]))
    assert "larger than" in await refusal(made, kept=kept)
    assert primary.asked == ["IXFR"], "that was the whole zone already"
    monkeypatch.setattr(transfer, "MAX_RECORDS", 3)
    assert "more than 3 records" in await refusal(made.model_copy(update={"max_bytes": 10_000}), kept=kept)


# --- what is kept -------------------------------------------------------------------------------------------------


async def test_what_is_lost_or_damaged_is_transferred_anew(server: Any, tmp_path: Path) -> None:
    primary = Primary()
    made, kept = feed(await server(primary.answer)), tmp_path / "transfers" / "kept"
    await pulled(made, kept)
    whole = kept.read_bytes()
    primary.moves_on(saying(ONE))
    broken = [spoil(whole, place) for place in range(0, len(whole), 3)]
    for data in (b"", whole[:-1], whole + b"\n", whole[20:], *broken):
        kept.write_bytes(data)
        assert (await fetch(made, NOTHING, kept=kept)).data == content(2, 3, 4, 5, 6)
    assert set(primary.asked) == {"AXFR"}
    kept.write_bytes(whole)
    await fetch(made, NOTHING, kept=kept)
    assert primary.asked[-1] == "IXFR"
    await fetch(made.model_copy(update={"max_bytes": 200}), NOTHING, kept=kept)
    assert primary.asked[-1] == "IXFR", "the limit is of the content, not of the file with its head"
    assert len(whole) > 200
    kept.unlink()
    kept.mkdir()  # cannot be read, nor written
    assert (await pulled(made, kept)).data == content(2, 3, 4, 5, 6)
    assert primary.asked[-1] == "AXFR"


async def test_what_is_kept_of_another_zone_or_server_is_not_ours(server: Any, tmp_path: Path) -> None:
    primary, other = Primary(), Primary()
    kept = tmp_path / "kept"
    await pulled(feed(await server(other.answer)), kept)
    assert (await fetch(feed(await server(primary.answer)), NOTHING, kept=kept)).data == content(1, 2, 3, 4)
    assert primary.asked == ["AXFR"]


async def test_only_what_was_applied_is_what_the_next_differences_are_applied_to(
    app: App, server: Any, tmp_path: Path
) -> None:
    primary = Primary()
    made = feed(await server(primary.answer), min_entries=2)
    kept = tmp_path / "transfers" / "t"

    async def turn(accept: bool = False) -> Pulled:
        primary.asked.clear()
        return await pull(app.store, made, tmp_path / "quarantine", NOW, accept)

    assert ((await turn()).state, primary.asked) == ("ok", ["AXFR"])
    before = kept.read_bytes()
    shrunk = [soa(9), soa(7), *map(entry, (2, 3, 4)), soa(9), soa(9)]
    primary.moves_on(saying(shrunk))
    for _ in range(2):
        assert (await turn()).state == "quarantined"
        assert primary.asked[-1] == "IXFR", "from the version before"
        assert kept.read_bytes() == before
    assert (tmp_path / "quarantine" / "t").read_bytes() == content(1)
    accepted = await turn(accept=True)
    assert (accepted.state, accepted.entry, primary.asked) == ("ok", (0, 3, 0, 1), ["IXFR"])
    assert kept.read_bytes() != before
    assert ((await turn()).state, primary.asked) == ("unchanged", ["SOA"])


# --- lines and differences ----------------------------------------------------------------------------------------

ZONE = b"$ORIGIN bl.example.\n"
LINES = st.sampled_from([f"{owner} A 127.0.0.2\n".encode() for owner in ("!", "#", "1", "1.1", "1.2", "2", "a", "ab")])


@given(st.sets(LINES), st.lists(st.tuples(st.booleans(), LINES)))
def test_a_listing_is_the_set_of_its_lines(before: set[bytes], steps: list[tuple[bool, bytes]]) -> None:
    listing, lines = Listing(ZONE + b"".join(sorted(before)), 10_000), set(before)
    for adding, line in steps:
        if adding:
            listing.add(line)
            lines.add(line)
        elif line in lines:
            listing.remove(line)
            lines.remove(line)
        else:
            with pytest.raises(Misfit):
                listing.remove(line)
    assert listing.applied() == ZONE + b"".join(sorted(lines))
    assert (listing.size, len(listing)) == (len(listing.applied()), len(lines))


def test_a_listing_holds_no_more_than_it_may() -> None:
    line = b"1 A 127.0.0.2\n"
    listing = Listing(ZONE, len(ZONE + line))
    for n in range(1000):
        listing.add(b"%d A 127.0.0.2\n" % (n % 10))
        listing.remove(b"%d A 127.0.0.2\n" % (n % 10))
    assert listing.applied() == ZONE
    assert not listing.added and not listing.removed
    listing.add(line)
    listing.add(line)
    with pytest.raises(TooLarge):
        listing.add(b"2 A 127.0.0.2\n")
