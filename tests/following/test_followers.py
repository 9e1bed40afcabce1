"""When a zone is asked for, and when it is not answered from any more."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from worlds import IP

from dnsbl import config
from dnsbl.config.distribution import FollowConfig
from dnsbl.errors import TransferError
from dnsbl.following import following as module
from dnsbl.following.asking import Primary, encrypted
from dnsbl.following.following import Follower, Following
from dnsbl.zones import followed as states
from dnsbl.zones.followed import Expiry, Followed, force, forced, read_followed, write_followed

WITHIN = 30  # seconds; what takes longer hangs
FOLLOW = FollowConfig(zone="ip", primaries=["192.0.2.1:53"])


class Source:
    """A primary as a test wants it; says when it was asked."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[bool] = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        self.error = ""
        self.closed = False

    def refresh(self, expired: bool) -> tuple[int, str]:
        self.loop.call_soon_threadsafe(self.asked.put_nowait, expired)
        if self.error:
            raise TransferError(self.error)
        return 7, "192.0.2.1:53"

    def close(self) -> None:
        self.closed = True


async def asked(source: Source) -> bool:
    return await asyncio.wait_for(source.asked.get(), WITHIN)


async def until(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not predicate():
            await asyncio.sleep(0.01)


async def test_a_zone_is_refreshed_at_once_and_when_woken(tmp_path: Path) -> None:
    source = Source()
    follower = Follower(IP, FOLLOW, source, tmp_path)
    task = asyncio.create_task(follower.run())
    assert await asked(source)  # nothing was ever taken: what is there counts for nothing
    await until(lambda: read_followed(tmp_path) is not None)
    state = read_followed(tmp_path)
    assert state is not None and (state.serial, state.source, state.error) == (7, "192.0.2.1:53", "")
    follower.woken.set()
    assert not await asked(source)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed


async def test_however_often_it_is_woken_one_more_refresh_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Source):
        def __init__(self) -> None:
            super().__init__()
            self.may_end = threading.Event()

        def refresh(self, expired: bool) -> tuple[int, str]:
            done = super().refresh(expired)
            assert self.may_end.wait(WITHIN)
            return done

    monkeypatch.setattr(module, "LEAST_PAUSE", 0)
    paused = asyncio.Event()
    source = Slow()
    follower = Follower(IP, FOLLOW, source, tmp_path)

    async def pause(seconds: float) -> None:
        if not follower.woken.is_set():
            paused.set()
        await follower.woken.wait()

    monkeypatch.setattr(follower, "pause", pause)
    task = asyncio.create_task(follower.run())
    await asked(source)
    for _ in range(1000):
        follower.woken.set()
        await asyncio.sleep(0)
    assert source.asked.empty()
    source.may_end.set()
    await asked(source)
    await asyncio.wait_for(paused.wait(), WITHIN)
    assert source.asked.empty()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_after_a_failure_it_is_tried_again_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "AFTER_FAILURE", 0)
    monkeypatch.setattr(module, "AGAIN", (0.01,) * 100)
    source = Source()
    source.error = "it is silent"
    task = asyncio.create_task(Follower(IP, FOLLOW, source, tmp_path).run())
    for _ in range(4):
        await asked(source)
    assert caplog.text.count("it is silent") == 1
    await until(lambda: (found := read_followed(tmp_path)) is not None and found.error == "it is silent")
    source.error = ""
    await until(lambda: (found := read_followed(tmp_path)) is not None and found.serial == 7 and not found.error)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_an_operator_forces_is_for_one_zone_that_comes(tmp_path: Path) -> None:
    force(tmp_path)
    source = Source()
    source.error = "it is silent"
    follower = Follower(IP, FOLLOW, source, tmp_path)
    await follower.once()
    assert forced(tmp_path)
    source.error = ""
    await follower.once()
    assert not forced(tmp_path)


@pytest.mark.parametrize("how", ["done", "cut"])
def test_it_ends_when_its_refresh_has_ended(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    class Slow(Source):
        def __init__(self) -> None:
            super().__init__()
            self.hung_up, self.may_end = threading.Event(), threading.Event()

        def refresh(self, expired: bool) -> tuple[int, str]:
            self.loop.call_soon_threadsafe(self.asked.put_nowait, expired)
            assert self.hung_up.wait(WITHIN) and self.may_end.wait(WITHIN)
            if how == "cut":
                raise TransferError("the transfer was cut")
            return 7, "192.0.2.1:53"

        def close(self) -> None:
            self.hung_up.set()

    async def life() -> None:
        source = Slow()
        task = asyncio.create_task(Follower(IP, FOLLOW, source, tmp_path).run())
        await asked(source)
        task.cancel()
        await asyncio.to_thread(source.hung_up.wait, WITHIN)
        assert not task.done()  # its thread may still swap the pointer: nobody else is to begin yet
        source.may_end.set()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    asyncio.run(life())
    gc.collect()  # a task that nobody asked how it ended says so as it goes
    assert "never retrieved" not in caplog.text


async def test_a_configuration_of_no_use_leaves_the_others(
    settings: config.Settings, caplog: pytest.LogCaptureFixture
) -> None:
    follow = [
        {"zone": "ip", "primaries": ["192.0.2.1:53"]}, {"zone": "none", "primaries": ["192.0.2.1:53"]},
        {"zone": "domain", "url": "https://bl.example", "public_key": "no key"},
    ]  # fmt: skip
    made = settings.config.model_copy(update={"follow": [FollowConfig.model_validate(each) for each in follow]})
    following = Following(settings.model_copy(update={"config": made}))
    assert list(following.followers) == ["ip"]
    assert "there is no zone none here" in caplog.text
    assert "zone domain: not followed" in caplog.text
    following.wake("ip")
    following.wake("other")
    assert following.followers["ip"].woken.is_set()


class Clock:
    """The wall clock, and the one that nobody sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.running = 1_000_000.0, 50.0
        monkeypatch.setattr(states.time, "time", lambda: self.wall)
        monkeypatch.setattr(states, "running", lambda: self.running)

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_zone_expires_by_the_time_since_it_was_confirmed(clock: Clock, tmp_path: Path) -> None:
    expiry = Expiry()
    assert expiry.expired("ip", tmp_path, 100)  # never confirmed
    write_followed(tmp_path, Followed(int(clock.wall) - 40))
    assert not expiry.expired("ip", tmp_path, 100)
    clock.pass_by(59)
    assert not expiry.expired("ip", tmp_path, 100)
    clock.pass_by(1)
    assert expiry.expired("ip", tmp_path, 100)
    write_followed(tmp_path, Followed(int(clock.wall)))
    assert not expiry.expired("ip", tmp_path, 100)


@pytest.mark.parametrize("jump", [-10_000_000, 10_000_000])
def test_a_clock_that_jumps_expires_nothing_and_keeps_nothing(clock: Clock, tmp_path: Path, jump: int) -> None:
    write_followed(tmp_path, Followed(int(clock.wall)))
    expiry = Expiry()
    assert not expiry.expired("ip", tmp_path, 100)
    clock.wall += jump
    assert not expiry.expired("ip", tmp_path, 100)
    write_followed(tmp_path, Followed(int(clock.wall) - jump, error="it is silent"))  # not confirmed anew
    assert not expiry.expired("ip", tmp_path, 100)
    clock.running += 101
    assert expiry.expired("ip", tmp_path, 100)


async def test_a_clock_that_jumps_lets_nobody_take_an_older_serial(clock: Clock, tmp_path: Path) -> None:
    """Whoever follows has a zone for expired when those have who answer from it."""
    source = Source()
    follower = Follower(IP, FOLLOW, source, tmp_path)
    await follower.once()
    assert await asked(source)
    clock.wall += 10_000_000
    await follower.once()
    assert not await asked(source)
    clock.running += IP.soa.expire + 1
    await follower.once()
    assert await asked(source)


def test_a_state_from_the_future_lasts_no_longer_than_one_of_now(clock: Clock, tmp_path: Path) -> None:
    write_followed(tmp_path, Followed(int(clock.wall) + 5_000_000))
    expiry = Expiry()
    assert not expiry.expired("ip", tmp_path, 100)
    clock.pass_by(101)
    assert expiry.expired("ip", tmp_path, 100)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"refreshed": "x"}', b'{"refreshed": 1e400}', b"7" * 70_000]
)
def test_a_state_that_cannot_be_read_is_none(clock: Clock, tmp_path: Path, content: bytes) -> None:
    (tmp_path / states.FOLLOWED).write_bytes(content)
    assert read_followed(tmp_path) is None
    assert Expiry().expired("ip", tmp_path, 100)


def test_a_state_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ip").write_bytes(b"")  # no directory
    follower = Follower(IP, FOLLOW, NoSource(), tmp_path / "ip")
    for serial in (7, 7, 8):
        follower.succeeded(Followed(1, serial, "192.0.2.1:53"))
    (tmp_path / "ip").unlink()
    follower.succeeded(Followed(1, 8, "192.0.2.1:53"))
    said = [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "WARNING")]
    assert len(said) == 2
    assert "it will expire" in said[0]
    assert said[1].endswith("is written again")


class NoSource:
    def refresh(self, expired: bool) -> tuple[int, str]:
        raise AssertionError

    def close(self) -> None:
        pass


def test_certificates_that_cannot_be_read_are_not_the_primarys_fault(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TransferError, match=r"tls_ca .*none.pem: no certificates in PEM \(No such file"):
        encrypted(ours, Primary("192.0.2.1", 853, tls=True, tls_ca=tmp_path / "none.pem"))


def test_a_connection_that_was_reset_is_no_server_without_dns() -> None:
    with socket.socket() as sock, pytest.raises(OSError, match="not connected"):
        encrypted(sock, Primary("192.0.2.1", 853, tls=True))
