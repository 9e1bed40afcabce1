"""Lists of names: a listed name covers what is below it, and a rule about less than the whole name is no listing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl import subjects
from dnsbl.intake.formats import parse


def texts(keys):
    return sorted(subjects.text(key) for key in keys)


def read(text, format):
    return parse(text.encode() if isinstance(text, str) else text, format)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("bad.example", "bad.example"),
        ("BAD.Example.", "bad.example"),
        ("*.bad.example", "bad.example"),
        (".bad.example", "bad.example"),
        ("bad.example # c", "bad.example"),
        ("_dmarc.bad_host.example", "_dmarc.bad_host.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::1"),
        (f"{'a' * 63}.example", f"{'a' * 63}.example"),
    ],
)
def test_names_and_the_addresses_among_them(line, name):
    parsed = read(line, "domains")
    assert texts(parsed.hits) == [name]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("com", "single label"),
        ("*.com", "single label"),
        ("*", "not a domain"),
        (".", "not an IPv4"),
        (f"{'a' * 64}.example", "63"),
        (".".join(["a" * 60] * 5), "253"),
        ("bad..example", "empty label"),
        ("-bad.example", "not a domain"),
        ("foo*.bad.example", "not a domain"),
        ("bad.example/path", "not a domain"),
        ("bad.example other.example", "not a domain"),
        ("http://bad.example/", ""),
        ("bad.1", "end in a number"),
        ("bad\x00.example", "not a domain"),
        ("010.0.0.1", "leading zero"),
    ],
)
def test_what_is_no_name(line, why):
    parsed = read(f"one.example\n{line}\n", "domains")
    assert texts(parsed.hits) == ["one.example"]
    assert [(r.line, why in r.why) for r in parsed.rejects] == [(2, True)]


def test_bytes_that_are_no_utf8_are_refused_in_an_entry():
    parsed = read(b"b\xfccher.example\nbad.example # \xfc\n", "domains")
    assert texts(parsed.hits) == ["bad.example"]
    assert [r.why for r in parsed.rejects] == ["not UTF-8"]


def test_hosts_lists_what_points_nowhere_and_skips_the_machine_itself():
    parsed = read(
        "127.0.0.1 localhost localhost.localdomain\n::1 ip6-localhost\n255.255.255.255 broadcasthost\n0.0.0.0 0.0.0.0\n"
        "0.0.0.0 bad.example worse.example # c\n127.0.0.1\tbad2.example\n::\tbad3.example\n"
        "0.0.0.0 localhost bad4.example\n"
        "192.0.2.5 real.example\n0.0.0.0\n0.0.0.0 tld ok.example\n",
        "hosts",
    )
    assert texts(parsed.hits) == [
        "bad.example", "bad2.example", "bad3.example", "bad4.example", "ok.example", "worse.example",
    ]  # fmt: skip
    assert [r.line for r in parsed.rejects] == [9, 10, 11]


def test_adblock_takes_whole_names_and_excepts_whole_names():
    parsed = read(
        "[Adblock Plus 2.0]\n! Title: x\n# a comment\n||bad.example^\n||worse.example^$all\n"
        "||third.example^$third-party,important\n"
        "||*.wild.example^\nplain.example\n192.0.2.1\n||192.0.2.2^\n||list.example^\n"
        "@@||list.example^\n@@||good.bad.example^$document\n@@||gone.example^|\n",
        "adblock",
    )
    assert texts(parsed.hits) == [
        "192.0.2.1", "192.0.2.2", "bad.example", "plain.example", "third.example", "wild.example", "worse.example",
    ]  # fmt: skip
    assert texts(parsed.excluded) == ["gone.example", "good.bad.example", "list.example"]
    assert parsed.rejected == 0


@pytest.mark.parametrize(
    "rule",
    [
        "||bad.example/path^$all",
        "||bad.example/",
        "||bad.example",
        "||bad.example^$domain=x.example",
        "||bad.example^$script",
        "||bad.example^$badfilter",
        "||bad.example?x",
        "|http://bad.example/",
        "/banner/*",
        "bad.example##.ad",
        "##.ad",
        "#@#.ad",
        "bad.example#@#.ad",
        "bad.example#?#div",
        "bad.example##^script",
        "@@||bad.example/path",
        "@@/path",
        "&ad_box_",
    ],
)
def test_adblock_rules_about_less_than_a_name_are_rejects(rule):
    parsed = read(f"||one.example^\n{rule}\n", "adblock")
    assert texts(parsed.hits) == ["one.example"]
    assert not parsed.excluded
    assert [r.line for r in parsed.rejects] == [2]


NAME = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?(\.[a-z][a-z0-9-]{0,10}[a-z]){1,4}", fullmatch=True).filter(
    lambda name: not any(label[2:4] == "--" for label in name.split("."))
)


@given(st.lists(NAME, max_size=30, unique=True), st.sampled_from(["{}", "*.{}", ".{}", "{}."]))
def test_names_written_are_names_read(names, shape):
    data = "\n".join(shape.format(name) for name in names)
    assert texts(read(data, "domains").hits) == sorted(names)


@given(st.lists(NAME, max_size=30, unique=True))
def test_hosts_adblock_and_rpz_say_the_same(names):
    for format, shape in (("hosts", "0.0.0.0 {}"), ("adblock", "||{}^"), ("rpz", "{} CNAME .")):
        assert texts(read("\n".join(shape.format(name) for name in names), format).hits) == sorted(names)


@pytest.mark.data
def test_the_four_forms_of_urlhaus_agree(data_dir):
    def pulled(format, name):
        return parse((data_dir / "formats" / name).read_bytes(), format)

    domains, adblock = pulled("domains", "urlhaus-domains.txt"), pulled("adblock", "urlhaus-adblock.txt")
    hosts, rpz = pulled("hosts", "urlhaus-hosts.txt"), pulled("rpz", "urlhaus-rpz.conf")
    names = {key for key in domains.hits if not subjects.is_ip(key)}
    assert (len(domains.hits), len(names)) == (25_768, 2_689)
    assert set(hosts.hits) == set(rpz.hits) == names
    assert set(adblock.hits) >= set(domains.hits)
    assert (domains.rejected, hosts.rejected, rpz.rejected, adblock.rejected) == (0, 0, 0, 6051)
