"""Where a mail ends, and what of it is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.intake.smtp.collector import Collector, Holding
from dnsbl.intake.smtp.counters import Counters
from dnsbl.intake.smtp.limits import Limits

LIMITS = Limits(held=3000, reserve=1000, small=100, line=500)


def collector(max_bytes: int = 1000, counters: Counters | None = None) -> Collector:
    return Collector(max_bytes, LIMITS, Holding(counters or Counters(), LIMITS))


def fed(data: bytes, size: int, max_bytes: int = 1000) -> tuple[Collector, bytes | None]:
    """Given in pieces of so many octets; and what was left over, with the pieces that were not given any more."""
    found = collector(max_bytes)
    for start in range(0, len(data), size):
        rest = found.feed(data[start : start + size])
        if rest is not None:
            return found, rest + data[start + size :]
    return found, None


def stuffed(mail: bytes) -> bytes:
    """RFC 5321 section 4.5.2, as a client does it: line by line."""
    lines = mail.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


octets = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"..", b"a", b"\0", b"\xff"]), max_size=40
).map(b"".join)


@given(octets, octets, st.integers(1, 20))
def test_any_mail_comes_through_as_it_was_however_it_is_cut(mail: bytes, after: bytes, size: int) -> None:
    mail = mail if mail.endswith(b"\r\n") or not mail else mail + b"\r\n"
    found, rest = fed(stuffed(mail) + after, size)
    assert rest == after
    assert not found.fault
    assert found.content() == mail


@given(octets, st.integers(1, 20))
def test_nothing_but_a_dot_between_two_ends_of_lines_ends_a_mail(data: bytes, size: int) -> None:
    _, rest = fed(data, size)
    end = (b"\r\n" + data).find(b"\r\n.\r\n")
    assert rest == (None if end < 0 else data[end + 3 :])


@pytest.mark.parametrize(
    "end",
    [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\r\r\n", b"\n\n.\r\n",
     b"\r\n.\0\r\n", b"\r\n. \r\n", b"\r\r\n.\n"],
)  # fmt: skip
def test_nothing_is_smuggled(end: bytes) -> None:
    """CVE-2023-51764, CVE-2023-51765, CVE-2023-51766 and what is like them."""
    inner = b"Subject: one\r\n\r\nx" + end + b"MAIL FROM:<a@b.example>\r\nDATA\r\nsecond\r\n"
    found, rest = fed(inner + b".\r\n", 7)
    assert rest == b""
    assert b"second" in found.content()


def test_an_empty_mail_is_one() -> None:
    found, rest = fed(b".\r\nQUIT\r\n", 100)
    assert (found.content(), rest) == (b"", b"QUIT\r\n")


@pytest.mark.parametrize("size", [1, 3, 997, 1000, 5000])
def test_size_counts_what_is_the_mails(size: int) -> None:
    lines = b"x" * 98 + b"\r\n"
    found, rest = fed(lines * 10 + b".\r\n", size, max_bytes=1000)
    assert (found.fault, rest) == ("", b"")
    found, rest = fed(lines * 10 + b"\r\n.\r\nNOOP", size, max_bytes=1000)
    assert (found.fault, rest) == ("size", b"NOOP")


@pytest.mark.parametrize("size", [1, 499, 501, 5000])
def test_a_line_may_be_long_but_not_endless(size: int) -> None:
    assert fed(b"a\n" + b"x" * 500 + b"\n" + b"y" * 400 + b"\r\n.\r\n", size, 5000)[0].fault == ""
    found, rest = fed(b"a\n" + b"x" * 501 + b"\nb\r\n.\r\nNOOP", size, 5000)
    assert (found.fault, rest) == ("line", b"NOOP")


def test_what_is_refused_is_not_kept() -> None:
    counters = Counters()
    found = collector(1000, counters)
    for _ in range(40):
        found.feed(b"x" * 99 + b"\n")
    assert found.fault == "size" and len(found.octets) < 10 and counters.held == 0
    assert not found.endless
    found.feed(b"x" * 200)
    assert found.endless


def test_large_mails_leave_room_for_small_ones() -> None:
    counters = Counters()
    large = [collector(5000, counters) for _ in range(5)]
    for one in large:
        for _ in range(5):
            one.feed(b"x" * 98 + b"\r\n")
    assert [one.fault for one in large] == ["", "", "", "", "memory"]
    small = [collector(5000, counters) for _ in range(11)]
    for one in small:
        one.feed(b"x" * 95 + b"\r\n.\r\n")
    assert [one.fault for one in small] == [""] * 10 + ["memory"]
    for one in large + small:
        one.holding.release()
    assert counters.held == 0
