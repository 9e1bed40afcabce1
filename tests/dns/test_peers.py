"""What postmasters' tools see."""

import pytest
from clients import counted, dig, run, serving
from fake import DOMAIN_ORIGIN, IP_ORIGIN, FakeView, default_answerer, ip_zone
from fake import reversed_name as name

from dnsbl.config import DnsConfig
from dnsbl.dns.answer import Answerer

pytestmark = pytest.mark.peer


async def test_dig_sees_listed_and_not_listed_names():
    async with serving(default_answerer()) as server:
        listed = await dig(server, "a", name("127.0.0.2"))
        absent = await dig(server, "a", name("127.0.0.1"))
        network = await dig(server, "a", f"0.0.127.{IP_ORIGIN}")
    assert [fields[4] for fields in listed.answer] == ["127.0.0.2", "127.0.0.4", "127.0.0.10"]
    assert (absent.status, absent.counts["AUTHORITY"]) == ("NXDOMAIN", 1)
    assert (network.status, network.counts["ANSWER"], network.counts["AUTHORITY"]) == ("NOERROR", 0, 1)
    for got in (listed, absent, network):
        assert "aa" in got.flags and "WARNING: Message" not in got.text


async def test_dig_goes_to_tcp_when_a_reply_is_truncated():
    code = {"code": "127.0.0.2", "categories": ["spam"], "text": "x" * 600}
    answerer = Answerer([FakeView(ip_zone(codes=[code]), {"127.0.0.2": [0]})], DnsConfig())
    async with serving(answerer) as server:
        got = await dig(server, "+bufsize=512", "txt", name("127.0.0.2"))
    assert got.status == "NOERROR" and len(got.answer) == 1
    assert "(TCP)" in got.text
    assert counted(server).truncated == 1


async def test_dig_reads_extended_errors_and_the_server_s_version():
    async with serving(default_answerer(version="dnsbl 9")) as server:
        outside = await dig(server, "a", "example.com")
        transfer = await dig(server, "+tcp", "+noall", "+comments", "ixfr=1", IP_ORIGIN)
        version = await dig(server, "ch", "txt", "version.bind")
    assert outside.status == "REFUSED" and "EDE: 20" in outside.text
    assert "REFUSED" in transfer.text or "failed" in transfer.text
    assert version.answer[0][4:] == ['"dnsbl', '9"']


async def test_kdig_pipelines_on_one_tcp_connection():
    async with serving(default_answerer()) as server:
        host, port = server.addresses[0]
        text = await run(
            "kdig", "+tcp", "+keepopen", f"@{host}", "-p", str(port),
            "-t", "A", "-q", name("127.0.0.2"), "-q", f"www.bad.example.{DOMAIN_ORIGIN}", "-q", name("127.0.0.1"),
        )  # fmt: skip
    assert text.count("status: NOERROR") == 2 and text.count("status: NXDOMAIN") == 1
    assert "127.0.1.2" in text and "127.0.0.10" in text
    assert server.counters.connections == 1


async def test_kdig_finds_the_identity_and_no_trailing_bytes():
    async with serving(default_answerer(nsid="site-1")) as server:
        host, port = server.addresses[0]
        text = await run("kdig", "+nsid", f"@{host}", "-p", str(port), name("2001:db8:bad::1"), "TXT")
    assert "site-1" in text and "2001:db8:bad::1" in text
    assert "WARNING" not in text and "malformed" not in text.lower()
