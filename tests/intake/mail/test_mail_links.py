"""Where a mail leads: links as a reader's program would follow them, however they are written to deceive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.intake.mail.hosts import read_host
from dnsbl.intake.mail.links import MAX_DOMAINS, MAX_EMAILS, MAX_LOOKED, MAX_URLS, Links


def plain(text: str) -> Links:
    links = Links()
    links.plain(text)
    return links


def html(text: str) -> Links:
    links = Links()
    links.html(text)
    return links


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("Go to http://evil.example/path?x=1#part now", ["http://evil.example/path?x=1"]),
        ("HTTP://EVIL.Example./A", ["http://evil.example/A"]),
        ("see http://evil.example.", ["http://evil.example/"]),
        ("(http://evil.example/a_(b)), ok", ["http://evil.example/a_(b)"]),
        ("[http://evil.example], <http://two.example>!", ["http://evil.example/", "http://two.example/"]),
        ("http://evil.example,and more", ["http://evil.example/"]),
        (r"http:\\evil.example\x", ["http://evil.example/x"]),
        ("https:///evil.example:443/", ["https://evil.example/"]),
        ("https://evil.example:8443/", ["https://evil.example:8443/"]),
        ("http://good.example@evil.example/", ["http://evil.example/"]),
        ("http://good.example:80@evil.example:81/", ["http://evil.example:81/"]),
        (r"http://evil.example\@good.example/", ["http://evil.example/@good.example/"]),
        ("http://evil.example?u=http://good.example/", ["http://evil.example/?u=http://good.example/"]),
        ("ftp://evil.example/f", ["ftp://evil.example/f"]),
        ("www.evil.com and WWW.evil.org, too", ["http://www.evil.com/", "http://www.evil.org/"]),
        ("buy at evil.com/now.", ["http://evil.com/now"]),
        ("http://bücher.example/ü", ["http://xn--bcher-kva.example/%C3%BC"]),
        ("http://evil。example/", ["http://evil.example/"]),
        ("http://%65vil.example/", ["http://evil.example/"]),
        ("http://evil.example/a b", ["http://evil.example/a"]),
        ("http://[2001:DB8::1]:80/x", ["http://[2001:db8::1]/x"]),
    ],
)
def test_links_in_text(text: str, urls: list[str]) -> None:
    assert list(plain(text).urls) == urls


@pytest.mark.parametrize(
    "text",
    [
        "evil.com",
        "read file.txt/now and index.phtml/x",
        "and/or 1.2.3/4 10.0.0.1/24",
        "www.evil.nosuchsuffix",
        "evil.nosuchsuffix/path",
        "me@evil.com/x and /usr/bin.com/x",
        "http:// nothing, http:///, http://./ http://a..b/ http://-a.example/",
        "http://localhost/ is here",
        "cid:part@evil.example javascript:alert(1)",
    ],
)
def test_what_is_no_link(text: str) -> None:
    links = plain(text)
    assert (list(links.urls), list(links.domains), list(links.addresses)) == ([], [], [])


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("3232235777", "192.168.1.1"), ("0xC0A80101", "192.168.1.1"), ("030052000401", "192.168.1.1"),
        ("0xc0.0250.1.1", "192.168.1.1"), ("192.168.257", "192.168.1.1"), ("192.11010305", "192.168.1.1"),
        ("192.168.1.1.", "192.168.1.1"), ("００３００.168.1.1", "192.168.1.1"), ("1.2.3.%34", "1.2.3.4"),
        ("0", "0.0.0.0"), ("[::ffff:1.2.3.4]", "1.2.3.4"), ("[2001:DB8:0::1]", "2001:db8::1"),
    ],
)  # fmt: skip
def test_addresses_as_browsers_read_them(host: str, address: str) -> None:
    assert read_host(host) == (address, True)
    assert list(html(f'<a href="http://{host}/">').addresses) == [address]


@pytest.mark.parametrize(
    "host", ["256.1.1.1", "1.2.3.4.5", "08.1.1.1", "4294967296", "1.2.3.256", "a.1", "[1::2::3]", "[", "1..2"]
)
def test_what_browsers_refuse_is_no_host(host: str) -> None:
    assert read_host(host) is None


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.evil.co.uk", "evil.co.uk"),
        ("a.b.user.github.io", "user.github.io"),
        ("github.io", None),
        ("co.uk", None),
        ("mail.bücher.de", "xn--bcher-kva.de"),
    ],
)
def test_the_registrable_name_is_what_counts(host: str, domain: str | None) -> None:
    assert list(plain(f"http://{host}/").domains) == ([domain] if domain else [])


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ('<a href="http://evil.example/x?a=1&amp;b=2">x</a>', ["http://evil.example/x?a=1&b=2"]),
        ("<A HREF = http://evil.example/x>x</A>", ["http://evil.example/x"]),
        ("<img src='//evil.example/i.gif'>", ["http://evil.example/i.gif"]),
        ("<form action=http://evil.example/>", ["http://evil.example/"]),
        ('<a href="&#104;&#x74;tp&#58;//&#101;vil&#46;example/">', ["http://evil.example/"]),
        ('<a href=" ht\ntp://ev\til.example/">', ["http://evil.example/"]),
        ('<a href="http:evil.example/x">', ["http://evil.example/x"]),
        ('<td background="http://evil.example/b">', ["http://evil.example/b"]),
        ("<p style=\"background:url('http://evil.example/b')\">", ["http://evil.example/b"]),
        ('<meta http-equiv=refresh content="0; url=http://evil.example/">', ["http://evil.example/"]),
        ("<body onload=\"window.open('http://evil.example/w')\">", ["http://evil.example/w"]),
        ("<script>location='http://evil.example/s';p.com/x</script>", ["http://evil.example/s"]),
        ('<script src="http://evil.example/s.js"></script>', ["http://evil.example/s.js"]),
        ('<a href="javascript:go(&quot;http://evil.example/j&quot;)">', ["http://evil.example/j"]),
        ('<a title=">" href="http://evil.example/">', ["http://evil.example/"]),
        ("text www.ev<b></b>il.com<br>next", ["http://www.evil.com/"]),
        ("text http://evil.example<br>next", ["http://evil.example/"]),
        ("http://e<!-- -->vil.example/ <!--> www.evil.com", ["http://evil.example/", "http://www.evil.com/"]),
    ],
)
def test_links_in_html(text: str, urls: list[str]) -> None:
    assert list(html(text).urls) == urls


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1.dtd">',
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:o="http://schemas.example/office">',
        "<!-- http://hidden.example/ -->",
        "<style>p.com/x { } @import 'http://s.example/'</style>",
        '<img src="cid:a@b.example"><a href="#top"><a href="page.html"><a href="javascript:x()">',
    ],
)
def test_what_no_reader_follows(text: str) -> None:
    assert not html(text).urls


def test_mail_addresses() -> None:
    links = html(
        '<a href="mailto:Buy%40Evil.Example?bcc=a@b.example">x</a> Two@evil.example. &lt;three@evil.example&gt;'
    )
    assert list(links.emails) == ["buy@evil.example", "two@evil.example", "three@evil.example"]
    assert not links.domains
    assert not plain("a@b, @x.example, a@127.0.0.1, x____@____.____ http://e.example/?to=me@trap.example").emails


def test_there_is_an_end_to_it() -> None:
    many = plain(" ".join(f"http://a{n}.example/ m{n}@a.example" for n in range(300)))
    assert (len(many.urls), len(many.domains), len(many.emails)) == (MAX_URLS, MAX_DOMAINS, MAX_EMAILS)
    assert many.cut == {"urls", "domains", "emails"}
    endless = plain(" ".join(f"http://a..{n}/" for n in range(MAX_LOOKED + 1)) + " http://evil.example/")
    assert endless.cut == {"links"}
    assert not endless.urls
    assert not plain("http://evil.example/ " * 5000).cut


@given(st.text(max_size=300))
def test_text_of_any_kind_is_read(text: str) -> None:
    for links in (plain(text), html(text), plain("http://" + text), html(f'<a href="//{text}">')):
        assert all(url.isascii() and url.isprintable() and " " not in url for url in links.urls)
        for url in links.urls:
            assert list(html(f'<a href="{url}">').urls) == [url], "a link in its plain form stays as it is"


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{:d}", "0x{:x}", "0{:o}"]))
def test_every_number_is_an_address(number: int, form: str) -> None:
    read = read_host(form.format(number))
    assert read is not None
    assert read[1]
    assert int.from_bytes(bytes(map(int, read[0].split("."))), "big") == number
