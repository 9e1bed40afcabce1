"""Another blocklist's zone by transfer: from BIND, signed and not, and from servers that cut, lie or never end."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from transferring import KEY, NOTHING, OTHER, SECONDS, TSIG, Answer, Bind, feed, message, refusal, serving

from dnsbl.intake.fetch import Validators, fetch, transfer
from dnsbl.intake.formats import FormatOptions, parse
from dnsbl.subjects import parse as subject

ENTRIES = 5000


# --- from BIND ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    if not shutil.which("named"):
        pytest.skip("BIND is not installed: there is no zone to transfer")
    server = Bind(tmp_path_factory.mktemp("bind"))
    server.start(2026060101, ENTRIES)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TSIG", KEY)


@pytest.mark.peer
async def test_a_signed_transfer_is_the_zone_s_listings(bind: Bind) -> None:
    got = await fetch(feed(f"dns://127.0.0.1:{bind.port}/bl.example", tsig=TSIG), NOTHING)
    assert got.validators == Validators(etag=f"soa-2026060101 {got.url}")
    assert got.data and got.data.startswith(b"$ORIGIN bl.example.\n")
    parsed = parse(got.data, "dnsbl-zone", FormatOptions(words={"127.0.0.2": "spam"}))
    wanted = {subject(f"20.0.{n // 250}.{n % 250}") for n in range(ENTRIES)}
    others = {subject("2001:db8::/32"), subject("9.0.0.0/8"), subject("worse.bad"), subject("www.worse.bad")}
    assert wanted < set(parsed.hits) <= wanted | others
    assert [reject.why for reject in parsed.rejects] == [
        "a single label is no domain: it would cover a whole top-level domain"
    ]
    assert parsed.words[subject("20.0.0.1")] == "127.0.0.2"


@pytest.mark.peer
async def test_an_unsigned_transfer_and_a_relative_name_with_a_dot(bind: Bind) -> None:
    got = await fetch(feed(f"dns://localhost:{bind.port}/Open.Example."), NOTHING)
    assert len(parse(got.data or b"", "dnsbl-zone").hits) > ENTRIES


@pytest.mark.peer
@pytest.mark.parametrize(
    ("zone", "tsig", "secret", "why"),
    [
        ("bl.example", None, KEY, "it may want a TSIG key"),
        ("bl.example", TSIG, OTHER, "does not take our TSIG key"),
        ("bl.example", {**TSIG, "name": "other.example"}, KEY, "does not take our TSIG key"),
        ("bl.example", {**TSIG, "algorithm": "hmac-sha512"}, KEY, "does not take our TSIG key"),
        ("bl.example", TSIG, "not base64!", "is not base64"),
        ("bl.example", TSIG, "", "environment variable A_TSIG is not set"),
        ("elsewhere.example", TSIG, KEY, "gives no zone"),
    ],
)
async def test_without_the_right_key_there_is_no_zone_and_a_sentence(
    bind: Bind, monkeypatch: pytest.MonkeyPatch, zone: str, tsig: dict[str, str] | None, secret: str, why: str
) -> None:
    monkeypatch.setenv("A_TSIG", secret)
    made = feed(f"dns://127.0.0.1:{bind.port}/{zone}", tsig=tsig)
    assert why in await refusal(made)
    assert why in await refusal(made, Validators(etag="soa-1")), "asking for the serial says the same"


@pytest.mark.peer
async def test_a_zone_larger_than_allowed_is_refused(bind: Bind, monkeypatch: pytest.MonkeyPatch) -> None:
    made = feed(f"dns://127.0.0.1:{bind.port}/open.example")
    size = (await fetch(made, NOTHING)).size
    assert (await fetch(made.model_copy(update={"max_bytes": size}), NOTHING)).size == size
    assert "larger than" in await refusal(made.model_copy(update={"max_bytes": size - 1}))
    monkeypatch.setattr(transfer, "MAX_RECORDS", ENTRIES)
    assert f"more than {ENTRIES:,} records" in await refusal(made)


@pytest.mark.peer
async def test_a_serial_that_is_known_is_nothing_new_and_another_is(bind: Bind) -> None:
    made = feed(f"dns://127.0.0.1:{bind.port}/bl.example", tsig=TSIG)
    known = (await fetch(made, NOTHING)).validators
    again = await fetch(made, known)
    assert (again.data, again.validators) == (None, known)
    other = feed(f"dns://127.0.0.1:{bind.port}/open.example")
    assert (await fetch(other, known)).data, "the same serial of another zone is another's"
    bind.stop()
    bind.start(2026060102, 10)
    newer = await fetch(made, known)
    assert newer.validators == Validators(etag=f"soa-2026060102 {made.url}")
    assert newer.data and newer.data.count(b"\n") == 10 + 6


@pytest.mark.peer
async def test_a_public_feed_goes_to_no_private_server(bind: Bind) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"):
        assert "is not public" in await refusal(feed(f"dns://{host}:{bind.port}/open.example", private=False))
    assert "no address as one writes it" in await refusal(feed("dns://127.1/open.example"))


# --- from others --------------------------------------------------------------------------------------------------


@pytest.fixture
async def server() -> AsyncIterator[Callable[[Answer], Awaitable[str]]]:
    async with serving() as start:
        yield start


SOA = "bl.example. 60 IN SOA ns.example. admin.example. 7 1 1 1 1"
LISTED = "2.2.0.192.bl.example. 60 IN A 127.0.0.2"


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([[SOA, LISTED]], ": cut: "),
        ([[]], "no transfer of the zone"),
        ([[LISTED]], "no transfer of the zone"),
        ([[SOA, LISTED, SOA.replace(" 7 ", " 8 ")]], "no transfer of the zone"),
        ([[SOA, LISTED, SOA, LISTED]], "no transfer of the zone"),
        ([[SOA.replace("bl.example", "other.example", 1)]], "no transfer of the zone"),
    ],
)
async def test_what_is_no_whole_transfer_is_never_content(server: Any, messages: list[list[str]], why: str) -> None:
    async def answer(query: bytes, writer: asyncio.StreamWriter) -> None:
        for records in messages:
            writer.write(message(query, *records))

    assert why in await refusal(feed(await server(answer)))


async def test_a_whole_transfer_in_several_messages_is_content(server: Any) -> None:
    async def answer(query: bytes, writer: asyncio.StreamWriter) -> None:
        for records in ([SOA], [LISTED], [LISTED.replace("2.2", "3.2", 1), SOA]):
            writer.write(message(query, *records))

    got = await fetch(feed(await server(answer)), NOTHING)
    assert got.data == b"$ORIGIN bl.example.\n2.2.0.192 A 127.0.0.2\n3.2.0.192 A 127.0.0.2\n"


async def test_an_answer_that_is_not_signed_is_not_believed_where_we_have_a_key(server: Any) -> None:
    async def answer(query: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(message(query, SOA, LISTED, SOA))

    url = await server(answer)
    assert "not signed by our TSIG key" in await refusal(feed(url, tsig=TSIG))
    assert "not signed by our TSIG key" in await refusal(feed(url, tsig=TSIG), Validators(etag="soa-7"))


async def test_garbage_and_silence_are_sentences(server: Any) -> None:
    async def garbage(query: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x20" + query[:2] + b"\xff" * 30)

    async def silence(query: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(SECONDS)

    assert "no transfer of the zone" in await refusal(feed(await server(garbage)))
    assert "not done within 0.3 s" in await refusal(feed(await server(silence), timeout=0.3))
    assert "Connection refused" in await refusal(feed("dns://127.0.0.1:1/bl.example"))


async def test_a_transfer_without_end_stops_at_the_limit(server: Any) -> None:
    async def answer(query: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(message(query, SOA))
        more = message(query, *(f"{n}.1.9.20.bl.example. 60 IN A 127.0.0.2" for n in range(200)))
        while True:
            writer.write(more)
            await writer.drain()
            await asyncio.sleep(0)  # both ends are in this loop

    assert "larger than the 100,000 bytes" in await refusal(feed(await server(answer), max_bytes=100_000))
