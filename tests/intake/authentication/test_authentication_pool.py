"""Beside the receiver: limits of time, number and memory, a cache, and an event loop that never waits."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc

import pytest
from authentication_peers import PEER, KeyPair, World, a_mail, dead_resolver, lookups_through, signed

from dnsbl.config import TrapConfig
from dnsbl.errors import StartError
from dnsbl.intake.authentication import UNKNOWN, Authenticator, Lookups, Verdict, authenticator, evaluate, lookups
from dnsbl.intake.authentication.lookups import FAILED, Cache, Found


async def test_a_mail_is_judged(resolver: str, key: KeyPair) -> None:
    judge = Authenticator(TrapConfig(resolver=resolver))
    judge.start()
    found = await judge.judge(signed(a_mail(), "example.com", key[0]), PEER, "h.example.com", "a@example.com")
    assert (found.source, found.dmarc, found.spf, found.arc) == ("evaluated", "pass", "pass", "none")
    assert (judge.evaluated, judge.timeouts, judge.overflow, judge.waiting, judge.held) == (1, 0, 0, 0, 0)
    await judge.close()
    assert await judge.judge(a_mail(), PEER, "", "") == UNKNOWN


async def test_off_is_off() -> None:
    judge = Authenticator(TrapConfig(resolver="off"))
    judge.start()
    assert await judge.judge(a_mail(), PEER, "example.com", "a@example.com") == Verdict()
    assert judge.evaluated == 0
    await judge.close()


def test_a_system_without_resolver_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_configuration(self: object) -> None:
        raise OSError("no such file")

    monkeypatch.setattr("dns.resolver.Resolver.__init__", no_configuration)
    with pytest.raises(StartError, match=r"trap\.resolver"):
        Authenticator(TrapConfig()).start()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("per_lookup", "per_mail"), [(0.2, 600), (600, 0.5)])
def test_a_dead_resolver_takes_its_time_and_no_more(key: KeyPair, per_lookup: float, per_mail: float) -> None:
    with dead_resolver() as address:
        asked = lookups_through(address, per_lookup=per_lookup, per_mail=per_mail)
        found = evaluate(signed(a_mail(), "example.com", key[0]), PEER, "h.example", "a@b.example", asked)
    assert (found.spf, found.dkim[0][2], found.dmarc, found.aligned) == ("temperror", "temperror", "temperror", ())


def test_one_computes_while_the_others_wait_for_the_dns() -> None:
    """Two mails at once, of which the first is answered only when the second has come as far."""
    both = threading.Barrier(2, timeout=10)

    class Meeting(Lookups):
        def resolved(self, name: object, kind: str, seconds: float) -> tuple[Found, int]:
            both.wait()
            return FAILED, 10

    meeting = Meeting.through("127.0.0.1:1")
    asking = [
        threading.Thread(target=evaluate, args=(b"", PEER, "h", f"a@d{number}.example", meeting)) for number in range(2)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert not both.broken
    assert not meeting.turn.locked()


def test_time_is_of_one_mail_and_not_of_its_names() -> None:
    at = [0.0]
    asked: list[float] = []

    class Slow(Lookups):
        def resolved(self, name: object, kind: str, seconds: float) -> tuple[Found, int]:
            asked.append(seconds)
            at[0] += seconds
            return FAILED, 10

    slow = Slow.through("127.0.0.1:1")
    slow.clock = lambda: at[0]
    with slow.for_mail() as mail:
        assert all(mail.ask(f"n{number}.example", "A").failed for number in range(10))
    assert asked == [2.0, 2.0, 1.0]
    assert slow.cached(("n0.example", "A")) == FAILED
    assert slow.cached(("n2.example", "A")) is None, "one that had less time than it may take is asked again"


@pytest.mark.long
async def test_a_flood_with_a_dead_resolver_ends_in_bounded_memory() -> None:
    """All mails come to an end, and memory has a limit."""
    with dead_resolver() as address:
        judge = Authenticator(TrapConfig(), lookups_through(address, per_lookup=0.3, per_mail=0.6), limit=1.0)
        judge.start()
        tracemalloc.start()
        waiting = []
        for number in range(5000):
            mail = a_mail(body="x" * 20_000)
            waiting.append(asyncio.create_task(judge.judge(mail, PEER, "h", f"a@d{number}.example")))
            del mail
            await asyncio.sleep(0)
        found = await asyncio.gather(*waiting)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await judge.close()
    # Fewer where so much time goes by meanwhile that some are given up and make room.
    assert 2500 < judge.overflow <= 5000 - authenticator.MAX_WAITING - authenticator.THREADS
    assert judge.evaluated + judge.timeouts + judge.overflow == 5000
    assert judge.evaluated > 0 < judge.timeouts
    assert sum(verdict == UNKNOWN for verdict in found) == judge.timeouts + judge.overflow
    assert (judge.waiting, judge.held) == (0, 0)
    assert held < 64 * 2**20


async def test_bytes_are_bounded_as_mails_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "MAX_HELD", 1000)
    with dead_resolver() as address:
        judge = Authenticator(TrapConfig(), lookups_through(address, per_lookup=0.1, per_mail=0.1), limit=5)
        judge.start()
        found = await asyncio.gather(*(judge.judge(b"x" * 600, PEER, "h", "a@d.example") for _ in range(3)))
        await judge.close()
    assert [verdict.source for verdict in found] == ["evaluated", "none", "none"]
    assert judge.overflow == 2


async def test_closing_ends_what_waits() -> None:
    with dead_resolver() as address:
        judge = Authenticator(TrapConfig(), lookups_through(address, per_lookup=0.3, per_mail=60), limit=60)
        judge.start()
        waiting = [asyncio.create_task(judge.judge(a_mail(), PEER, "h", f"a@d{i}.example")) for i in range(20)]
        while judge.waiting < 20:
            await asyncio.sleep(0)
        async with asyncio.timeout(50):  # well before any of the limits of 60 s
            await judge.close()
            found = await asyncio.gather(*waiting)
    assert {verdict.aligned for verdict in found} == {()}


def test_a_name_is_asked_once(world: World, resolver: str) -> None:
    asked = lookups_through(resolver)
    for mail_from in ("a@example.com", "b@EXAMPLE.com", "a@nothing.example", "a@nothing.example"):
        evaluate(a_mail(), PEER, "h.example", mail_from, asked)
    assert len(world.asked) == len(set(world.asked))


def test_answers_grow_old(world: World, resolver: str) -> None:
    asked = lookups_through(resolver)
    at = [0.0]
    asked.clock = lambda: at[0]
    for at[0] in (0, 299, 301):
        with asked.for_mail() as mail:
            assert mail.ask("example.com", "TXT").values
    assert world.asked == [("example.com", "TXT")] * 2


def test_the_cache_is_bounded_in_number_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache()
    for number in range(12_000):
        cache.put((f"n{number}", "A"), Found(("192.0.2.1",)), 100)
    assert len(cache.kept) == lookups.MAX_CACHED
    assert cache.get(("n0", "A"), 0) is None
    assert cache.get(("n11999", "A"), 0) == Found(("192.0.2.1",))
    assert cache.get(("n11999", "A"), 100) is None
    for number in range(500):
        cache.put((f"big{number}", "TXT"), Found((b"x" * 60_000,)), 100)
    assert cache.bytes <= lookups.MAX_CACHED_BYTES
    assert cache.bytes == sum(found.size for _, found in cache.kept.values())


def test_the_cache_is_everybody_s() -> None:
    cache = Cache()

    def work(own: int) -> None:
        for number in range(3000):
            cache.put((f"n{number % 50}", "A"), Found((f"192.0.2.{own}",)), 100)
            cache.get((f"n{number % 70}", "A"), 0)

    threads = [threading.Thread(target=work, args=(own,)) for own in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache.kept) == 50
    assert cache.bytes == sum(found.size for _, found in cache.kept.values())


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "x" * 64 + ".example", "a." * 140 + "example", "b\u00fccher.example"]
)
def test_what_is_no_name_is_not_asked(world: World, resolver: str, name: str) -> None:
    with lookups_through(resolver).for_mail() as mail:
        assert mail.ask(name, "A") == Found()
    assert world.asked == []


def test_no_more_than_the_kinds_we_know_are_asked(world: World, resolver: str) -> None:
    with lookups_through(resolver).for_mail() as mail:
        assert mail.ask("example.com", "ANY") == Found()
    assert world.asked == []
