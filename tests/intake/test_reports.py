"""Files of reports: whatever is in them, each line is taken or refused by itself, and nothing is lost in between."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl.errors import IntakeError
from dnsbl.intake import reports as module
from dnsbl.intake.gate import Gate
from dnsbl.intake.reports import Intake, looks_like_reports, open_stream, parse_map, read_reports
from dnsbl.model import MAX_REJECTS, Report
from dnsbl.subjects import parse

NOW = 1_790_000_000
HEADER = b"time,ip,category,reporter\n"


def read(content: bytes, **words: str) -> tuple[list[Report], Intake]:
    intake = Intake()
    gate = Gate(lambda _: None, NOW, words)
    return list(read_reports(open_stream(io.BytesIO(content)), gate, intake)), intake


def why(intake: Intake) -> list[tuple[int, str]]:
    return [(reject.line, reject.why) for reject in intake.rejects]


def test_columns_in_any_order_and_under_the_names_people_use() -> None:
    one = Report(parse("46.0.0.1"), "spam", 1_780_000_000, "192.0.2.0/24", "")
    for content in (
        b"time,ip,category,reporter\n1780000000,46.0.0.1,spam,192.0.2.1\n",
        b"Reporter , Type , IP_Address , Timestamp\n192.0.2.1,spam,46.0.0.1,2026-05-28T20:26:40Z\n",
        b'"src_ip","first_seen","threat","sensor","more"\n"46.0.0.1","1780000000","spam","192.0.2.1","x"\n',
        b"#subject,at,kind,by\n46.0.0.1,2026-05-28 22:26:40+02:00,SPAM,192.0.2.200\n",
        b'{"subject": "46.0.0.1", "time": 1780000000, "category": "spam", "reporter": "192.0.2.1"}\n',
        b'{"ip": "46.0.0.1", "timestamp": "1780000000", "type": "spam", "sensor": "192.0.2.1", "x": [1]}',
    ):
        assert read(content)[0] == [one], content


def test_missing_columns() -> None:
    made, intake = read(b"domain\nbad.example\n\n46.0.0.1\n")
    assert made == [Report(parse("bad.example"), "spam", NOW), Report(parse("46.0.0.1"), "spam", NOW)]
    assert intake.rejected == 0
    with pytest.raises(IntakeError, match="no column of subjects in the header 'time, what': name it one of subject"):
        read(b"time,what\n1,2\n")
    made, intake = read(HEADER + b"1780000000,46.0.0.1\n1780000000,46.0.0.2,spam,r\n")
    assert [report.subject for report in made] == [parse("46.0.0.2")]
    assert why(intake) == [(2, "2 columns where 4 are needed")]
    assert read(b"")[0] == []


def test_the_same_reports_however_the_lines_end() -> None:
    lines = [HEADER.strip(), b"1780000000,46.0.0.1,spam,r", b"", b"1780000000,46.0.0.2,spam,r"]
    plain = read(b"\n".join(lines))[0]
    assert len(plain) == 2
    for content in (b"\n".join(lines) + b"\n", b"\r\n".join(lines), b"\xef\xbb\xbf" + b"\n".join(lines)):
        assert read(content)[0] == plain
        assert read(gzip.compress(content))[0] == plain
        assert read(gzip.compress(content[:40]) + gzip.compress(content[40:]))[0] == plain, "two members are one file"


def test_quoted_fields() -> None:
    made, intake = read(HEADER + b'1780000000,"46.0.0.1","say ""spam"", please","Doe, Jane"\n')
    assert made == [Report(parse("46.0.0.1"), "other", 1_780_000_000, "doe, jane", "say-spam-please")]
    assert intake.unmapped == {"say-spam-please": 1}
    made, intake = read(HEADER + b'1780000000,"46.0.0.1"\r2,spam,r\n1,"46.0.0.2,spam,r\n1780000000,46.0.0.3,spam,r\n')
    assert [report.subject for report in made] == [parse("46.0.0.3")]
    assert [line for line, _ in why(intake)] == [2, 3]


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1 << 20])
def test_lines_over_the_borders_of_chunks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    content = b"\xef\xbb\xbf" + HEADER + b"".join(b"1780000000,46.0.0.%d,spam,r\r\n" % n for n in range(50))
    monkeypatch.setattr(module, "CHUNK", size)
    for packed in (content, gzip.compress(content)):
        made, intake = read(packed)
        assert [report.subject for report in made] == [parse(f"46.0.0.{n}") for n in range(50)]
        assert intake.rejected == 0


@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_a_line_that_is_too_long_is_one_reject(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(module, "CHUNK", size)
    good = b"1780000000,46.0.0.1,spam,r\n"
    for long in (b"x" * 65_537, b"x" * 300_000, b"y" * 2_500_000):
        made, intake = read(HEADER + good + long + b"\n" + good + long)
        assert len(made) == 2
        assert why(intake) == [(3, "longer than 65,536 bytes"), (5, "longer than 65,536 bytes")]
    assert read(b"x" * 3_000_000)[1].rejected == 1


def test_junk_among_ndjson() -> None:
    good = b'{"subject": "46.0.0.1"}\n'
    junk = [
        b"{]", b"[1]", b'"text"', b"17", b"null", b'{"subject": 5}', b'{"subject": ["46.0.0.1"]}', b"{}",
        b'{"time": 1}',
        b'{"subject": "46.0.0.1", "time": "soon"}', b'{"subject": "46.0.0.1", "time": true}',
        b'{"subject": "46.0.0.1", "time": 1e400}', b'{"subject": "46.0.0.1", "category": {}}', b"\xff\xfe", b"{" * 5000,
        b'{"subject": "46.0.0.1", "time": 99999999999999999999}', b'{"subject": "\\ud800"}',
    ]  # fmt: skip
    made, intake = read(good + b"\n".join(junk) + b"\n" + good)
    assert len(made) == 2
    assert [line for line, _ in why(intake)] == list(range(2, 2 + len(junk)))
    assert all(reason for _, reason in why(intake))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_gzip_that_is_cut_keeps_all_that_came_before(share: float) -> None:
    rows = [b"1780000000,46.0.%d.%d,spam,%d\n" % (n >> 8, n & 255, n * 7919 % 10_007) for n in range(20_000)]
    packed = gzip.compress(HEADER + b"".join(rows))
    cut = packed[: int(len(packed) * share)]
    can_be_had = HEADER + b"".join(rows)
    stream, intake, made = open_stream(io.BytesIO(cut)), Intake(), []
    reports = read_reports(stream, Gate(lambda _: None, NOW), intake)
    with pytest.raises(IntakeError, match="the gzip data is cut or damaged"):
        for report in reports:
            made.append(report)
    lines = can_be_had.count(b"\n") * share
    assert len(made) > lines * 0.6 - 700
    assert [report.subject for report in made] == [parse(f"46.0.{n >> 8}.{n & 255}") for n in range(len(made))]


@pytest.mark.parametrize(
    "content",
    [b"\x1f\x8b", b"\x1f\x8bjunk and more of it", gzip.compress(HEADER, mtime=0)[:-4], b"\x1f\x8b\x08" + bytes(50)],
    ids=["magic", "junk", "cut", "zeros"],
)
def test_gzip_that_is_none_is_an_intake_error(content: bytes) -> None:
    with pytest.raises(IntakeError, match="cut or damaged"):
        read(content)
    with pytest.raises(IntakeError, match="cut or damaged"):
        stream = open_stream(io.BytesIO(content))
        looks_like_reports(stream.peek(1000))
        stream.read()


def test_words_that_nobody_mapped_are_counted_and_kept() -> None:
    content = HEADER + b"".join(b"1780000000,46.0.0.1,%s,r\n" % word for word in (b"bot", b"Probe", b"probe", b"spam"))
    made, intake = read(content, bot="botnet")
    assert [(report.category, report.word) for report in made] == [
        ("botnet", ""), ("other", "probe"), ("other", "probe"), ("spam", ""),
    ]  # fmt: skip
    assert intake.unmapped == {"probe": 2}
    assert intake.as_json()["unmapped"] == {"probe": 2}


def test_rejects_are_counted_and_the_first_are_kept() -> None:
    made, intake = read(HEADER + b"1780000000,nonsense,spam,r\n" * (MAX_REJECTS + 500))
    assert made == []
    assert (intake.rejected, len(intake.rejects)) == (MAX_REJECTS + 500, MAX_REJECTS)


@given(st.binary(max_size=2000))
@settings(max_examples=200)
def test_any_bytes_are_read_to_the_end(content: bytes) -> None:
    for prefix in (b"", HEADER, b'{"subject": "46.0.0.1"}\n', HEADER + b'1780000000,"'):
        try:
            made, intake = read(prefix + content)
        except IntakeError:
            continue
        assert len(made) + intake.rejected <= (prefix + content).count(b"\n") + 1


cells = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(cells, cells), max_size=20))
def test_what_a_csv_writer_wrote_is_what_is_read(rows: list[tuple[str, str]]) -> None:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(["ip", "reporter", "category"])
    writer.writerows([("46.0.0.1", *row) for row in rows])
    gate = Gate(lambda _: None, NOW)
    made, intake = read(written.getvalue().encode())
    assert made == [gate.report("46.0.0.1", category, None, reporter) for reporter, category in rows]
    assert intake.rejected == 0


def test_whether_a_file_is_one_of_reports() -> None:
    assert looks_like_reports(HEADER)
    assert looks_like_reports(b"\xef\xbb\xbf" + HEADER)
    assert looks_like_reports(b'{"subject": "x", "reporter": "y"}\n')
    for head in (b"", b"46.0.0.1\n", b"ip,country\n46.0.0.1,DE\n", b'{"cidr": "46.0.0.0/24", "time": 1}', b"{", b"[]"):
        assert not looks_like_reports(head), head


def test_maps_of_the_command_line() -> None:
    assert parse_map(("Probe=scanner", "bot=botnet")) == {"Probe": "scanner", "bot": "botnet"}
    for pair in ("probe", "probe=", "probe=nothing", "=", ""):
        with pytest.raises(IntakeError, match="write WORD=CATEGORY"):
            parse_map((pair,))


class Slow(io.RawIOBase):
    """A pipe that gives a few bytes at a time, and notes how much was asked of it."""

    def __init__(self, content: bytes) -> None:
        self.content, self.given = content, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        some = self.content[self.given : self.given + min(len(buffer), 100)]
        buffer[: len(some)] = some
        self.given += len(some)
        return len(some)


def test_reports_of_a_pipe_are_made_as_they_come() -> None:
    line = json.dumps({"subject": "46.0.0.1", "reporter": "r"}).encode() + b"\n"
    pipe = Slow(line * 1000)
    made: Iterator[Report] = read_reports(
        open_stream(io.BufferedReader(pipe, 100)), Gate(lambda _: None, NOW), Intake()
    )
    assert isinstance(next(made), Report)
    assert pipe.given < 1000, "not held back until there is more"
    assert len(list(made)) == 999
