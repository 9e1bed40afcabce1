"""Proofs by DNS: a name counts when it has the address in turn, and what is not known is not taken for a no."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from removal_peers import Dns

from dnsbl.errors import ProofError
from dnsbl.removal.names import hostname, mailbox, same_mailbox
from dnsbl.removal.resolving import Resolving

V4, V6 = ip_address("5.6.7.8"), ip_address("2a00:1:2:3::4")


def asks(dns: Dns, per_lookup: float = 3.0, in_all: float = 10.0) -> Resolving:
    return Resolving(dns.address, per_lookup, in_all)


def pointers(dns: Dns, *names: str) -> None:
    dns.add(V4.reverse_pointer, "PTR", *names)


async def test_names_that_have_the_address_in_turn(dns: Dns) -> None:
    pointers(dns, "Mail.Firm.com", "elsewhere.com", "nowhere.com")
    dns.add("mail.firm.com", "A", "5.6.7.9", "5.6.7.8")
    dns.add("elsewhere.com", "A", "5.6.7.7")
    assert await asks(dns).reverse_names(V4) == ["mail.firm.com"]


async def test_an_ipv6_address_is_confirmed_by_aaaa(dns: Dns) -> None:
    dns.add(V6.reverse_pointer, "PTR", "mail.firm.com")
    dns.add("mail.firm.com", "AAAA", "2a00:1:2:3:0:0:0:4")
    assert await asks(dns).reverse_names(V6) == ["mail.firm.com"]


async def test_ipv4_written_as_ipv6_is_ipv4(dns: Dns) -> None:
    pointers(dns, "mail.firm.com")
    dns.add("mail.firm.com", "A", "5.6.7.8")
    assert await asks(dns).reverse_names(ip_address("::ffff:5.6.7.8")) == ["mail.firm.com"]


async def test_a_reverse_zone_may_be_delegated_by_aliases(dns: Dns) -> None:
    """RFC 2317."""
    dns.add(V4.reverse_pointer, "CNAME", "8.0-15.7.6.5.in-addr.arpa")
    dns.add("8.0-15.7.6.5.in-addr.arpa", "PTR", "mail.firm.com")
    dns.add("mail.firm.com", "A", "5.6.7.8")
    assert await asks(dns).reverse_names(V4) == ["mail.firm.com"]


async def test_an_address_without_names_has_none(dns: Dns) -> None:
    assert await asks(dns).reverse_names(V4) == []
    dns.add(V4.reverse_pointer, "TXT", "no PTR here")
    assert await asks(dns).reverse_names(V4) == []


def is_dns_name(text: str) -> bool:
    """Whether a PTR record can hold it at all."""
    return text.isascii() and len(text) < 254 and all(0 < len(label) < 64 for label in text.split("."))


HOSTILE = [
    "<script>.firm.com", 'a"b.firm.com', "a b.firm.com", "a\\.firm.com", "a@firm.com", "under_score.firm.com",
    "-firm.com", "firm-.com", "a..firm.com", "localhost", "firm.local", "5.6.7.8", "firm.123", "co.uk",
    "8.7.6.5.in-addr.arpa", "firm.onion", "firm\r\nRcpt.com", "x" * 64 + ".com", ".".join(["x" * 60] * 5),
    ".".join("abcdefghijklmnopqrst") + ".com", "%s.firm.com", "{{7*7}}.firm.com", "fïrm.com", "firm.xn--",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in HOSTILE if is_dns_name(name)])
async def test_a_name_that_is_no_hosts_is_never_looked_up(dns: Dns, name: str) -> None:
    pointers(dns, name)
    dns.add(name, "A", "5.6.7.8")
    assert await asks(dns).reverse_names(V4) == []
    assert [kind for _, _, kind in dns.asked] == ["PTR"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name: str) -> None:
    assert hostname(name) is None
    assert mailbox(f"abuse@{name}") is None


async def test_of_thousands_of_names_a_few_are_tried(dns: Dns) -> None:
    pointers(dns, *(f"host{number}.firm.com" for number in range(1500)))
    for number in range(1500):
        dns.add(f"host{number}.firm.com", "A", "5.6.7.8")
    assert len(await asks(dns).reverse_names(V4)) == 3
    assert [way for way, _, kind in dns.asked if kind == "PTR"] == ["udp", "tcp"]
    assert len([kind for *_, kind in dns.asked if kind == "A"]) == 3


async def test_a_loop_of_aliases_is_not_followed_for_ever(dns: Dns) -> None:
    dns.add(V4.reverse_pointer, "CNAME", "a.firm.com")
    dns.add("a.firm.com", "CNAME", "b.firm.com")
    dns.add("b.firm.com", "CNAME", "a.firm.com")
    with pytest.raises(ProofError, match="can be used"):
        await asks(dns).reverse_names(V4)
    assert len(dns.asked) == 1


async def test_a_broken_answer_is_no_no(dns: Dns) -> None:
    dns.broken.add(V4.reverse_pointer)
    with pytest.raises(ProofError, match="try again"):
        await asks(dns).reverse_names(V4)


async def test_one_confirmed_name_is_enough_when_another_cannot_be_known(dns: Dns) -> None:
    pointers(dns, "broken.firm.com", "mail.firm.com")
    dns.broken.add("broken.firm.com")
    with pytest.raises(ProofError, match="can be used"):
        await asks(dns).reverse_names(V4)
    dns.add("mail.firm.com", "A", "5.6.7.8")
    assert await asks(dns).reverse_names(V4) == ["mail.firm.com"]


async def test_silence_is_waited_for_a_bounded_time(dns: Dns) -> None:
    dns.silent.add("_dnsbl-challenge.firm.com")
    with pytest.raises(ProofError, match="in time"):
        await asks(dns, per_lookup=0.2).has_txt("_dnsbl-challenge.firm.com", "value")
    with pytest.raises(ProofError, match="in time"):
        await asks(dns, in_all=0.1).has_txt("_dnsbl-challenge.firm.com", "value")


async def test_a_resolver_that_is_away_is_no_no(dns: Dns) -> None:
    with pytest.raises(ProofError):
        await Resolving("127.0.0.1:1", per_lookup=0.5).has_txt("firm.com", "value")


async def test_nothing_is_known_where_it_is_off() -> None:
    off = Resolving("off")
    assert off.off
    with pytest.raises(ProofError, match="choose another"):
        await off.has_txt("firm.com", "value")
    with pytest.raises(ProofError, match="choose another"):
        await off.reverse_names(V4)


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ("token", True), (" token\n", True), (("tok", "en"), True), ("", False), ("Token", False), ("token2", False),
        ("dnsbl=token", False), ("t\u00f6ken", False), ("<b>token</b>", False),
    ],
)  # fmt: skip
async def test_a_record_is_the_value_and_nothing_else(dns: Dns, record: str, found: bool) -> None:
    dns.add("_dnsbl-challenge.firm.com", "TXT", "v=spf1 -all", record)
    assert await asks(dns).has_txt("_dnsbl-challenge.firm.com", "token") is found


async def test_an_alias_leads_to_the_record(dns: Dns) -> None:
    """As ACME users know it: the record stands where they may write."""
    dns.add("_dnsbl-challenge.firm.com", "CNAME", "proofs.firm.net")
    dns.add("proofs.firm.net", "TXT", "token")
    assert await asks(dns).has_txt("_dnsbl-challenge.firm.com", "token")


async def test_a_long_answer_comes_by_tcp(dns: Dns) -> None:
    dns.add("firm.com", "TXT", *("x" * 200 for _ in range(20)), "token")
    assert await asks(dns).has_txt("firm.com", "token")
    assert [way for way, *_ in dns.asked] == ["udp", "tcp"]


async def test_records_are_not_looked_through_for_ever(dns: Dns) -> None:
    dns.add("firm.com", "TXT", *(f"record {number}" for number in range(50)), "token")
    assert not await asks(dns).has_txt("firm.com", "token")
    assert await asks(dns).has_txt("firm.com", "record 49")


async def test_what_is_put_right_is_seen_at_once(dns: Dns) -> None:
    resolving = asks(dns)
    assert not await resolving.has_txt("firm.com", "token")
    dns.add("firm.com", "TXT", "wrong")
    assert not await resolving.has_txt("firm.com", "token")
    dns.add("firm.com", "TXT", "token")
    assert await resolving.has_txt("firm.com", "token")


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".com", ".".join(["x" * 60] * 5), "fïrm.com"])
async def test_what_is_no_name_has_no_record(dns: Dns, name: str) -> None:
    assert not await asks(dns).has_txt(name, "token")


@pytest.mark.parametrize(
    "text",
    [
        "", "abuse", "@firm.com", "abuse@", "abuse@@firm.com", "a b@firm.com", '"a"@firm.com', "a%b@firm.com",
        "-f@firm.com", "a!b@firm.com", "|sh@firm.com", "a..b@firm.com", ".a@firm.com", "a.@firm.com", "abuse@[5.6.7.8]",
        "abuse@5.6.7.8", "x" * 65 + "@firm.com", "abuse@firm.com\r\nBcc: b@x.com", "abuse@firm.com\n",
        "a,b@firm.com", "Ann <a@firm.com>", "äbuse@firm.com", "abuse@firm.com>", "a@b@firm.com",
        "mailto:abuse@firm.com", "abuse@firm.com\x00",
    ],
)  # fmt: skip
def test_what_is_no_mailbox(text: str) -> None:
    assert mailbox(text) is None


def test_mailboxes() -> None:
    assert mailbox("Network.Abuse+dnsbl@Firm.CO.UK.") == "Network.Abuse+dnsbl@firm.co.uk"
    assert mailbox("postmaster@mail.xn--frm-rma.xn--p1ai") == "postmaster@mail.xn--frm-rma.xn--p1ai"
    assert same_mailbox("Abuse+1@firm.com") == same_mailbox("abuse+2@firm.com") == "abuse@firm.com"


@given(st.text(max_size=300), st.text(st.characters(codec="ascii"), max_size=80))
def test_a_mailbox_is_one_printable_word(local: str, domain: str) -> None:
    for text in (local, f"{local}@{domain}", f"{local}@firm.com", f"abuse@{domain}.com"):
        found = mailbox(text)
        assert found is None or (found.isascii() and found.isprintable() and not set(found) & set(' <>()[],;:"\\%!|`/'))
        assert found is None or mailbox(found) == found
