"""Times and durations, as people and files write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.clock import duration, now, parse_time, rfc3339

LAST = 253_402_300_799  # 9999-12-31T23:59:59Z


@given(st.integers(0, LAST))
def test_seconds_are_written_and_read_again(at: int) -> None:
    written = rfc3339(at)
    assert written is not None
    assert written.endswith("Z")
    assert parse_time(written) == parse_time(str(at)) == at


def test_no_time_is_no_text() -> None:
    assert rfc3339(None) is None


def test_now_is_a_whole_second_that_can_be_written() -> None:
    assert isinstance(now(), int)
    assert parse_time(rfc3339(now()) or "") >= 1_700_000_000


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("0", 0), (" 1790000000 ", 1_790_000_000), ("2026-01-02T03:04:05Z", 1_767_323_045),
        ("2026-01-02T03:04:05", 1_767_323_045), ("2026-01-02 03:04:05", 1_767_323_045),
        ("2026-01-02T04:04:05+01:00", 1_767_323_045), ("2026-01-02T03:04:05.999Z", 1_767_323_045),
        ("2026-01-02", 1_767_312_000), ("1970-01-01", 0), ("1970-01-01T00:00:00.5Z", 0), (str(LAST), LAST),
        ("9999-12-31T23:59:59Z", LAST),
    ],
)  # fmt: skip
def test_times_are_read(written: str, at: int) -> None:
    assert parse_time(written) == at


@pytest.mark.parametrize(
    "written",
    [
        "", "yesterday", "-1", "1.5", "1969-12-31T23:59:58Z", "1969-12-31T23:59:59.5Z", "2026-13-01", "2026-02-30",
        "02/01/2026", str(LAST + 1),
        "9" * 5000, "1970-01-01T00:00:00+01:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00", "٣", "²",
    ],
)  # fmt: skip
def test_what_is_no_time_is_a_value_error(written: str) -> None:
    with pytest.raises(ValueError):
        parse_time(written)


@given(st.text(max_size=30))
def test_any_text_is_a_time_that_can_be_written_or_a_value_error(written: str) -> None:
    try:
        at = parse_time(written)
    except ValueError:
        return
    assert rfc3339(at)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (90, 90), ("90", 90), ("90s", 90), ("15m", 900), ("6h", 21_600), ("14d", 1_209_600), ("2w", 1_209_600),
        (" 1 d ", 86_400), ("0", 0),
    ],
)  # fmt: skip
def test_durations_are_read(written: str | int, seconds: int) -> None:
    assert duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "d", "1y", "1.5h", "-1d", "1d2h", "1e3", "9" * 10, "1 d d", 1.5, None, True, ["1d"]]
)
def test_what_is_no_duration_is_a_value_error(written: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration(written)  # type: ignore[arg-type]
