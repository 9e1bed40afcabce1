"""POST /v1/reports: what is taken, what is refused, and that neither costs the other."""

import asyncio
import gzip
import io
import json
import sqlite3
from types import SimpleNamespace

import pytest
from website import problem, serving

from dnsbl import clock
from dnsbl.intake.gate import Gate
from dnsbl.intake.partners import MAX_POST, PARTNER_WIDEST
from dnsbl.intake.reports import Intake
from dnsbl.subjects import parse
from dnsbl.web import batch, body, models, submissions
from dnsbl.web import reports as reporting

NDJSON = {"Content-Type": "application/x-ndjson"}
SECONDS = 30


async def post(site, headers, **kwargs):
    async with site.client.post("/v1/reports", headers=headers, **kwargs) as response:
        return models.ReportsAnswer.model_validate(await response.json(content_type="application/json")).model_dump(
            exclude_none=True
        )


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
async def test_one_report_is_taken_under_the_keys_source(tmp_path, header):
    async with serving(tmp_path) as site:
        secret = site.key("report", name="acme")
        headers = {header: f"Bearer {secret}" if header == "Authorization" else secret}
        answer = await post(site, headers, json={"subject": "8.8.8.7", "category": "botnet", "time": 1700000000})
        assert answer == {"taken": 1, "repeated": 0, "rejected": 0, "rejects": [], "unmapped": {}}
        assert site.reports() == [(parse("8.8.8.7"), "acme", "botnet", 1700000000, "")]
        assert site.backend.woken == 1


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"reports": rows}])
async def test_arrays_and_documents_are_taken_and_say_what_was_not(tmp_path, wrap):
    async with serving(tmp_path) as site:
        rows = [
            {"subject": "8.8.8.7", "time": 1700000000},
            {"subject": "8.8.8.7", "time": 1700000000},
            {"subject": "127.0.0.1"},
            "no object",
            {"subject": "bad.example.com", "category": "Weird Word"},
        ]
        answer = await post(site, site.bearer("report"), json=wrap(rows))
        assert (answer["taken"], answer["repeated"], answer["rejected"]) == (2, 1, 2)
        assert [reject["line"] for reject in answer["rejects"]] == [3, 4]
        assert "never listed" in answer["rejects"][0]["why"]
        assert answer["unmapped"] == {"weird-word": 1}


async def test_nothing_taken_wakes_nobody(tmp_path):
    async with serving(tmp_path) as site:
        answer = await post(site, site.bearer("report"), json=[])
        assert answer["taken"] == 0
        assert site.backend.woken == 0


async def test_of_ten_thousand_lines_each_bad_one_is_refused_with_its_reason(tmp_path):
    bad = {
        b"not json": "not JSON",
        b"[1]": "not a JSON object",
        b"{}": "no subject",
        b'{"subject": 1.5}': "subject is not a text",
        b'{"subject": "8.8.9.8", "time": "yesterday"}': "not a time",
        b'{"subject": "8.8.9.8", "time": "2999-01-01"}': "time in the future",
        b'{"subject": "8.8.8.08"}': "leading zero in an IPv4 address",
        b'{"subject": "8.8.9.8/8"}': "host bits set",
        b'{"subject": "8.0.0.0/7"}': f"wider than /{PARTNER_WIDEST[0]}: needs an operator",
        b'{"subject": "com"}': "a single label is no domain: it would cover a whole top-level domain",
        b'{"subject": "10.1.1.1"}': "special-purpose range or name (RFC 6890, RFC 6761): never listed",
        b'{"subject": "' + b"a" * 301 + b'"}': "too long",
        b'{"subject": "8.8.9.8", "x": "' + b"a" * 70_000 + b'"}': "longer than 65,536 bytes",
        b'{"subject": "9.9.8.9"}': "exempt: a customer",
    }
    lines = []
    for number in range(10_000):
        if number % 100 < len(bad):
            lines.append(list(bad)[number % 100])
        elif number % 100 == 50:
            lines.append(b"")
        else:
            lines.append(b'{"subject": "8.%d.%d.7", "time": 1700000000}' % (number // 250, number % 250))
    async with serving(tmp_path) as site:
        await asyncio.to_thread(site.app.allow, "9.9.8.9", "a customer", None)
        answer = await post(site, site.bearer("report") | NDJSON, data=io.BytesIO(b"\n".join(lines)))
        assert answer["rejected"] == 100 * len(bad)
        assert answer["taken"] == 10_000 - 100 * len(bad) - 100
        assert len(answer["rejects"]) == 1000
        for reject in answer["rejects"]:
            assert reject["why"] == bad[lines[reject["line"] - 1]], reject
        assert {reject["why"] for reject in answer["rejects"]} == set(bad.values())


async def test_a_stream_is_taken_while_it_is_still_being_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "LINES_AT_ONCE", 10)
    async with serving(tmp_path) as site:
        seen = []

        async def lines():
            yield b"\xef\xbb\xbf"
            for number in range(25):
                yield b'{"subject": "8.8.%d.7", "time": 1700000000}\r\n' % number
                while number == 19 and not seen:  # until the first part is committed
                    seen.extend(await asyncio.to_thread(site.reports))

        answer = await post(site, site.bearer("report") | NDJSON, data=lines())
        assert answer["taken"] == 25
        assert len(seen) in (10, 20)
        assert len(site.reports()) == 25


async def test_a_slow_streams_lines_do_not_wait_for_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "PART_SECONDS", 0.0)
    async with serving(tmp_path) as site:

        async def lines():
            yield b'{"subject": "8.8.1.7"}\n'
            async with asyncio.timeout(SECONDS):
                while not await asyncio.to_thread(site.reports):
                    await asyncio.sleep(0)
            yield b'{"subject": "8.8.2.7"}\n'

        assert (await post(site, site.bearer("report") | NDJSON, data=lines()))["taken"] == 2


async def test_what_was_under_way_when_a_body_broke_off_is_told_too(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "LINES_AT_ONCE", 10)
    async with serving(tmp_path) as site:
        data = gzip.compress(b"".join(b'{"subject": "8.8.%d.7"}\n' % n for n in range(15)))[:-4]
        headers = site.bearer("report") | NDJSON | {"Content-Encoding": "gzip"}
        said = await problem(await site.client.post("/v1/reports", data=data, headers=headers), 400)
        assert said["taken"] == len(site.reports()) == 10
        assert site.state.uploads.held == 0


async def test_gzip_is_unpacked_also_in_several_members(tmp_path):
    parts = [gzip.compress(b'{"subject": "8.8.%d.7"}\n' % n) for n in range(3)]
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | {"Content-Encoding": "gzip"}
        assert (await post(site, headers | NDJSON, data=b"".join(parts)))["taken"] == 3
        document = gzip.compress(json.dumps([{"subject": "8.9.9.9"}]).encode())
        assert (await post(site, headers | {"Content-Type": "application/json"}, data=document))["taken"] == 1


async def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = gzip.compress(b" " * 20_000_000)
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | {"Content-Encoding": "gzip"}
        for kind in ("application/x-ndjson", "application/json"):
            response = await site.client.post("/v1/reports", data=bomb, headers=headers | {"Content-Type": kind})
            await problem(response, 413)
        assert site.state.uploads.held == site.state.uploads.active == 0


async def test_gzip_that_unpacks_to_more_than_the_total_says_what_was_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(body, "MAX_UNPACKED", 3 * 2**20)
    monkeypatch.setattr(body, "MAX_RATIO", 1e9)
    lines = b'{"subject": "8.8.8.7", "time": 1700000000}\n' * 100_000
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | NDJSON | {"Content-Encoding": "gzip"}
        said = await problem(await site.client.post("/v1/reports", data=gzip.compress(lines), headers=headers), 413)
        assert said["taken"] == 1
        assert said["repeated"] > 1000


@pytest.mark.parametrize(
    ("damage", "status"), [(lambda data: data[:-5], 400), (lambda data: data[:12] + b"\xff" * 9 + data[21:], 400)]
)
async def test_damaged_gzip_is_refused(tmp_path, damage, status):
    data = damage(gzip.compress(b'{"subject": "8.8.8.7"}\n' * 3 + bytes(range(256))))
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | NDJSON | {"Content-Encoding": "gzip"}
        await problem(await site.client.post("/v1/reports", data=data, headers=headers), status)


async def test_an_endless_line_is_one_reject_in_bounded_memory(tmp_path):
    held = []

    async with serving(tmp_path) as site:

        async def line():
            for _ in range(200):
                yield b"x" * 100_000
                held.append(site.state.uploads.held)
            yield b'\n{"subject": "8.8.8.7"}\n'

        answer = await post(site, site.bearer("report") | NDJSON, data=line())
        assert (answer["taken"], answer["rejected"]) == (1, 1)
        assert answer["rejects"] == [{"line": 1, "why": "longer than 65,536 bytes"}]
        assert max(held) == 0


async def test_a_large_document_is_refused_whether_it_says_so_or_not(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | {"Content-Type": "application/json"}

        async def unsaid():
            for _ in range(MAX_POST // 2**16 + 2):
                yield b" " * 2**16

        for data in (io.BytesIO(b" " * (MAX_POST + 1)), unsaid()):
            said = await problem(await site.client.post("/v1/reports", data=data, headers=headers), 413)
            assert "x-ndjson" in said["detail"]


async def test_a_body_cut_by_its_sender_is_not_taken(tmp_path):
    async with serving(tmp_path) as site:
        secret = site.key("report")
        for kind in ("application/json", "application/x-ndjson"):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            head = f"POST /v1/reports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Type: {kind}\r\n"
            writer.write(head.encode() + b'Content-Length: 1000\r\n\r\n{"subject": "8.8.8.7"}\n{"subject"')
            writer.write_eof()
            await reader.read()
            writer.close()
            await writer.wait_closed()
        for _ in range(1000):
            if not site.state.uploads.active:
                break
            await asyncio.sleep(0)
        answer = await post(site, {"Authorization": f"Bearer {secret}"}, json={"subject": "8.8.5.4"})
        assert answer["taken"] == 1
        assert [row[0] for row in site.reports()] == [parse("8.8.5.4")]


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(body, "READ_SECONDS", 0.05)
    async with serving(tmp_path) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        head = f"POST /v1/reports HTTP/1.1\r\nHost: x\r\nX-Api-Key: {site.key('report')}\r\nContent-Length: 9\r\n"
        writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n{")
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answer
        writer.close()
        await writer.wait_closed()


async def test_a_body_that_drips_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(body, "READ_SECONDS", 0.02)
    monkeypatch.setattr(body, "MIN_RATE", 10**9)
    async with serving(tmp_path) as site:
        going = True

        async def drips():
            while going:
                yield b" "
                await asyncio.sleep(0)

        response = await site.client.post(
            "/v1/reports", data=drips(), headers=site.bearer("report") | {"Content-Type": "application/json"}
        )
        going = False
        await problem(response, 408)


async def test_who_may_not_report_is_told_why(tmp_path):
    async with serving(tmp_path) as site:
        site.key("report", name="gone")
        secret_of_revoked = site.key("report", name="revoked")
        site.app.store.revoke_key("revoked", clock.now())
        expired = site.key("report", name="expired", expires=clock.now() - 1)
        reads = site.key("read", name="reads")
        for secret, status in [
            (None, 401), ("", 401), ("dnsbl_wrong", 401), ("é", 401), ("x" * 5000, 401),
            (secret_of_revoked, 401), (expired, 401), (reads, 403),
        ]:  # fmt: skip
            headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
            response = await site.client.post("/v1/reports", json={"subject": "8.8.8.7"}, headers=headers)
            said = await problem(response, status)
            assert response.headers["WWW-Authenticate"].startswith("Bearer ")
            assert not secret or len(secret) < 3 or secret not in json.dumps(said)
        assert site.reports() == []


async def test_secrets_are_not_logged(tmp_path, caplog):
    caplog.set_level("DEBUG")
    async with serving(tmp_path) as site:
        secret = site.key("report")
        await post(site, {"Authorization": f"Bearer {secret}"}, json={"subject": "8.8.8.7"})
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + secret.encode() + b"\x01\r\n\r\n")
        answer = await reader.read()
        assert b" 400 Bad Request" in answer
        assert b"Traceback" not in answer
        writer.close()
        await writer.wait_closed()
        assert secret not in caplog.text


async def test_other_media_types_codings_and_methods_are_refused(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        client = site.client
        for kind in ("text/csv", "application/octet-stream", "multipart/form-data"):
            response = await client.post("/v1/reports", data=b"x", headers=headers | {"Content-Type": kind})
            await problem(response, 415)
            assert "application/x-ndjson" in response.headers["Accept-Post"]
        coded = headers | NDJSON | {"Content-Encoding": "br"}
        response = await client.post("/v1/reports", data=b"x", headers=coded)
        await problem(response, 415)
        assert response.headers["Accept-Encoding"] == "gzip"
        response = await client.get("/v1/reports", headers=headers)
        await problem(response, 405)
        assert response.headers["Allow"] == "POST"
        for text in (b"{", b"", b'{"a":' * 100_000, b"\xff\xfe"):
            response = await client.post(
                "/v1/reports", data=text, headers=headers | {"Content-Type": "application/json"}
            )
            await problem(response, 400)


async def test_posts_that_come_together_share_a_transaction_and_keep_their_own_counts(tmp_path):
    async with serving(tmp_path) as site:
        headers = [site.bearer("report", name=name) for name in ("one", "two")]
        begun = []
        site.app.store.writer.set_trace_callback(lambda sql: begun.append(sql) if sql.startswith("BEGIN") else None)

        async def one(number):
            rows = [{"subject": f"8.8.{number}.7", "time": 1700000000}] * (1 + number % 3)
            return await post(site, headers[number % 2], json=rows)

        answers = await asyncio.gather(*(one(number) for number in range(200)))
        assert [(a["taken"], a["repeated"]) for a in answers] == [(1, number % 3) for number in range(200)]
        assert len(begun) <= 40
        assert site.backend.woken <= 40
        site.app.store.writer.set_trace_callback(None)


async def test_one_post_that_breaks_the_transaction_costs_only_itself(tmp_path, monkeypatch, caplog):
    async with serving(tmp_path) as site:
        take = site.app.store.take_reports

        def breaks(source, reports, idempotency=None):
            if any(report.subject == parse("8.8.8.66") for report in reports):
                raise RuntimeError("a mistake")
            return take(source, reports, idempotency)

        monkeypatch.setattr(site.app.store, "take_reports", breaks)
        headers = site.bearer("report")

        async def one(number):
            async with site.client.post("/v1/reports", json={"subject": f"8.8.8.{number}"}, headers=headers) as got:
                return got.status, await got.text()

        answers = await asyncio.gather(*(one(number) for number in range(60, 70)))
        assert [status for status, _ in answers] == [200] * 6 + [500] + [200] * 3
        assert "mistake of ours" in answers[6][1]
        assert "RuntimeError" not in answers[6][1]
        assert len([record for record in caplog.records if record.exc_info]) == 1
        assert len(site.reports()) == 9


async def test_a_keys_use_is_written_at_most_once_a_minute(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        now = clock.now()
        used = []
        write = site.app.store.key_used
        monkeypatch.setattr(site.app.store, "key_used", lambda key, at: used.append(at) or write(key, at))
        for step in (0, 1, 59, 61):
            monkeypatch.setattr(clock, "now", lambda at=now + step: at)
            await post(site, headers, json={"subject": "8.8.8.7"})
        assert used == [now, now + 61]
        assert site.app.store.rows("SELECT last_used FROM key") == [(now + 61,)]


async def test_a_full_disk_is_503_and_nothing_is_acknowledged(tmp_path, caplog):
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        [(pages,)] = site.app.store.writer.execute("PRAGMA page_count").fetchall()
        site.app.store.writer.execute(f"PRAGMA max_page_count = {pages}")
        rows = [{"subject": f"8.{a}.{b}.7", "time": 1700000000} for a in range(100) for b in range(200)]
        for _ in range(2):
            response = await site.client.post("/v1/reports", json=rows, headers=headers)
            said = await problem(response, 503)
            assert int(response.headers["Retry-After"]) > 0
            assert str(tmp_path) not in json.dumps(said)
        assert site.reports() == []
        assert caplog.text.count("the disk is full") == 1
        site.app.store.writer.execute("PRAGMA max_page_count = 1000000")
        assert (await post(site, headers, json=rows))["taken"] == 20_000


async def test_a_stream_that_meets_a_full_disk_says_what_was_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "LINES_AT_ONCE", 100)
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | NDJSON
        [(pages,)] = site.app.store.writer.execute("PRAGMA page_count").fetchall()
        site.app.store.writer.execute(f"PRAGMA max_page_count = {pages + 40}")
        lines = b"".join(b'{"subject": "8.%d.%d.7"}\n' % (n // 250, n % 250) for n in range(20_000))
        said = await problem(await site.client.post("/v1/reports", data=lines, headers=headers), 503)
        assert 0 < said["taken"] < 20_000
        assert len(site.reports()) == said["taken"]


async def test_a_store_locked_by_another_is_503(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        site.app.store.writer.execute("PRAGMA busy_timeout = 1")
        other = sqlite3.connect(site.app.store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        response = await site.client.post("/v1/reports", json={"subject": "8.8.8.7"}, headers=headers)
        await problem(response, 503)
        assert "Retry-After" in response.headers
        other.execute("ROLLBACK")
        other.close()
        assert site.reports() == []


async def test_a_commit_that_takes_too_long_is_503(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "COMMIT_SECONDS", 0.05)
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        with site.app.store.transaction():
            response = await site.client.post("/v1/reports", json={"subject": "8.8.8.7"}, headers=headers)
            await problem(response, 503)


async def test_more_uploads_than_there_is_room_for_are_503(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        monkeypatch.setattr(body, "MAX_UPLOADS", 0)
        await problem(await site.client.post("/v1/reports", json={}, headers=headers), 503)
        monkeypatch.setattr(body, "MAX_UPLOADS", 10)
        monkeypatch.setattr(body, "MAX_HELD", 100)
        await problem(await site.client.post("/v1/reports", json=["x" * 200], headers=headers), 503)
        assert site.state.uploads.held == 0
        assert (await post(site, headers, json=[]))["taken"] == 0


class AllThere:
    """A request whose body is there at once: reading it never waits."""

    def __init__(self, data, coding=""):
        self.headers = {"Content-Encoding": coding} if coding else {}
        self.parts = [data, b""]
        self.content = SimpleNamespace(readany=self.readany)

    async def readany(self):
        return self.parts.pop(0)


@pytest.mark.parametrize(
    ("data", "coding"),
    [
        (gzip.compress(b"\n" * 1_000_000), "gzip"),
        (gzip.compress(b"") * 1000, "gzip"),
        (b"\n" * 1_000_000, ""),
    ],
    ids=["packed", "empty members", "plain"],
)
async def test_a_body_that_is_there_at_once_does_not_hold_up_the_event_loop(data, coding):
    uploads = body.Uploads()
    turns = pieces = 0
    reading = True

    async def others():
        nonlocal turns
        while reading:
            turns += 1
            await asyncio.sleep(0)

    async def read():
        nonlocal pieces
        async for piece in body.chunks(AllThere(data, coding), uploads):
            assert 0 < len(piece) <= body.STEP
            pieces += 1
            assert turns >= pieces - 1

    task = asyncio.create_task(others())
    await read()
    reading = False
    await task
    assert pieces in (0, 1_000_000 // body.STEP + 1)
    assert turns >= (pieces or 1000) - 1


async def test_of_many_bodies_one_piece_is_worked_on_in_each_turn_of_the_loop():
    uploads = body.Uploads()
    turn, worked = 0, {}

    async def read():
        first = True
        async for _ in body.chunks(AllThere(b"x" * (10 * body.STEP)), uploads):
            if not first:
                worked[turn] = worked.get(turn, 0) + 1
            first = False

    bodies = asyncio.gather(*(read() for _ in range(20)))
    while not bodies.done():
        turn += 1
        await asyncio.sleep(0)
    assert sum(worked.values()) == 20 * 9
    assert max(worked.values()) <= 2  # this counter may have its turn between two of theirs


@pytest.mark.parametrize("blank", [b"\n", b" \t\r\n"])
async def test_a_body_of_blank_lines_is_refused_and_says_what_was_taken(tmp_path, monkeypatch, blank):
    monkeypatch.setattr(reporting, "LINES_AT_ONCE", 10)
    lines = b"".join(b'{"subject": "8.8.%d.7"}\n' % n for n in range(10))
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | NDJSON | {"Content-Encoding": "gzip"}
        data = gzip.compress(lines + blank * 200_000)
        said = await problem(await site.client.post("/v1/reports", data=data, headers=headers), 400)
        assert "blank lines" in said["detail"]
        assert said["taken"] == 10
        assert site.state.uploads.held == site.state.uploads.active == 0
        spaced = b"".join(b'{"subject": "8.9.%d.%d"}\n' % divmod(n, 250) + blank for n in range(2000))
        assert (await post(site, headers, data=gzip.compress(spaced + blank * 500)))["taken"] == 2000


async def test_documents_of_no_reports_do_not_share_a_batch(tmp_path):
    """Whatever a large document consists of, it counts as many reports: the next transaction is without it."""
    cut = []
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | {"Content-Type": "application/json"}
        commit = site.state.batcher.commit
        site.state.batcher.commit = lambda posts: cut.append(len(posts)) or commit(posts)
        data = b"[" + b"0," * 200_000 + b"0]"
        with site.app.store.transaction():  # so that they wait together
            posts = [asyncio.create_task(site.client.post("/v1/reports", data=data, headers=headers)) for _ in range(5)]
            async with asyncio.timeout(SECONDS):
                while len(site.state.batcher.waiting) + len(cut) < 5:
                    await asyncio.sleep(0)
        for response in await asyncio.gather(*posts):
            await problem(response, 413)
        assert cut == [1] * 5


async def test_a_document_of_nothing_but_rejects_is_given_up(tmp_path, monkeypatch):
    looked = []
    report_of = submissions.report_of
    monkeypatch.setattr(submissions, "report_of", lambda item, gate: looked.append(item) or report_of(item, gate))
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | {"Idempotency-Key": "x"}
        for wrap in (lambda rows: rows, lambda rows: {"reports": rows}):
            looked.clear()
            response = await site.client.post("/v1/reports", json=wrap([0] * 5000), headers=headers)
            said = await problem(response, 422)
            assert (said["taken"], said["rejected"], len(said["rejects"])) == (0, 1000, 1000)
            assert said["rejects"][0] == {"line": 1, "why": "not a JSON object"}
            assert len(looked) == 1000
        answer = await post(site, headers, json=[{"subject": "8.8.8.7"}, *[0] * 5000])
        assert (answer["taken"], answer["rejected"]) == (1, 5000)


async def test_a_document_of_too_many_items_is_refused_before_they_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "MAX_ITEMS", 10)
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        rows = [{"subject": f"8.8.{n}.7"} for n in range(11)]
        said = await problem(await site.client.post("/v1/reports", json=rows, headers=headers), 413)
        assert "x-ndjson" in said["detail"]
        assert site.reports() == []
        assert (await post(site, headers, json=rows[:10]))["taken"] == 10


def test_the_words_of_a_document_are_counted():
    intake = Intake()
    content = submissions.Document(json.dumps([{"subject": "8.8.9.8", "category": "odd"}] * 3).encode())
    found = content.reports(content.items(), Gate(lambda _: None, 1_790_000_000), intake)
    assert (len(found), intake.unmapped) == (3, {"odd": 3})
