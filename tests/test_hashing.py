"""Hashes of what people hold: the ones that others ask for, and what a query may mean."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.errors import SubjectError
from dnsbl.hashing import MAX_QUERY, email_hash, file_digest, file_hash, parse_query, url_hash
from dnsbl.subjects import kind, parse, text


def sha1(written: str) -> str:
    return hashlib.sha1(written.encode()).hexdigest()


@pytest.mark.parametrize(
    ("address", "hashed"),
    [
        ("test@example.com", "test@example.com"),
        (" Evil.Person+tag@Freemail.Example.com\n", "evil.person@freemail.example.com"),
        ("j.o.e@gmail.com", "j.o.e@gmail.com"),
        ("a+b+c@gmail.com.", "a@gmail.com"), ("o'neil=x@a.example", "o'neil=x@a.example"),
        ("joe@Bücher.example", "joe@xn--bcher-kva.example"), ("JÖRG@a.example", "jörg@a.example"),
    ],
)  # fmt: skip
def test_an_address_is_hashed_in_lower_case_and_without_its_tag(address: str, hashed: str) -> None:
    assert text(email_hash(address)) == "email:" + sha1(hashed)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "not a mail"), ("joe", "not a mail"), ("@a.example", "not a mail"), ("+x@a.example", "not a mail"),
        ("joe@com", "single label"), ("joe@", "empty"), ("joe@[192.0.2.1]", "not a domain"),
        ("joe@a.1", "end in a number"),
        ('"joe x"@a.example', "not a mail"), ("joe x@a.example", "not a mail"), ("joe@b@a.example", "not a mail"),
        ("joe\x00@a.example", "not a mail"), ("Joe <joe@a.example>", "not a"), ("x" * 65 + "@a.example", "not a mail"),
        ("x@" + "a" * 300 + ".example", "longer than 254"), ("\ud800@a.example", "not text"),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str, why: str) -> None:
    with pytest.raises(SubjectError, match=why):
        email_hash(address)


@pytest.mark.parametrize(
    ("url", "hashed"),
    [
        ("http://Some.Example/Path?Q=X#Frag", "http://some.example/path?q=x#frag"),
        (" https://a.example\n", "https://a.example"), ("HTTP://a.example:80/%41", "http://a.example:80/%41"),
        ("https://user:pass@a.example/z", "https://user:pass@a.example/z"), ("http://a.example/ü", "http://a.example/ü"),
    ],
)  # fmt: skip
def test_a_url_is_hashed_as_it_is_written_in_lower_case(url: str, hashed: str) -> None:
    assert text(url_hash(url)) == "url:" + sha1(hashed)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "not a URL"), ("a.example/x", "not a URL"), ("ftp://a.example/", "not a URL"), ("http:///x", "not a URL"),
        ("http://", "not a URL"), ("http://a.example/a b", "not a URL"), ("http://a.example/\x7f", "not a URL"),
        ("http://a.example/" + "x" * 2048, "longer than 2048"), ("http://a.example/\ud800", "not text"),
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused(url: str, why: str) -> None:
    with pytest.raises(SubjectError, match=why):
        url_hash(url)


@given(st.binary(max_size=100))
def test_a_file_is_hashed_by_its_content_or_given_by_its_digest(content: bytes) -> None:
    digest = hashlib.sha256(content).digest()
    key = file_hash(content)
    assert key == file_digest(digest)
    assert base64.b32decode(text(key).removeprefix("file:").upper() + "====") == digest


def test_what_is_no_digest_is_refused() -> None:
    with pytest.raises(SubjectError, match="not a SHA-256"):
        file_digest(bytes(20))


# what people ask


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (" Joe@A.example ", email_hash("joe@a.example")),
        ("mailto:joe@a.example?subject=x", email_hash("joe@a.example")),
        ("https://a.example/x", url_hash("https://a.example/x")), ("HTTP://a@b.example", url_hash("http://a@b.example")),
        ("+1 (201) 201-8360", b"e12012018360"), ("+49.30.123", b"e4930123"), ("tel:+49-30-123", b"e4930123"),
    ],
)  # fmt: skip
def test_a_query_may_be_what_is_no_line_of_a_list(asked: str, meant: bytes) -> None:
    assert parse_query(asked) == meant
    with pytest.raises(SubjectError):
        parse(asked)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("", "empty"), ("+49 (0)30 123", r"\(0\)"), ("tel:110", "not"),
        ("http:a.example", "not a URL"), ("@", "not a mail"),
        ("bad example", "not a domain"), ("x" * (MAX_QUERY + 1), "too long"), ("+" + "1" * 16, "E.164"),
    ],
)  # fmt: skip
def test_a_query_that_means_nothing_is_refused(asked: str, why: str) -> None:
    with pytest.raises(SubjectError, match=why):
        parse_query(asked)


@given(st.text(max_size=60) | st.text(alphabet="@:/+.a1(0) htpmailto-", max_size=40))
def test_a_query_means_what_a_line_of_a_list_means_where_that_means_anything(asked: str) -> None:
    try:
        expected = parse(asked)
    except SubjectError:
        try:
            assert kind(parse_query(asked)) in ("hash", "e164")
        except SubjectError as error:
            assert len(str(error)) < 100 and "\n" not in str(error)
    else:
        assert parse_query(asked) == expected
