"""What may prove that a subject is somebody's: nothing that the requester could have made up."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.config import PROOFS
from dnsbl.hashing import email_hash, url_hash
from dnsbl.removal.proofs import (
    PREFIX,
    around,
    challenge_names,
    digest,
    from_itself,
    host_named,
    mail_names,
    mailboxes,
    single,
    token,
    ways,
)  # fmt: skip
from dnsbl.subjects import bounds, is_ip, listing_key, parse, text

addresses = st.ip_addresses().filter(lambda address: address.version == 4 or address.ipv4_mapped is None)
URL = "https://shop.bad.example/offer?x=1"


def offered(subject: bytes | str, needed: str = "address", without: str = "") -> list[str]:
    key = subject if isinstance(subject, bytes) else parse(subject)
    return ways(key, needed, mail=without != "mail", dns=without != "dns", rdap=without != "rdap")


# what is offered


@pytest.mark.parametrize(
    ("subject", "proofs"),
    [
        ("5.5.5.5", ["address", "mailbox", "dns", "range"]),
        ("2a00::/64", ["address", "mailbox", "dns", "range"]),
        ("5.5.5.0/24", ["dns", "range"]),
        ("5.5.5.0/25", ["range"]),  # no reverse name of its own
        ("2a00::/56", ["dns", "range"]),
        ("2a00::/57", ["range"]),
        ("a.com", ["mailbox", "dns"]),
        ("www.a.co.uk", ["mailbox", "dns"]),
        ("email:" + "a" * 40, ["mailbox"]),
        ("url:" + "a" * 40, ["dns"]),
        ("file:" + "a" * 52, []),
        ("+4930123456", []),
    ],
)
def test_each_kind_of_subject_has_its_proofs(subject: str, proofs: list[str]) -> None:
    assert offered(subject) == proofs


@pytest.mark.parametrize("needed", PROOFS)
@pytest.mark.parametrize("subject", ["5.5.5.5", "5.5.5.0/24", "a.com"])
def test_nothing_weaker_than_needed_is_offered(subject: str, needed: str) -> None:
    assert all(PROOFS.index(proof) >= PROOFS.index(needed) for proof in offered(subject, needed))


@pytest.mark.parametrize(
    ("without", "proofs"),
    [("mail", ["address", "dns"]), ("dns", ["address", "range"]), ("rdap", ["address", "mailbox", "dns"])],
)
def test_what_there_is_nothing_to_ask_with_is_not_offered(without: str, proofs: list[str]) -> None:
    assert offered("5.5.5.5", without=without) == proofs


# the address itself


@given(addresses)
def test_a_request_from_an_address_is_about_that_address(address: ipaddress.IPv4Address) -> None:
    subject = listing_key(parse(str(address)))
    assert from_itself(subject, address)
    assert not from_itself(subject, None)


@given(addresses, addresses)
def test_and_about_no_other(one: ipaddress.IPv4Address, other: ipaddress.IPv4Address) -> None:
    subject = listing_key(parse(str(one)))
    first, last = bounds(subject)
    within = one.version == other.version and first <= int(other) <= last
    assert from_itself(subject, other) == within


def test_a_neighbour_in_the_same_64_is_the_same_customer() -> None:
    assert from_itself(parse("2a00::/64"), ipaddress.ip_address("2a00::dead:beef"))
    assert not from_itself(parse("2a00::/64"), ipaddress.ip_address("2a00:0:0:1::1"))


def test_ipv4_within_ipv6_is_ipv4() -> None:
    assert from_itself(parse("5.5.5.5"), ipaddress.ip_address("::ffff:5.5.5.5"))


@pytest.mark.parametrize("subject", ["5.5.5.0/24", "5.5.5.4/31", "0.0.0.0/0", "2a00::/63", "a.com", "+4930123456"])
def test_who_comes_from_one_address_of_it_does_not_own_a_network(subject: str) -> None:
    for address in ("5.5.5.5", "2a00::1"):
        assert not from_itself(parse(subject), ipaddress.ip_address(address))


def test_the_host_of_a_network_is_the_address_that_was_typed_of_it() -> None:
    customer = parse("2a00::/64")
    assert host_named(customer, " 2A00:0::5 ") == "2a00::5"
    for other in ("2a00:0:0:1::5", "2a00::5%eth0", "2a00::/64", "::ffff:5.5.5.5", "5.5.5.5", "", "x" * 500):
        assert host_named(customer, other) == ""


@pytest.mark.parametrize(
    ("subject", "is_one"),
    [("5.5.5.5", True), ("5.5.5.4/31", False), ("2a00::/64", True), ("2a00::/63", False), ("a.com", True)],
)
def test_a_host_is_an_address_or_a_64(subject: str, is_one: bool) -> None:
    assert single(parse(subject)) == is_one


# mail


def test_of_a_name_the_mailboxes_are_its_own_and_its_registered_domains() -> None:
    assert mailboxes(mail_names(parse("www.a.co.uk"))) == [
        "postmaster@www.a.co.uk", "abuse@www.a.co.uk", "postmaster@a.co.uk", "abuse@a.co.uk",
    ]  # fmt: skip
    assert mailboxes(mail_names(parse("a.com"))) == ["postmaster@a.com", "abuse@a.com"]


def test_below_a_public_suffix_the_suffix_is_not_asked() -> None:
    assert mail_names(parse("victim.github.io")) == ["victim.github.io"]
    assert mail_names(parse("github.io")) == []
    assert challenge_names(parse("github.io")) == []


def test_what_a_requester_types_is_never_asked_about_a_name() -> None:
    assert mail_names(parse("a.com"), "me@evil.example") == ["a.com"]
    assert mail_names(parse("5.5.5.5"), "me@evil.example") == []


def test_of_a_hash_the_mailbox_is_what_it_is_the_hash_of() -> None:
    subject = email_hash("Joe@Example.com")
    assert mailboxes(mail_names(subject, "joe@example.com")) == ["joe@example.com"]
    assert mail_names(subject, " JOE@example.com\n") == ["joe@example.com"]
    for other in ("", "eve@example.com", "joe@evil.example", "no address", "joe@example.com, eve@evil.example"):
        assert mail_names(subject, other) == []


def test_a_tag_of_the_requesters_choice_is_no_mailbox_of_its_own() -> None:
    """Where `+` means nothing, `joe+x` is somebody else's."""
    assert mail_names(email_hash("joe@example.com"), "joe+x@example.com") == ["joe@example.com"]


@given(st.text(max_size=80))
def test_a_hash_gives_nothing_away_to_who_does_not_know_it(given_text: str) -> None:
    subject = email_hash("joe@example.com")
    assert mail_names(subject, given_text) == []
    assert challenge_names(url_hash(URL), given_text) == []


@pytest.mark.parametrize("url", ["https://a.com/x@b.com", "https://me@a.com/", "http://a.com/?to=me@evil.example"])
def test_a_url_is_no_mail_address(url: str) -> None:
    assert mail_names(url_hash(url), url) == []
    assert challenge_names(url_hash(url), url) == [f"{PREFIX}.a.com"]


# DNS


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        ("1.2.3.4", ["4.3.2.1.in-addr.arpa"]),
        ("1.2.3.0/24", ["3.2.1.in-addr.arpa"]),
        ("1.2.0.0/16", ["2.1.in-addr.arpa"]),
        ("1.0.0.0/8", ["1.in-addr.arpa"]),
        ("0.0.0.0/0", []),
        ("1.2.3.128/25", []),
        ("2a00:1:2:3::/64", ["3.0.0.0.2.0.0.0.1.0.0.0.0.0.a.2.ip6.arpa"]),
        ("2a00:1:2::/48", ["2.0.0.0.1.0.0.0.0.0.a.2.ip6.arpa"]),
        ("2a00:1::/46", []),
        ("mail.a.co.uk", ["mail.a.co.uk", "a.co.uk"]),
        ("a.com", ["a.com"]),
        ("+4930123456", []),
        ("email:" + "a" * 40, []),
    ],
)
def test_a_record_stands_before_the_subjects_own_name(subject: str, names: list[str]) -> None:
    assert challenge_names(parse(subject)) == [f"{PREFIX}.{name}" for name in names]


@given(addresses)
def test_a_hosts_reverse_name_is_that_of_the_standard_library(address: ipaddress.IPv4Address) -> None:
    (name,) = challenge_names(listing_key(parse(str(address))))
    whole = f"{PREFIX}.{address.reverse_pointer}"
    assert name == whole if address.version == 4 else whole.endswith(name.removeprefix(PREFIX))
    assert len(name) <= 253


def test_of_a_url_it_is_the_hosts() -> None:
    assert challenge_names(url_hash(URL), URL) == [f"{PREFIX}.shop.bad.example", f"{PREFIX}.bad.example"]
    assert challenge_names(url_hash(URL), URL.upper()) == challenge_names(url_hash(URL), URL)
    assert challenge_names(url_hash(URL), "https://evil.example/offer?x=1") == []


@pytest.mark.parametrize(
    "url",
    ["http://1.2.3.4/x", "http://[2a00::1]/x", "http://[::1/x", "http://localhost/", "http://a b/", "http://a..b/"],
)
def test_of_a_url_without_a_name_there_is_none(url: str) -> None:
    try:
        subject = url_hash(url)
    except ValueError:
        subject = url_hash("http://a.com/")
    assert challenge_names(subject, url) == []


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_a_hostile_url_gives_names_or_none(rest: str) -> None:
    url = f"http://{rest}"
    try:
        subject = url_hash(url)
    except ValueError:
        return
    for name in challenge_names(subject, url):
        assert parse(name.removeprefix(f"{PREFIX}."))[:1] == b"d"


# where removals are counted


@given(addresses, st.integers(0, 128))
def test_around_an_address_is_its_24_or_48(address: ipaddress.IPv4Address, length: int) -> None:
    width = {4: 24, 6: 48}[address.version]
    prefix = min(length, address.max_prefixlen)
    if address.version == 6 and int(address) >> 32 == 0xFFFF:
        return
    network = ipaddress.ip_network((address, prefix), strict=False)
    subject = parse(str(network))
    if not is_ip(subject) or (subject[0] == ord("4") and address.version == 6):
        return  # a piece of ::ffff:0:0/96 is IPv4
    expected = network if prefix <= width else ipaddress.ip_network((address, width), strict=False)
    assert text(around(subject)) == str(expected)


def test_around_a_name_is_itself() -> None:
    for subject in ("a.com", "+4930123456", "email:" + "a" * 40):
        assert around(parse(subject)) == parse(subject)


# tokens


@given(st.binary(min_size=32, max_size=32))
def test_a_token_goes_into_links_and_records_as_it_is(secret: bytes) -> None:
    made = token(secret)
    assert len(made) == 43
    assert made.isascii()
    assert made.replace("-", "").replace("_", "").isalnum()
    assert digest(made) != digest(made[:-1])


@given(st.text(st.characters(), max_size=50))
def test_any_text_has_a_digest(anything: str) -> None:
    assert len(digest(anything)) == 32
