"""A mirror of ours takes snapshot files from the web side of a primary of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mirrors import SOA, Node, caught_up, followed_from, pair, publish
from server import Server, until
from worlds import World

from dnsbl import clock


@pytest.fixture
def mirrored(tmp_path: Path) -> Iterator[tuple[Node, Node, World, Server]]:
    """A primary that runs with its web side, its mirror, and what the primary publishes."""
    with pair(tmp_path, SOA.replace("refresh = 60", "refresh = 1")) as (primary, mirror, world):
        primary.more = followed_from(9, key="")  # somebody silent: then its back publishes nothing beside us
        world.now = clock.now() - 1000  # what is listed is decided by the back, too
        publish(world, ("spam", "9.1.0.1"), ("spam", "bad.example"), ("malware", "2a00:1::/32"))
        with primary.server(role="dns,web") as server:
            public = json.loads(server.verb("zone", "public-key", "--json"))["public_key"]
            secret = json.loads(server.verb("key", "create", "mirror", "--scope", "read", "--json"))["secret"]
            mirror.more = "".join(
                f'[[follow]]\nzone = "{zone}"\nurl = "http://127.0.0.1:{server.web_port}"\n'
                f'api_key = "{secret}"\npublic_key = "{public}"\n'
                for zone in ("ip", "domain")
            )
            yield primary, mirror, world, server


def test_a_mirror_answers_as_its_primary(mirrored: tuple[Node, Node, World, Server]) -> None:
    primary, mirror, world, _ = mirrored
    with mirror.server() as second:
        caught_up(primary, mirror)
        for deed in ("malware", "exempt"):
            publish(world, (deed, "9.1.0.1"), ("spam", "9.1.0.2"))
            caught_up(primary, mirror)
        until(lambda: not second.listed("9.1.0.1", "ip.example"), "the new zone is answered from")
        assert second.listed("9.1.0.2", "ip.example") == ["127.0.0.2"]
        assert second.listed("www.bad.example", "domain.example") == ["127.0.0.2"]


def test_another_public_key_believes_nothing(mirrored: tuple[Node, Node, World, Server]) -> None:
    _, mirror, _, server = mirrored
    other = json.loads(mirror.server().verb("zone", "public-key", "--json"))["public_key"]
    lines = [f'public_key = "{other}"' if line.startswith("public_key") else line for line in mirror.more.splitlines()]
    mirror.more = "\n".join(lines)
    with mirror.server() as second:
        assert "signed by another key than follow.public_key" in second.logged("zone ip: not followed")
        assert mirror.view("ip") is None
        assert server.log_count("Traceback") == 0
