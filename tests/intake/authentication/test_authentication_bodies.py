"""The body as signatures hash it: what the library makes of it, in no time."""

from __future__ import annotations

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.intake.authentication.bodies import relaxed, simple

bodies = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"\r", b"bc"]), max_size=60).map(b"".join)


@given(bodies)
def test_it_is_what_the_library_makes_of_it(body: bytes) -> None:
    body += b"\r\n"
    assert relaxed(body) == Relaxed.canonicalize_body(body)
    assert simple(body) == Simple.canonicalize_body(body)


@pytest.mark.timeout(60)  # a tenth of a second where it is linear
@pytest.mark.parametrize(
    "body",
    [b" " * 2**21 + b"x", b"a " * 2**20, b"\r\n" * 2**20, b"\t\r\n" * 700_000, b"\r" * 2**21,
     (b" " * 998 + b"x\r\n") * 2000],
    ids=["spaces", "words", "lines", "tabs", "returns", "runs"],
)  # fmt: skip
def test_a_body_that_is_made_to_be_slow_is_not(body: bytes) -> None:
    """The library alone takes hours for the first, and holds the interpreter's lock meanwhile."""
    relaxed(body + b"\r\n")
    simple(body + b"\r\n")
