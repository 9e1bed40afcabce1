"""rbldnsd's data files: the shorthands, the exceptions, and the same lines asked of rbldnsd itself."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from ipaddress import IPv4Address

import pytest
from dnslib import DNSRecord

from dnsbl import subjects
from dnsbl.intake.formats import FormatOptions, parse

END_WITHIN = 10  # seconds for rbldnsd to end by itself


def texts(keys):
    return sorted(subjects.text(key) for key in keys)


def read(text, kind, **options):
    return parse(text.encode(), f"rbldnsd-{kind}", FormatOptions(**options))


@pytest.mark.parametrize(
    ("kind", "line", "found"),
    [
        ("ip4set", "127/8", ["127.0.0.0/8"]),
        ("ip4set", "127.0", ["127.0.0.0/16"]),
        ("ip4set", "127.0.1", ["127.0.1.0/24"]),
        ("ip4set", "127.0.0.5", ["127.0.0.5"]),
        ("ip4set", "127.0.0.5 :5", ["127.0.0.5"]),
        ("ip4set", "127.0.0.5:5:text", ["127.0.0.5"]),
        ("ip4set", "127.0.0.5 :6:", ["127.0.0.5"]),
        ("ip4set", "127.0.0.5 a text # with this", ["127.0.0.5"]),
        ("ip4set", "127.0.0.5#c", ["127.0.0.5"]),
        ("ip4set", "127.0.0.0/25", ["127.0.0.0/25"]),
        ("ip4set", "127.0.0.4-7", ["127.0.0.4/30"]),
        ("ip4set", "127.0.0.4-127.0.0.7", ["127.0.0.4/30"]),
        ("ip4set", "127.0.2-3", ["127.0.2.0/23"]),
        ("ip4set", "10.2-10.3", ["10.2.0.0/15"]),
        ("ip4trie", "127.0/16 :2:x", ["127.0.0.0/16"]),
        ("ip4trie", "127.1", ["127.1.0.0/16"]),
        ("ip4tset", "127.0.0.1", ["127.0.0.1"]),
        ("ip6trie", "2001:db8::/32", ["2001:db8::/32"]),
        ("ip6trie", "2001:db8", ["2001:db8::/32"]),
        ("ip6trie", "2001:db8/32 :2:x", ["2001:db8::/32"]),
        ("ip6trie", "2001:db8::1", ["2001:db8::1"]),
        ("ip6trie", "1:2:3:4:5:6:7:8", ["1:2:3:4:5:6:7:8"]),
        ("ip6tset", "2001:db8:1:2", ["2001:db8:1:2::/64"]),
        ("ip6tset", "2001:db8:1:2::/64", ["2001:db8:1:2::/64"]),
        ("dnset", "bad.example", ["bad.example"]),
        ("dnset", "*.bad.example :2:x", ["bad.example"]),
        ("dnset", ".bad.example:5:", ["bad.example"]),
    ],
)
def test_shorthands(kind, line, found):
    parsed = read(line, kind)
    assert texts(parsed.hits) == found
    assert parsed.rejected == 0


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("ip4set", "127"),
        ("ip4set", "010.0.0.1"),
        ("ip4set", "127.0.0.1/24"),
        ("ip4set", "127.0.0.9-1"),
        ("ip4set", "127.0-127.0.0.4"),
        ("ip4set", "0/0"),
        ("ip4set", "1.2.3.4.5"),
        ("ip4set", "127.0.0.256"),
        ("ip4set", "bad.example"),
        ("ip4trie", "127.0.0.1-4"),
        ("ip4tset", "127.0.0"),
        ("ip4tset", "127.0.0.0/24"),
        ("ip6trie", "2001:db8::/19"),
        ("ip6trie", "0::/0"),
        ("ip6tset", "2001:db8::1"),
        ("ip6tset", "2001:db8::/48"),
        ("dnset", "com"),
        ("dnset", "bad..example"),
        ("dnset", "!"),
    ],
)
def test_what_is_not_taken(kind, line):
    parsed = read(f"# c\n{line}\n", kind)
    assert not parsed.hits
    assert not parsed.excluded
    assert [r.line for r in parsed.rejects] == [2]


def test_dollar_lines_defaults_and_comments_are_no_entries():
    parsed = read(
        "$SOA 3600 a. b. 0 3600 900 604800 60\n#$NS 3600 a.\n;$TTL 60\n:$TIMESTAMP 0\n$0 text\n$= http://x/?$\n"
        ":127.0.0.2:Listed, see $\n:3:\n# c\n; c\n\n192.0.2.1\n",
        "ip4set",
    )
    assert texts(parsed.hits) == ["192.0.2.1"]
    assert parsed.rejected == 0


@pytest.mark.parametrize("limit", ["/24", "256"])
def test_maxrange_narrows(limit):
    parsed = read(f"$MAXRANGE4 {limit}\n192.0.2.0/24\n198.51.0.0/16\n10.0.0.0-10.0.1.255\n", "ip4set")
    assert texts(parsed.hits) == ["192.0.2.0/24"]
    assert [r.why for r in parsed.rejects] == ["wider than /24"] * 2


def test_maxrange_never_widens():
    assert not read("$MAXRANGE4 /1\n12.0.0.0/7\n", "ip4set").hits
    assert not read("$MAXRANGE4 x\n12.0.0.0/7\n", "ip4set").hits


def test_exceptions_are_cut_out_and_the_longest_match_answers():
    parsed = read("192.0.2\n!192.0.2.0/25\n! 192.0.2.255\n192.0.2.7 :9:\n", "ip4trie")
    assert "192.0.2.7" in texts(parsed.hits)
    assert texts(parsed.excluded) == ["192.0.2.0/25", "192.0.2.255"]
    covered = sum(2 ** (32 - key[5]) for key in parsed.hits)
    assert covered == 1 + 128 - 1


def test_ip6tset_excepts_single_addresses():
    parsed = read("2001:db8:1:2\n!2001:db8:1:2::1\n", "ip6tset")
    assert texts(parsed.excluded) == ["2001:db8:1:2::1"]
    assert len(parsed.hits) == 64


def test_names_below_an_excepted_one_are_dropped():
    parsed = read(".bad.example\n!good.bad.example\nwww.good.bad.example\n.other.example\n!other.example\n", "dnset")
    assert texts(parsed.hits) == ["bad.example"]
    assert texts(parsed.excluded) == ["good.bad.example", "other.example"]


def test_combined(sample):
    parsed = parse(sample("rbldnsd-combined.txt"), "rbldnsd-combined")
    found = texts(parsed.hits)
    assert {"192.0.2.1", "198.51.100.0/24", "2001:db8:1::/48", "2001:db8:2::/48", "bad.example"} <= set(found)
    assert subjects.parse("192.0.2.20") not in parsed.hits
    assert texts(parsed.excluded) == ["192.0.2.20", "good.bad.example"]
    assert [r.why for r in parsed.rejects] == ["a dataset of type acl is no list"]


def test_combined_before_any_dataset():
    assert [r.why for r in read("192.0.2.1\n$DATASET :x\n192.0.2.1\n", "combined").rejects] == [
        "before any $DATASET"
    ] * 2


# The same files, asked of rbldnsd itself

ASKED = {
    "ip4set": "10.1/16\n10.2.3\n10.4.0.0/15\n10.6.0.5-9\n10.7.0.250-10.7.1.3\n!10.1.2\n10.1.2.3 :3:\n!10.4.0.7\n"
    "10.8.4-5\n",
    "ip4trie": "10.1/16\n10.2.3\n10.4.0.0/15\n!10.1.2.0/23\n10.1.2.3 :3:\n!10.4.0.7\n10.5.0.8/29 :4:x\n!10.5.0.8/31\n",
    "ip4tset": "10.1.2.3\n10.1.2.5 :3:x\n",  # it has no exceptions there; ours takes them
}


@pytest.mark.peer
@pytest.mark.parametrize("kind", ASKED)
def test_rbldnsd_lists_the_same_addresses(kind, tmp_path):
    program = shutil.which("rbldnsd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
    if program is None:
        pytest.skip("rbldnsd is not installed")
    parsed = read(ASKED[kind], kind)
    assert parsed.rejected == 0
    covered = [subjects.bounds(key) for key in parsed.hits]
    near = {a + step for key in [*parsed.hits, *parsed.excluded] for a in subjects.bounds(key) for step in (-1, 0, 1)}
    near |= set(range(int(IPv4Address("10.4.0.0")), int(IPv4Address("10.4.0.16"))))
    expected = {a for a in near if any(low <= a <= high for low, high in covered)}
    (tmp_path / "data").write_text(ASKED[kind])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "-n", "-b", f"127.0.0.1/{port}", "-r", str(tmp_path), "-u", "nobody", f"bl.test:{kind}:data"]
    tmp_path.chmod(0o755)
    process = subprocess.Popen(command if os.geteuid() == 0 else [*command[:6], command[-1]], stdout=subprocess.DEVNULL)
    try:
        assert {a for a in near if listed(port, a)} == expected
    finally:
        process.terminate()
        try:
            process.wait(END_WITHIN)
        finally:
            process.kill()  # nothing where it has ended
            process.wait(END_WITHIN)


def listed(port, address):
    """Whether the server has an A record for the address."""
    name = ".".join(reversed(str(IPv4Address(address)).split("."))) + ".bl.test"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.5)
        for _ in range(20):
            try:
                asking.sendto(DNSRecord.question(name).pack(), ("127.0.0.1", port))
                return bool(DNSRecord.parse(asking.recv(4096)).rr)
            except OSError:
                time.sleep(0.1)
    raise AssertionError("rbldnsd does not answer")
