"""NOTIFY to secondaries that answer, do not, refuse, lie, and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import dns.message
import dns.name
import dns.opcode
import dns.rdatatype
import dns.tsig
import pytest

from dnsbl.config import DnsConfig
from dnsbl.dns import notify
from dnsbl.dns.notify import News, Notifier

SECONDS = 5
SECRET = "AAECAwQFBgcICQoLDA0ODw=="
KEY = dns.tsig.Key(dns.name.from_text("mirror"), bytes(range(16)), "hmac-sha256")
SOA = b"\xc0\x0c\0\6\0\1\0\0\0\5\0\x1a\1a\0\1b\0" + b"\0\0\0\7" * 5

Reply = Callable[[bytes], list[bytes]]


def acknowledged(wire: bytes) -> list[bytes]:
    return [wire[:2] + bytes((wire[2] | 0x80, wire[3])) + wire[4:]]


class Secondary(asyncio.DatagramProtocol):
    """Keeps what it is told, and answers as it was told to."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.told: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        host, port = transport.get_extra_info("sockname")[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.told.put_nowait(data)
        for reply in self.reply(data):
            self.transport.sendto(reply, address)  # type: ignore[attr-defined]

    async def next(self) -> dns.message.Message:
        async with asyncio.timeout(SECONDS):
            return dns.message.from_wire(await self.told.get(), keyring=KEY)


@asynccontextmanager
async def secondary(reply: Reply = acknowledged, host: str = "127.0.0.1") -> AsyncIterator[Secondary]:
    transport, made = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Secondary(reply), local_addr=(host, 0)
    )
    try:
        yield made
    finally:
        transport.close()


@asynccontextmanager
async def notifying(
    *secondaries: Secondary, key: str | None = None, zones: tuple[str, ...] = ()
) -> AsyncIterator[Notifier]:
    known = [{"address": each.address, "key": key, "zones": list(zones)} for each in secondaries]
    made = Notifier(DnsConfig.model_validate({"secondaries": known, "keys": [{"name": "mirror", "secret": SECRET}]}))
    try:
        yield made
    finally:
        await made.close()


def news(serial: int, zone: str = "ip") -> News:
    return News(zone, f"{zone or 'catalog'}.example", serial, SOA)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same machine, with pauses of some milliseconds."""
    for name, value in (("ANSWER", 0.05), ("FIRST", 0.02), ("LONGEST", 0.08), ("APART", 0.01)):
        monkeypatch.setattr(notify, name, value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_secondary_is_told_of_each_new_serial_once(host: str) -> None:
    async with secondary(host=host) as other, notifying(other) as notifier:
        for serial in (1, 2):
            notifier.tell([news(serial)])
            notifier.tell([news(serial)])
            told = await other.next()
            assert (told.opcode(), told.flags & 0x8400) == (dns.opcode.NOTIFY, 0x0400)
            assert (told.question[0].name.to_text(), told.question[0].rdtype) == ("ip.example.", dns.rdatatype.SOA)
            assert told.answer[0][0].serial == 7, "the SOA as a hint"
            await until(lambda serial=serial: notifier.snapshot()[0]["acknowledged"] == serial)
        assert notifier.snapshot() == [
            {"secondary": other.address, "zone": "ip", "serial": 2, "acknowledged": 2, "silent_since": None}
        ]
        assert other.told.empty()


async def test_it_is_signed_where_there_is_a_key_and_the_answer_must_be() -> None:
    def signed(wire: bytes) -> list[bytes]:
        asked = dns.message.from_wire(wire, keyring=KEY)
        made = dns.message.make_response(asked)
        return [*acknowledged(wire), made.to_wire()]  # the first has our own signature on it

    async with (
        secondary(lambda wire: signed(wire)[:1]) as lying,
        secondary(signed) as other,
        notifying(lying, other, key="mirror") as notifier,
    ):
        notifier.tell([news(1)])
        assert (await other.next()).had_tsig
        by = lambda: {each["secondary"]: each["acknowledged"] for each in notifier.snapshot()}  # noqa: E731
        await until(lambda: by()[other.address] == 1)
        await lying.next()
        await lying.next()
        assert by()[lying.address] is None


async def test_one_that_is_away_is_told_when_it_is_back_and_costs_others_nothing() -> None:
    away = True
    async with (
        secondary(lambda wire: [] if away else acknowledged(wire)) as gone,
        secondary() as other,
        notifying(gone, other) as notifier,
    ):
        for serial in range(1, 6):
            notifier.tell([news(serial)])
            await until(lambda serial=serial: row(notifier, other)["acknowledged"] == serial)
        assert row(notifier, gone)["acknowledged"] is None
        await until(lambda: row(notifier, gone)["silent_since"])
        away = False
        await until(lambda: row(notifier, gone)["acknowledged"] == 5)
        assert row(notifier, gone)["silent_since"] is None


def row(notifier: Notifier, secondary: Secondary) -> dict[str, object]:
    [found] = [each for each in notifier.snapshot() if each["secondary"] == secondary.address]
    return found


async def test_its_pauses_grow_and_one_message_at_a_time_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = []
    real = asyncio.timeout
    monkeypatch.setattr(notify.asyncio, "timeout", lambda seconds: pauses.append(seconds) or real(seconds))
    async with secondary(lambda _: []) as gone, notifying(gone) as notifier:
        notifier.tell([news(1)])
        for _ in range(5):
            await gone.next()
            [door] = notifier.doors.values()
            assert len(door.waiting) <= 1
    waited = [pause - notify.ANSWER for pause in pauses if pause not in (notify.ANSWER, SECONDS)]
    assert waited[0] < waited[-1] and waited == sorted(waited) and waited[-1] <= notify.LONGEST


@pytest.fixture
def patient(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not answered would be sent again long after the test."""
    monkeypatch.setattr(notify, "ANSWER", 10 * SECONDS)


async def test_a_newer_serial_does_not_wait_for_the_answer_to_the_one_before(patient: None) -> None:
    async with secondary(lambda _: []) as gone, notifying(gone) as notifier:
        for serial in range(1, 6):
            notifier.tell([news(serial)])
            await gone.next()
        [target] = notifier.targets.values()
        assert len(target.asked) == 5 and gone.told.empty()
        notifier.tell([])
        await until(lambda: not target.asked)


async def test_serials_in_quick_succession_are_told_at_most_so_often(
    patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "APART", 0.2)
    async with secondary(lambda _: []) as gone, notifying(gone) as notifier:
        notifier.tell([news(1)])
        await gone.next()
        for serial in range(2, 200):
            notifier.tell([news(serial)])
            await asyncio.sleep(0)
        await gone.next()
        assert gone.told.empty(), "the newest alone"


async def test_an_answer_that_was_overtaken_shows_that_the_secondary_lives(patient: None) -> None:
    kept: list[bytes] = []
    async with secondary(lambda wire: kept.append(wire) or []) as slow, notifying(slow) as notifier:  # type: ignore[func-returns-value]
        for serial in (1, 2):
            notifier.tell([news(serial)])
            await slow.next()
        [door] = notifier.doors.values()
        ours = door.transport.get_extra_info("sockname")
        for number, serial in enumerate((1, 2)):
            slow.transport.sendto(acknowledged(kept[number])[0], ours)  # type: ignore[attr-defined]
            await until(lambda serial=serial: row(notifier, slow)["acknowledged"] == serial)
        assert slow.told.empty()


async def test_not_implemented_is_an_answer_and_a_refusal_is_none(caplog: pytest.LogCaptureFixture) -> None:
    def with_rcode(rcode: int) -> Reply:
        return lambda wire: [wire[:2] + b"\xa4" + bytes((rcode,)) + wire[4:]]

    async with secondary(with_rcode(4)) as old, secondary(with_rcode(5)) as strict, notifying(old, strict) as notifier:
        notifier.tell([news(1)])
        await until(lambda: row(notifier, old)["acknowledged"] == 1)
        await strict.next()
        await strict.next()
        assert row(notifier, strict)["acknowledged"] is None
    said = [record.getMessage() for record in caplog.records if strict.address in record.getMessage()]
    assert len(said) == 1 and "REFUSED" in said[0]


async def test_a_dead_secondary_is_said_once_for_all_its_zones_and_once_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "dnsbl.notify")
    zones = ("ip", "domain", "hash", "white", "phone", "policy", "")
    away = True
    async with secondary(lambda wire: [] if away else acknowledged(wire)) as gone, notifying(gone) as notifier:
        for turn in (1, 2):
            away = True
            notifier.tell([news(turn, zone) for zone in zones])
            await until(lambda: all(each["silent_since"] for each in notifier.snapshot()))
            away = False
            await until(lambda turn=turn: all(each["acknowledged"] == turn for each in notifier.snapshot()))
            [dead, back] = [record.getMessage() for record in caplog.records]
            assert gone.address in dead and "7 zones" in dead and "answers again" in back
            caplog.clear()


async def test_a_zone_that_is_refused_hides_no_other_trouble(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dnsbl.notify")
    away = False

    def strict(wire: bytes) -> list[bytes]:
        refused = [wire[:2] + b"\xa4\x05" + wire[4:]]
        return refused if b"\x02ip" in wire else [] if away else acknowledged(wire)

    async with secondary(strict) as other, notifying(other) as notifier:
        notifier.tell([news(1), news(1, "hash")])
        await until(lambda: {each["zone"] for each in notifier.snapshot() if each["silent_since"]} == {"ip"})
        away = True
        notifier.tell([news(1), news(2, "hash")])
        await until(lambda: all(each["silent_since"] for each in notifier.snapshot()))
        away = False
        await until(lambda: {each["zone"] for each in notifier.snapshot() if not each["silent_since"]} == {"hash"})
    said = [record.getMessage() for record in caplog.records]
    assert [word for line in said for word in ("REFUSED", "reached", "answers again") if word in line] == [
        "REFUSED", "reached", "answers again"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        lambda wire: [bytes((wire[0] ^ 1,)) + acknowledged(wire)[0][1:]],  # another id
        lambda wire: [wire],  # a query
        lambda wire: [acknowledged(wire)[0].replace(b"\x02ip", b"\x02iq")],  # another zone
        lambda wire: [wire[:2] + b"\x84" + acknowledged(wire)[0][3:]],  # another opcode
        lambda wire: [b"", wire[:2], wire[:3] + b"\xa4", b"\xff" * 4000],
    ],
    ids=["id", "query", "zone", "opcode", "rubbish"],
)  # fmt: skip
async def test_what_is_no_answer_does_not_count(wrong: Reply) -> None:
    async with secondary(wrong) as other, notifying(other) as notifier:
        notifier.tell([news(1)])
        await other.next()
        await other.next()
        assert row(notifier, other)["acknowledged"] is None


async def test_answers_of_others_do_not_count() -> None:
    async with secondary(lambda _: []) as other, secondary() as stranger, notifying(other) as notifier:
        notifier.tell([news(1)])
        wire = await asyncio.wait_for(other.told.get(), SECONDS)
        [door] = notifier.doors.values()
        ours = door.transport.get_extra_info("sockname")
        for _ in range(3):
            stranger.transport.sendto(acknowledged(wire)[0], ("127.0.0.1", ours[1]))  # type: ignore[attr-defined]
        await other.next()
        assert row(notifier, other)["acknowledged"] is None


async def test_secondaries_are_told_of_their_own_zones() -> None:
    async with secondary() as some, secondary() as every:
        settings = {"secondaries": [{"address": some.address, "zones": ["ip"]}, {"address": every.address}]}
        notifier = Notifier(DnsConfig.model_validate(settings))
        notifier.tell([news(1), news(1, "domain"), news(1, "")])
        assert {(row["secondary"], row["zone"]) for row in notifier.snapshot()} == {
            (some.address, "ip"), (every.address, "ip"), (every.address, "domain"), (every.address, "")
        }  # fmt: skip
        await until(lambda: all(each["acknowledged"] == 1 for each in notifier.snapshot()))
        notifier.tell([news(1)])
        assert {row["zone"] for row in notifier.snapshot()} == {"ip"}
        await notifier.close()
