"""Response rate limiting, over both paths."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from compiled import both, compiled, needs_native
from fake import NETWORKS, cookie, ip_zone, opt, query
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl.dns.message import Transport

SECRET = "000102030405060708090a0b0c0d0e0f"
LISTED, UNLISTED, ELSEWHERE = query("7.113.0.203.bl.example"), query("9.9.9.9.bl.example"), query("elsewhere.test")
CLIENT = "192.0.2.7"


class Limited:
    """A server with a limit, asked over one path at a time that the test sets."""

    def __init__(self, path: str, **rate: object) -> None:
        self.now = 1_800_000_000
        self.paths = both([compiled(ip_zone(), NETWORKS)], rate=rate, cookie_secrets=[SECRET])
        self.paths.answerer.clock = self.paths.answerer.cookies.clock = lambda: self.now
        self.path = path

    def reply(self, wire: bytes = LISTED, client: str = CLIENT, transport: Transport = "udp") -> bytes | None:
        if self.path == "native":
            return self.paths.server.reply(wire, client, transport == "tcp", self.paths.now())
        return self.paths.answerer.reply(wire, transport, client)

    def fates(self, times: int, wire: bytes = LISTED, client: str = CLIENT) -> str:
        """What became of so many replies: one letter each, (s)ent, (t)runcated, (d)ropped."""
        replies = [self.reply(wire, client) for _ in range(times)]
        return "".join("d" if reply is None else "t" if reply[2] & 0x02 else "s" for reply in replies)


@pytest.fixture(params=["python", pytest.param("native", marks=needs_native)])
def limited(request: pytest.FixtureRequest) -> Callable[..., Limited]:
    return lambda **rate: Limited(request.param, **rate)


def test_without_a_rate_there_is_no_limit(limited):
    assert limited().fates(50) == "s" * 50


def test_above_the_rate_replies_are_dropped_and_some_slip(limited):
    server = limited(responses=5, slip=2)
    assert server.fates(10) == "sssssdtdtd"
    counted = server.paths.counters()
    assert (counted.limited, counted.slipped) == (5, 2)
    assert counted.truncated == 2
    assert sum(counted.replies.values()) == 7


@pytest.mark.parametrize(("slip", "fates"), [(0, "sddddd"), (1, "sttttt"), (3, "sddtdd")])
def test_how_many_slip(limited, slip, fates):
    assert limited(responses=1, slip=slip).fates(6) == fates


def test_what_slips_is_small_and_sends_a_client_to_tcp(limited):
    server = limited(responses=1, slip=1)
    asked = query("9.2.0.192.bl.example", "TXT", extra=[opt(rdata=cookie(b"c" * 8))])
    server.reply(asked)
    slipped = server.reply(asked)
    assert slipped[6:12] == bytes(5) + b"\1"
    assert len(slipped) == len(asked) + 16  # and the server's cookie
    assert server.reply(asked, transport="tcp")[6:8] == b"\0\1"


def test_a_bucket_is_filled_by_time_and_a_flood_is_paid_for(limited):
    server = limited(responses=5, slip=0, window=3)
    assert server.fates(5) == "sssss"
    server.now += 1
    assert server.fates(6) == "sssssd"
    assert server.fates(1000) == "d" * 1000
    server.now += 3
    assert server.fates(2) == "dd"  # what it owes is three seconds' worth, and it goes on
    server.now += 4
    assert server.fates(6) == "sssssd"


def test_a_network_shares_a_bucket_and_each_kind_of_reply_has_one(limited):
    server = limited(responses=1, slip=0)
    assert [server.fates(1, client=f"192.0.2.{host}") for host in (1, 2)] == ["s", "d"]
    assert server.fates(1, client="192.0.3.1") == "s"
    assert [server.fates(1, client=f"2001:db8:0:{site:x}::1") for site in (0x100, 0x1FF, 0x200)] == ["s", "d", "s"]
    assert server.fates(2, UNLISTED) == server.fates(2, ELSEWHERE) == "sd"


def test_who_is_exempt_is_not_limited(limited):
    server = limited(responses=1, slip=0, exempt=["192.0.2.0/24", "2001:db8::/32"])
    for client in (CLIENT, f"::ffff:{CLIENT}", "2001:db8::1"):
        assert server.fates(20, client=client) == "s" * 20
    assert server.fates(2, client="198.51.100.1") == "sd"


def test_tcp_is_not_limited(limited):
    server = limited(responses=1, slip=0)
    assert all(server.reply(transport="tcp") for _ in range(20))
    assert server.fates(2) == "sd"


def test_who_shows_a_cookie_of_ours_is_not_limited(limited):
    server = limited(responses=1, slip=0)
    first = server.reply(query("7.113.0.203.bl.example", extra=[opt(rdata=cookie(b"c" * 8))]))
    ours = query("7.113.0.203.bl.example", extra=[opt(rdata=cookie(first[-24:]))])
    assert server.fates(20, ours) == "s" * 20
    forged = query("7.113.0.203.bl.example", extra=[opt(rdata=cookie(first[-24:-1] + b"?"))])
    assert server.fates(2, forged) == server.fates(1) + "d" == "dd"


STEPS = st.lists(
    st.tuples(
        st.sampled_from([LISTED, UNLISTED, ELSEWHERE]),
        st.sampled_from([CLIENT, "192.0.2.200", "198.51.100.1", "2001:db8::1", "2001:db8:0:100::1", ""]),
        st.sampled_from([0, 0, 0, 0, 1, 2, 100]),
    ),
    max_size=120,
)


@needs_native
@settings(deadline=None, max_examples=40)
@given(
    rate=st.fixed_dictionaries(
        {"responses": st.integers(1, 4), "slip": st.integers(0, 3), "window": st.integers(1, 4)}
    ),
    steps=STEPS,
)
def test_both_paths_decide_alike(rate, steps):
    server = Limited("native", **rate)
    for wire, client, passed in steps:
        server.now += passed
        assert server.reply(wire, client) == server.paths.answerer.reply(wire, "udp", client)


def test_buckets_are_bounded():
    server = Limited("python", responses=1)
    limiter = server.paths.answerer.limiter
    for number in range(70_000):
        limiter.take((4, number << 8), 0, server.now)
    assert len(limiter.buckets) <= 65_536
