"""The 18 tests of RFC 8906 section 8, asked by dig as it writes them."""

import pytest
from clients import dig, serving
from fake import IP_ORIGIN, default_answerer

pytestmark = pytest.mark.peer

SOA = ("soa", IP_ORIGIN)
NO_EDNS = ("+noedns", "+noad", "+norec")
EDNS = ("+nocookie", "+edns=0", "+noad", "+norec")
EDNS1 = ("+nocookie", "+edns=1", "+noednsneg", "+noad", "+norec")

# What is expected: status, SOA in the answer, flags set, flags not set, EDNS version (None: no OPT).
BASIC = {
    "8.1.1 configured for the zone": ((*NO_EDNS, *SOA), "NOERROR", True, "aa", "rd ad", None),
    "8.1.2 unknown types": ((*NO_EDNS, "type1000", IP_ORIGIN), "NOERROR", False, "aa", "rd ad", None),
    "8.1.3.1 CD": ((*NO_EDNS, "+cd", *SOA), "NOERROR", True, "aa", "rd ad cd", None),
    "8.1.3.2 AD": (("+noedns", "+norec", "+ad", *SOA), "NOERROR", True, "aa", "rd", None),
    "8.1.3.3 reserved bit": ((*NO_EDNS, "+zflag", *SOA), "NOERROR", True, "aa", "rd ad", None),
    "8.1.3.4 recursive query": (("+noedns", "+noad", "+rec", *SOA), "NOERROR", True, "aa rd", "ad ra", None),
    "8.1.4 unknown opcode": (
        ("+noedns", "+noad", "+opcode=15", "+norec", "+header-only"), "NOTIMP", False, "", "aa rd ad", None,
    ),
    "8.1.5 TCP": ((*NO_EDNS, "+tcp", *SOA), "NOERROR", True, "aa", "rd ad", None),
}  # fmt: skip
EXTENDED = {
    "8.2.1 minimal EDNS": ((*EDNS, *SOA), "NOERROR", True, "aa", "ad", 0),
    "8.2.2 version": ((*EDNS1, *SOA), "BADVERS", False, "", "aa ad", 0),
    "8.2.3 unknown option": ((*EDNS, "+ednsopt=100", *SOA), "NOERROR", True, "aa", "ad", 0),
    "8.2.4 unknown flag": ((*EDNS, "+ednsflags=0x40", *SOA), "NOERROR", True, "aa", "ad", 0),
    "8.2.5 version and flag": ((*EDNS1, "+ednsflags=0x40", *SOA), "BADVERS", False, "", "aa ad", 0),
    "8.2.6 version and option": ((*EDNS1, "+ednsopt=100", *SOA), "BADVERS", False, "", "aa ad", 0),
    "8.2.7 truncated": (
        ("+norec", "+dnssec", "+bufsize=512", "+ignore", "dnskey", IP_ORIGIN), "NOERROR", False, "", "", 0,
    ),
    "8.2.8 DO": ((*EDNS, "+dnssec", *SOA), "NOERROR", True, "aa", "", 0),
    "8.2.9 version and DO": ((*EDNS1, "+dnssec", *SOA), "BADVERS", False, "", "aa", 0),
    "8.2.10 many options": (
        ("+edns=0", "+noad", "+norec", "+cookie", "+nsid", "+expire", "+subnet=0.0.0.0/0", *SOA),
        "NOERROR", True, "aa", "ad", 0,
    ),
}  # fmt: skip
TESTS = BASIC | EXTENDED


def test_all_are_here():
    assert len(TESTS) == 18


@pytest.mark.parametrize("number", TESTS)
async def test_rfc_8906_section(number):
    arguments, status, soa, flags, not_flags, version = TESTS[number]
    async with serving(default_answerer(nsid="site-1")) as server:
        got = await dig(server, *arguments)
    assert got.status == status, got.text
    assert ("SOA" in got.types) == soa
    assert set(flags.split()) <= set(got.flags)
    assert not set(not_flags.split()) & set(got.flags)
    assert got.edns_version == version
    assert got.edns_flags == []  # DO is only for those who sign (8.2.8)
    assert "MBZ" not in got.text
    assert "OPT=100" not in got.text
    if number.startswith("8.1.4"):
        assert got.opcode == "RESERVED15"
        assert set(got.counts.values()) == {0}


async def test_identity_and_cookie_are_the_only_options_that_come_back():
    arguments = TESTS["8.2.10 many options"][0]
    async with serving(default_answerer(nsid="site-1")) as server:
        got = await dig(server, *arguments)
    assert '("site-1")' in got.text
    assert "(good)" in got.text  # what dig says of a cookie that has its own in front
    assert "CLIENT-SUBNET" not in got.text and "EXPIRE" not in got.text
