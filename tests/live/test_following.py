"""A mirror of ours follows a primary of ours by transfers: the same answers, through everything that happens to it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from mirrors import GIVES, OTHER, SOA, caught_up, error_of, pair, publish
from server import Server, until

ADDRESSES = [f"9.{a}.{b}.{c}" for a in (1, 2) for b in (0, 9) for c in range(0, 256, 51)]
NETWORKS = ["9.1.0.0/24", "2.0.0.0/24", "9.2.8.0/22", "2a00:1::/32", "2a00:1:2:3::/64", "9.1.0.3", "2a00:1:2:3::7"]
NAMES = ["bad.example", "x.bad.example", "a.b.c.worse.example", "b.c.worse.example", "evil.org"]
BESIDE = ["9.1.0.1", "9.2.8.255", "9.2.12.0", "2.0.0.7", "2.0.0.10", "127.0.0.2", "127.0.0.1", "127.0.0.4", "8.8.8.8"]
STEPS = 30
PATHS = ["auto", pytest.param("off", marks=pytest.mark.long)]  # of answering; what is followed is the same


def reverse(address: str) -> str:
    return ".".join(reversed(address.split(".")))


def questions() -> list[str]:
    ip = [f"{reverse(address)}.{sub}ip.example" for address in (*ADDRESSES, *BESIDE) for sub in ("", "spam.")]
    names = [
        f"{label}{name}.domain.example" for name in (*NAMES, "test", "spam.test", "invalid") for label in ("", "w.")
    ]
    return [*ip, *names, "ip.example", "domain.example", "spam.ip.example", "worse.example.domain.example"]


def answers(server: Server) -> list[object]:
    return [
        (name, qtype, reply.header.rcode, sorted(map(str, reply.rr)))
        for name in questions()
        for qtype in ("A", "TXT")
        for reply in [server.ask(name, qtype)]
    ]


def same_answers(one: Server, other: Server) -> None:
    """Once both answer from what they hold."""
    for zone in ("ip.example", "domain.example"):
        until(lambda z=zone: str(one.ask(z, "SOA").rr) == str(other.ask(z, "SOA").rr), zone)  # type: ignore[misc]
    assert answers(one) == answers(other)


def some_deeds(chance: random.Random) -> list[tuple[str, str]]:
    deeds = ["spam", "spam", "malware", "exempt"]
    subjects = [*ADDRESSES, *NETWORKS, *NAMES]
    return [(chance.choice(deeds), chance.choice(subjects)) for _ in range(chance.randrange(1, 8))]


@pytest.mark.parametrize("native", PATHS)
def test_a_mirror_answers_as_its_primary_step_by_step(tmp_path: Path, native: str) -> None:
    chance = random.Random(native)
    with pair(tmp_path) as (primary, mirror, world):
        publish(world, *(("spam", address) for address in ADDRESSES[::2]), *(("spam", name) for name in NAMES[:2]))
        with primary.server(GIVES) as first, mirror.server(f'native = "{native}"') as second:
            caught_up(primary, mirror)
            same_answers(first, second)
            for step in range(STEPS):
                publish(world, *some_deeds(chance))
                caught_up(primary, mirror)
                if step % 10 == 9:
                    same_answers(first, second)
            assert second.log_count("whole zone is taken") == 0, "differences did not do"


def test_a_mirror_answers_on_without_its_primary_and_across_restarts(tmp_path: Path) -> None:
    with pair(tmp_path) as (primary, mirror, world):
        publish(world, ("spam", "9.1.0.1"), ("spam", "bad.example"))
        with primary.server(GIVES) as first:
            with mirror.server() as second:
                caught_up(primary, mirror)
                first.kill()
                until(lambda: second.listed("9.1.0.1", "ip.example") == ["127.0.0.2"])
            with mirror.server() as second:  # what it says first it says from the last good zone
                assert second.listed("9.1.0.1", "ip.example") == ["127.0.0.2"]
                publish(world, ("malware", "9.1.0.1"))
                with primary.server(GIVES):
                    caught_up(primary, mirror)
                    until(lambda: second.listed("9.1.0.1", "ip.example") == ["127.0.0.2", "127.0.0.4"])


@pytest.mark.parametrize("native", PATHS)
def test_a_zone_expires_and_comes_back(tmp_path: Path, native: str) -> None:
    soa = SOA.replace("refresh = 60", "refresh = 1").replace("expire = 3600", "expire = 3")
    with pair(tmp_path, soa) as (primary, mirror, world):
        publish(world, ("spam", "9.1.0.1"))
        with primary.server(GIVES) as first, mirror.server(f'native = "{native}"') as second:
            caught_up(primary, mirror)
            first.kill()
            until(lambda: second.rcode("1.0.1.9.ip.example") == "SERVFAIL", "the zone expires")
            assert second.rcode("ip.example", "SOA") == second.rcode("1.0.1.9.ip.example", tcp=True) == "SERVFAIL"
            with primary.server(GIVES):
                until(lambda: second.rcode("1.0.1.9.ip.example") == "NOERROR", "it is answered again")


def test_with_another_secret_nothing_is_taken(tmp_path: Path) -> None:
    with pair(tmp_path, secret=OTHER) as (primary, mirror, world):
        publish(world, ("spam", "9.1.0.1"))
        with primary.server(GIVES) as first, mirror.server() as second:
            assert second.said["follows"]["ip"] == [f"127.0.0.1:{primary.port}"]
            assert {row["zone"]: row["serial"] for row in second.said["zones"]} == {"ip": None, "domain": None}
            said = second.logged("zone ip: not followed")
            assert "different secrets under one key name" in said
            first.logged("its signature is wrong; give both servers the same secret")
            assert mirror.view("ip") is None
            assert second.rcode("1.0.1.9.ip.example") in ("SERVFAIL", "REFUSED")


def test_another_definition_is_refused_and_said(tmp_path: Path) -> None:
    with pair(tmp_path) as (primary, mirror, world):
        publish(world, ("spam", "9.1.0.1"))
        file = mirror.directory / "zones" / "ip.toml"
        right = file.read_text()
        file.write_text(right.replace("$ sends spam", "$ sent spam"))
        with primary.server(GIVES):
            with mirror.server() as second:
                said = second.logged("zone ip: not followed")
                assert "the zone's file here differs from the primary's" in said
                assert mirror.view("ip") is None
                assert until(lambda: error_of(mirror, "ip"), "the state says why") in said
            file.write_text(right)
            with mirror.server():
                caught_up(primary, mirror)


def test_a_primary_that_went_back_in_time_is_followed(tmp_path: Path) -> None:
    """Its store is restored from a copy: the serial rises, and there is no way from ours to it but the whole zone."""
    with pair(tmp_path) as (primary, mirror, world):
        publish(world, ("spam", "9.1.0.1"))
        copy = (tmp_path / "copy.sqlite").open("wb")
        world.store.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store = primary.directory / "data" / "store.sqlite"
        with copy:
            copy.write(store.read_bytes())
        publish(world, ("spam", "9.1.0.51"))
        with primary.server(GIVES), mirror.server() as second:
            caught_up(primary, mirror)
            world.store.close()
            store.write_bytes((tmp_path / "copy.sqlite").read_bytes())
            for name in ("-wal", "-shm"):
                Path(f"{store}{name}").unlink(missing_ok=True)
            restored = primary.world()
            restored.now = world.now
            publish(restored)  # as the server that is started on it does
            publish(restored, ("spam", "9.1.0.102"))
            caught_up(primary, mirror)
            until(lambda: not second.listed("9.1.0.51", "ip.example") and second.listed("9.1.0.102", "ip.example"))
            restored.store.close()
