"""Telephone numbers as their publishers write them."""

from __future__ import annotations

import pytest

from dnsbl.errors import IntakeError
from dnsbl.intake.formats import FormatOptions
from dnsbl.intake.formats.numbers import parse_numbers
from dnsbl.subjects import parse

OPTIONS = FormatOptions()


@pytest.mark.parametrize(
    "data",
    [
        b'{"12012018360":"2020-10-30","4930123456":""}',
        b"\xef\xbb\xbf+12012018360,2020-10-30\r\n+4930123456\r\n",
        b'# numbers\n12012018360 2020\n"4930123456";x\n',
    ],
    ids=["keys of an object", "rows", "lines"],
)
def test_numbers_with_a_plus_or_without(data: bytes) -> None:
    parsed = parse_numbers(data, OPTIONS)
    assert set(parsed.hits) == {parse("+12012018360"), parse("+4930123456")}
    assert parsed.rejected == 0


def test_what_is_no_number_is_a_reject_with_its_line() -> None:
    parsed = parse_numbers(b"+12012018360\n0301234\n+1234567890123456\n\nhello\n", OPTIONS)
    assert len(parsed.hits) == 1
    assert [reject.line for reject in parsed.rejects] == [2, 3, 5]


def test_a_cut_document_is_refused_whole() -> None:
    with pytest.raises(IntakeError, match="not JSON"):
        parse_numbers(b'{"12012018360":"2020-10-30","49', OPTIONS)
