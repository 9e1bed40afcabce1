"""Authentication-Results: what a relay of ours wrote is believed, and what others wrote in its name is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.intake.authentication import Verdict, believed

OURS = ["relay.example.net", "Other.example.net"]
FROM = b"From: Ann <ann@news.example.com>\r\n"
PASS = b"Authentication-Results: relay.example.net; dkim=pass header.d=example.com header.s=S1\r\n"
FORGED = (
    b"Authentication-Results: relay.example.net; dkim=pass header.d=bank.example; spf=pass smtp.mailfrom=b.example\r\n"
)
RECEIVED = b"Received: from there by here; Sat, 21 Nov 2026 10:00:00 +0000\r\n"


def read(headers: bytes) -> Verdict:
    found = believed(headers + b"\r\n", OURS)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("results", "aligned"),
    [
        ("dkim=pass header.d=example.com", ("news.example.com",)),
        ("dkim=pass header.i=@example.com", ("news.example.com",)),
        ("dkim=pass (2048-bit key) header.d=Example.COM header.b=ab/c+", ("news.example.com",)),
        ("dkim=fail header.d=example.com", ()), ("dkim=policy header.d=example.com", ()),
        ("dkim=pass header.d=bank.example", ()), ("dkim=pass", ()), ("none", ()),
        ("spf=pass smtp.mailfrom=ann@example.com", ("news.example.com", "example.com")),
        ("spf=pass smtp.mailfrom=example.com smtp.helo=h.example", ("news.example.com", "example.com")),
        ("spf=pass smtp.helo=example.com", ()), ("spf=softfail smtp.mailfrom=example.com", ()),
        ("spf=bestguesspass smtp.mailfrom=example.com", ()),
        ("dkim=pass header.d=example.com; dmarc=fail header.from=news.example.com", ()),
        ("dmarc=pass (p=none dis=none) header.from=news.example.com", ("news.example.com",)),
        ("dmarc=pass header.from=bank.example", ()), ("dkim=pass header.d=example.com; dmarc=temperror", ()),
        ("dkim=fail header.d=a.example; dkim=pass header.d=example.com", ("news.example.com",)),
        ("spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.com; dkim=none (no signature) header.d=none;"
         "dmarc=pass action=none header.from=news.example.com;compauth=pass reason=100",
         ("news.example.com", "example.com")),
    ],
)  # fmt: skip
def test_what_a_relay_of_ours_found_is_believed(results: str, aligned: tuple[str, ...]) -> None:
    found = read(f"Authentication-Results: relay.example.net;\r\n\t{results}\r\n".encode() + RECEIVED + FROM)
    assert (found.aligned, found.source, found.from_domain) == (
        aligned, "authserv-id relay.example.net", "news.example.com",
    )  # fmt: skip


def test_results_are_in_the_words_of_the_rfc() -> None:
    found = read(
        b"Authentication-Results: other.example.net 1; spf=hardfail smtp.mailfrom=a@b.example;"
        b" dkim=weird header.d=x.example header.s=../x; arc=pass; dmarc=bestguesspass\r\n" + FROM
    )
    assert (found.spf, found.spf_domain, found.arc, found.dmarc) == ("fail", "b.example", "pass", "none")
    assert found.dkim == (("x.example", "", "neutral"),)


@pytest.mark.parametrize(
    "headers",
    [
        b"", FROM, b"Authentication-Results: elsewhere.example; dkim=pass header.d=news.example.com\r\n" + FROM,
        b"X-Authentication-Results: relay.example.net; dkim=pass header.d=example.com\r\n" + FROM,
        b"Authentication-Results: relay.example.net.evil.example; dkim=pass header.d=example.com\r\n" + FROM,
        FROM + b"\r\n" + PASS, b"no field\r\n" + PASS + FROM,
    ],
)  # fmt: skip
def test_what_others_wrote_is_not(headers: bytes) -> None:
    assert believed(headers + b"\r\n", OURS) is None


def test_nobody_s_results_are_believed_where_nobody_is_named() -> None:
    assert believed(PASS + FROM + b"\r\n", []) is None


def test_what_stands_below_other_fields_is_ignored() -> None:
    found = read(PASS + RECEIVED + FORGED + FROM.replace(b"news.example.com", b"bank.example"))
    assert (found.aligned, found.spf, len(found.dkim)) == ((), "none", 1)


def test_filters_of_one_relay_write_a_field_each() -> None:
    spf = b"Authentication-Results: relay.example.net; spf=pass smtp.mailfrom=example.com\r\n"
    found = read(spf + PASS + FROM)
    assert (found.spf, found.dkim) == ("pass", (("example.com", "s1", "pass"),))
    other = spf.replace(b"relay", b"other")
    assert read(PASS + other + FROM).spf == "none"


def test_a_method_is_spoken_of_once() -> None:
    """A forged field directly below cannot add to what the relay did check."""
    spf = b"Authentication-Results: relay.example.net; spf=fail smtp.mailfrom=evil.example\r\n"
    found = read(spf + PASS + FORGED + FROM)
    assert (found.spf, found.dkim) == ("fail", (("example.com", "s1", "pass"),))


@pytest.mark.parametrize(
    "own",
    [b"relay.example.net; dkim=(", b"relay.example.net; =", b"relay.example.net", b"\xff; x=y", b"",
     b"relay.example.net; dkim=pass (" + b"(" * 6000, b"relay.example.net; x=" + b"a " * 9000,
     b"relay.example.net" + b"; x=y" * 130, b"relay.example.net; x=y" + b" q" * 250],
)  # fmt: skip
def test_below_a_field_that_cannot_be_read_nothing_is_believed(own: bytes) -> None:
    """It may be the relay's, spoilt by what the sender wrote into it."""
    assert believed(b"Authentication-Results: " + own + b"\r\n" + FORGED + FROM + b"\r\n", OURS) is None


def test_two_authors_are_nobody() -> None:
    found = read(PASS + FROM + FROM.replace(b"news.example.com", b"bank.example"))
    assert (found.from_domain, found.aligned) == ("", ())


@given(st.binary(max_size=120) | st.text('relay.xntdkimspf=;/"()\\ @<>', max_size=80).map(str.encode))
def test_any_bytes_are_results_or_none(value: bytes) -> None:
    headers = b"Authentication-Results: relay.example.net; " + value.replace(b"\n", b"").replace(b"\r", b"") + b"\r\n"
    found = believed(headers + FROM + b"\r\n", OURS)
    assert found is None or set(found.aligned) <= {"news.example.com", found.spf_domain}
