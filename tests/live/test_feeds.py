"""Feeds from their files and servers to listings: what is new appears, what is gone decays, what is bad stays out."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from server import Server, configure, joined, until, verb_here

from dnsbl import clock, config
from dnsbl.app import App
from dnsbl.intake.feeds import Pulled
from dnsbl.intake.schedule import Schedule
from dnsbl.subjects import parse

DERIVED = ("report", "evidence", "entry", "listing", "listing_change", "exemption", "touched", "source")
FEED = """
title = "A test's feed"
url = "{url}"
format = "{format}"
category = "{category}"
trust = 0.9
licence = "none"
private = true
period = "1m"
{more}
"""


def declare(
    directory: Path, name: str, url: str, format: str = "plain", category: str = "spam", more: str = ""
) -> None:
    feeds = directory / "feeds"
    feeds.mkdir(exist_ok=True)
    (feeds / f"{name}.toml").write_text(FEED.format(url=url, format=format, category=category, more=more))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], App]]:
    """An application with the feeds as they are declared now, one after the other on the same data."""
    (tmp_path / "feeds").mkdir(exist_ok=True)
    configure(tmp_path, feeds="feeds")
    apps: list[App] = []

    def again() -> App:
        for app in apps:
            app.close()
        apps[:] = [App(config.load(tmp_path / "dnsbl.toml")).open()]
        apps[0].reconcile()
        apps[0].settle()
        return apps[0]

    yield again
    for app in apps:
        app.close()


def pull(app: App, name: str, accept: bool = False) -> Pulled:
    pulled = asyncio.run(app.pull(app.feeds[name], accept))
    app.settle()
    return pulled


def tables(app: App) -> dict[str, Counter[tuple[Any, ...]]]:
    """All rows of what is derived, in whatever order they stand."""
    return {name: Counter(app.store.rows(f"SELECT * FROM {name}")) for name in DERIVED}


def listed(app: App, zone: str = "ip") -> set[bytes]:
    return {subject for (subject,) in app.store.rows("SELECT subject FROM listing WHERE zone = ?", zone)}


def journal(app: App, after: int, zone: str = "ip") -> list[tuple[bytes, str]]:
    return app.store.rows("SELECT subject, codes FROM listing_change WHERE seq > ? AND zone = ?", after, zone)


def status(app: App, name: str) -> dict[str, Any]:
    return next(row for row in app.feed_status() if row["name"] == name)


class FeedServer:
    """A web server of one list, which counts what it is asked and can be made to fail, or to wait."""

    def __init__(self) -> None:
        self.content, self.code, self.etag, self.modified, self.zipped = b"", 200, "", "", False
        self.asked: list[dict[str, str]] = []
        self.now = self.most = 0  # requests at this moment, and the most there ever were
        self.lock = threading.Lock()
        self.arrived = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/list.txt"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.asked.append({name.lower(): value for name, value in handler.headers.items()})
        self.arrived.release()
        self.gate.wait(60)
        said = self.asked[-1]
        fresh = (self.etag and said.get("if-none-match") == self.etag) or (
            self.modified and said.get("if-modified-since") == self.modified
        )
        try:
            handler.send_response(304 if fresh else self.code)
            for name, value in (("ETag", self.etag), ("Last-Modified", self.modified)):
                if value:
                    handler.send_header(name, value)
            body = b"" if fresh else gzip.compress(self.content) if self.zipped else self.content
            if self.zipped and not fresh:
                handler.send_header("Content-Encoding", "gzip")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:  # who asked has gone
            pass
        with self.lock:
            self.now -= 1

    def close(self) -> None:
        self.gate.set()
        self.server.shutdown()
        joined(self.thread)
        self.server.server_close()


@pytest.fixture
def lists() -> Iterator[FeedServer]:
    with closing(FeedServer()) as server:
        yield server


def addresses(count: int, second: int = 0) -> bytes:
    return b"".join(b"46.%d.%d.%d\n" % (second, n >> 8, n & 255) for n in range(count))


# real versions of a real feed


@pytest.mark.data
@pytest.mark.heavy
@pytest.mark.long
def test_the_next_version_of_a_real_feed(tmp_path: Path, real_input: Path, opened: Callable[[], App]) -> None:
    """Exactly the new entries appear, exactly the gone ones decay, and of the others nothing is written. Then an empty
    file, a page, and the file cut at half: nothing changes, and the status says why."""
    old_bytes = (real_input / "lists" / "ipsum-2026-01-02.txt").read_bytes()
    new_bytes = (real_input / "lists" / "ipsum-2026-08-22.txt").read_bytes()
    old, new = counted(old_bytes), counted(new_bytes)
    file = tmp_path / "ipsum.txt"
    declare(tmp_path, "ipsum", file.as_uri(), "counted")
    app = opened()
    file.write_bytes(old_bytes)
    first = pull(app, "ipsum")
    assert first.state == "ok"
    assert first.entry[:3] == (len(old), 0, 0)
    assert listed(app) == set(old)
    seq = app.store.change_seq()
    rows = dict(app.store.rows("SELECT subject, hits || ' ' || since || ' ' || category FROM entry"))
    holds = dict(app.store.rows("SELECT subject, since FROM listing WHERE zone = 'ip'"))

    file.write_bytes(new_bytes)
    second = pull(app, "ipsum")
    both = set(old) & set(new)
    changed = {subject for subject in both if min(old[subject], 1000) != min(new[subject], 1000)}
    assert second.entry == (len(set(new) - both), len(set(old) - both), len(changed), len(new))
    lines = journal(app, seq)
    assert {subject for subject, codes in lines if codes} == set(new) - both
    assert {subject for subject, codes in lines if not codes} == set(), "what left decays: it is listed for a while"
    gone = dict(app.store.rows("SELECT subject, gone FROM entry"))
    assert {subject for subject, at in gone.items() if at is not None} == set(old) - both
    assert listed(app) == set(old) | set(new)
    until_when = dict(app.store.rows("SELECT subject, until FROM listing WHERE zone = 'ip'"))
    assert {subject for subject, at in until_when.items() if at is not None} == set(old) - both
    after = dict(app.store.rows("SELECT subject, hits || ' ' || since || ' ' || category FROM entry"))
    assert all(after[subject] == rows[subject] for subject in both - changed), "not written"
    since = dict(app.store.rows("SELECT subject, since FROM listing WHERE zone = 'ip'"))
    assert all(since[subject] == holds[subject] for subject in both)

    before, seq = tables(app), app.store.change_seq()
    page = b"<!DOCTYPE html><html><head><title>404</title></head><body>Not found</body></html>"
    half = new_bytes[: len(new_bytes) // 2]
    for content, why in ((b"", "empty"), (page, "not a list"), (half, "drop")):
        file.write_bytes(content)
        bad = pull(app, "ipsum")
        assert bad.state == "quarantined"
        assert why in bad.reason
        assert app.store.change_seq() == seq
        row = status(app, "ipsum")
        assert (row["state"], row["reason"]) == ("quarantined", bad.reason)
        assert row["entries"] == len(new)
        assert (app.data_dir / "quarantine" / "ipsum").read_bytes() == content
    file.write_bytes(new_bytes)
    assert pull(app, "ipsum").state == "unchanged"
    assert status(app, "ipsum")["reason"] == ""
    assert tables(app) == before
    assert not (app.data_dir / "quarantine" / "ipsum").exists()


def counted(content: bytes) -> dict[bytes, int]:
    """The subjects of a counted list, read with nothing of the program's but its keys."""
    found = {}
    for line in content.decode().splitlines():
        if line and not line.startswith("#"):
            address, _, count = line.partition("\t")
            found[parse(address)] = int(count)
    return found


# small ones


def test_a_list_over_http_appears_changes_and_decays(
    tmp_path: Path, lists: FeedServer, opened: Callable[[], App]
) -> None:
    declare(tmp_path, "mine", lists.url)
    app = opened()
    lists.content, lists.zipped = addresses(300), True
    assert pull(app, "mine").entry == (300, 0, 0, 300)
    seq = app.store.change_seq()
    lists.content = addresses(310).removeprefix(addresses(20))
    assert pull(app, "mine").entry == (10, 20, 0, 290)
    assert {subject for subject, codes in journal(app, seq) if codes} == {parse(f"46.0.1.{n}") for n in range(44, 54)}
    assert app.check("46.0.0.5")["zones"][0]["until"] is not None
    assert app.check("46.0.0.25")["zones"][0]["until"] is None
    assert app.check("46.0.0.5")["zones"][0]["listed"] is True, "it decays, it does not vanish"


def test_what_was_not_modified_or_is_the_same_writes_nothing_but_its_state(
    tmp_path: Path, lists: FeedServer, opened: Callable[[], App]
) -> None:
    declare(tmp_path, "mine", lists.url)
    app = opened()
    lists.content, lists.etag, lists.modified = addresses(200), '"one"', formatdate(1_700_000_000, usegmt=True)
    assert pull(app, "mine").state == "ok"
    before, looked = tables(app), status(app, "mine")
    for etag in ('"one"', '"two"'):  # 304, then the same bytes under another name
        lists.etag, lists.modified = etag, ""
        changes = app.store.writer.total_changes
        assert pull(app, "mine").state == "unchanged"
        assert app.store.writer.total_changes - changes <= 4
        assert tables(app) == before
    assert lists.asked[1]["if-none-match"] == '"one"'
    row = status(app, "mine")
    assert row["changed_at"] == looked["changed_at"]
    assert row["state"] == "unchanged"


def test_other_terms_make_the_same_bytes_new_content(
    tmp_path: Path, lists: FeedServer, opened: Callable[[], App]
) -> None:
    """An operator who maps a word or chooses another category need not wait until the list itself changes."""
    declare(tmp_path, "mine", lists.url)
    lists.content, lists.etag = addresses(200), '"one"'
    assert pull(opened(), "mine").state == "ok"
    declare(tmp_path, "mine", lists.url, category="botnet")
    app = opened()
    pulled = pull(app, "mine")
    assert (pulled.state, pulled.entry) == ("ok", (0, 0, 200, 200))
    assert app.check("46.0.0.7")["zones"][0]["codes"] == ["127.0.0.4"]
    assert pull(app, "mine").state == "unchanged"
    assert lists.asked[-1]["if-none-match"] == '"one"'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"# nothing but\n# comments\n", "empty"),
        (b"<html><body>We will be back soon</body></html>", "not a list"),
        (b"\x1f\x8b\x08\x00" + b"\x07" * 500, "decompress"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "not a list"),
        (addresses(299), "drop"),
        (addresses(3000), "growth"),
        (b"Error 503 backend fetch failed\nGuru Meditation\n", "refused"),
    ],
    ids=["empty", "comments", "page", "gzip", "binary", "half", "tenfold", "words"],
)
def test_bad_content_changes_nothing(
    tmp_path: Path, lists: FeedServer, opened: Callable[[], App], content: bytes, why: str
) -> None:
    declare(tmp_path, "mine", lists.url)
    app = opened()
    lists.content, lists.etag = addresses(600), '"good"'
    assert pull(app, "mine").state == "ok"
    before = tables(app)
    lists.content, lists.etag = content, '"bad"'
    for _ in range(2):  # the second time it is asked for anew: what was not taken is not "unchanged"
        pulled = pull(app, "mine")
        assert pulled.state == ("failed" if why == "decompress" else "quarantined")  # gzip is unpacked as it is fetched
        assert why in pulled.reason
        assert tables(app) == before
        assert status(app, "mine")["reason"] == pulled.reason
        assert status(app, "mine")["entries"] == 600
    assert lists.asked[-1].get("if-none-match") in ('"good"', None), "never of what was not taken"
    assert status(app, "mine")["failures"] == 2


def test_accept_takes_what_is_only_too_different(tmp_path: Path, lists: FeedServer, opened: Callable[[], App]) -> None:
    declare(tmp_path, "mine", lists.url)
    app = opened()
    lists.content = addresses(600)
    pull(app, "mine")
    lists.content = addresses(200)
    assert pull(app, "mine").state == "quarantined"
    assert pull(app, "mine", accept=True).entry == (0, 400, 0, 200)
    assert status(app, "mine")["state"] == "ok"
    assert pull(app, "mine").state == "unchanged"
    before = tables(app)
    for content in (b"", b"<html></html>"):
        lists.content = content
        assert pull(app, "mine", accept=True).state == "quarantined", "nobody means to accept that"
    assert tables(app) == before


def test_failures_are_counted_and_the_next_success_forgets_them(
    tmp_path: Path, lists: FeedServer, opened: Callable[[], App]
) -> None:
    declare(tmp_path, "mine", lists.url)
    app = opened()
    lists.content = addresses(10)
    pull(app, "mine")
    before = tables(app)
    lists.code = 503
    for failures in (1, 2, 3):
        pulled = pull(app, "mine")
        assert pulled.state == "failed"
        assert "503" in pulled.reason
        assert status(app, "mine")["failures"] == failures
        assert tables(app) == before
    lists.code = 200
    assert pull(app, "mine").state == "unchanged"
    assert status(app, "mine")["failures"] == 0


def test_a_private_address_is_not_asked_unless_the_feed_says_so(
    tmp_path: Path, lists: FeedServer, opened: Callable[[], App]
) -> None:
    declare(tmp_path, "mine", lists.url)
    path = tmp_path / "feeds" / "mine.toml"
    path.write_text(path.read_text().replace("private = true", "private = false"))
    pulled = pull(opened(), "mine")
    assert pulled.state == "failed"
    assert lists.asked == []


def test_a_feed_that_is_switched_off_lets_its_entries_decay(
    tmp_path: Path, lists: FeedServer, opened: Callable[[], App]
) -> None:
    declare(tmp_path, "mine", lists.url)
    declare(tmp_path, "removed", lists.url)
    lists.content = addresses(5)
    app = opened()
    pull(app, "mine")
    pull(app, "removed")
    assert app.check("46.0.0.1")["zones"][0]["until"] is None
    declare(tmp_path, "mine", lists.url, more='enabled = false\nwhy_off = "a test"')
    (tmp_path / "feeds" / "removed.toml").unlink()
    app = opened()
    found = app.check("46.0.0.1")["zones"][0]
    assert found["listed"] is True
    assert found["until"] is not None
    assert not any(line["held"] for line in found["breakdown"])
    assert (status(app, "mine")["state"], status(app, "mine")["reason"]) == ("off", "a test")
    declare(tmp_path, "mine", lists.url)
    app = opened()
    assert pull(app, "mine").entry == (5, 0, 0, 5), "on again, it has all of it anew"
    assert app.check("46.0.0.1")["zones"][0]["until"] is None


def test_a_warning_list_frees_what_is_listed_and_gives_it_back(
    tmp_path: Path, lists: FeedServer, opened: Callable[[], App]
) -> None:
    file = tmp_path / "warning.json"
    file.write_text(json.dumps({"name": "Ours", "type": "cidr", "list": ["46.0.0.0/30", "46.9.0.0/16"]}))
    declare(tmp_path, "mine", lists.url)
    lists.content = addresses(6)
    app = opened()
    pull(app, "mine")
    assert len(listed(app)) == 6
    for _ in range(2):  # on and off, and on and off again with the same content
        declare(tmp_path, "warning", file.as_uri(), "misp-warninglist", more="exempt = true")
        app = opened()
        assert pull(app, "warning").state == "ok"
        assert app.check("46.0.0.1")["zones"][0]["listed"] is False
        assert [e["origin"] for e in app.check("46.0.0.1")["exemptions"]] == ["warning"]
        assert listed(app) == {parse("46.0.0.4"), parse("46.0.0.5")}
        assert app.dns_codes("ip", parse("46.0.0.1")) == []
        assert app.dns_codes("ip", parse("46.0.0.4")) == ["127.0.0.2"]
        declare(
            tmp_path, "warning", file.as_uri(), "misp-warninglist", more='exempt = true\nenabled = false\nwhy_off = "x"'
        )
        app = opened()
        assert app.check("46.0.0.1")["exemptions"] == []
        assert len(listed(app)) == 6
        assert app.dns_codes("ip", parse("46.0.0.1")) == ["127.0.0.2"]


def test_words_of_the_feed_are_mapped_and_others_are_counted(tmp_path: Path, opened: Callable[[], App]) -> None:
    file = tmp_path / "words.csv"
    file.write_text("ip,kind\n46.0.0.1,Probe\n46.0.0.2,scanner\n46.0.0.3,strange\n46.0.0.4,strange\n46.0.0.5,\n")
    more = 'map = { probe = "scanner" }\n[columns]\nsubject = "ip"\ncategory = "kind"'
    declare(tmp_path, "words", file.as_uri(), "csv", category="brute-force", more=more)
    app = opened()
    assert pull(app, "words").entry.total == 5
    assert status(app, "words")["unmapped"] == {"strange": 2}
    names = app.store.categories()
    found = {subject: names[category] for subject, category in app.store.rows("SELECT subject, category FROM entry")}
    assert found == {
        parse("46.0.0.1"): "scanner",
        parse("46.0.0.2"): "scanner",
        parse("46.0.0.3"): "other",
        parse("46.0.0.4"): "other",
        parse("46.0.0.5"): "brute-force",
    }
    declare(
        tmp_path, "words", file.as_uri(), "csv", category="brute-force", more=more.replace("}", ', strange = "proxy" }')
    )
    app = opened()
    assert pull(app, "words").entry.changed == 2
    assert status(app, "words")["unmapped"] == {}


# in their turn


async def test_the_scheduler_never_pulls_a_feed_twice_at_once(
    tmp_path: Path, lists: FeedServer, opened: Callable[[], App]
) -> None:
    """A pull that takes long; meanwhile the feed's declaration changes, twice. One request at a time, and the last
    declaration is pulled in the end."""
    declare(tmp_path, "mine", lists.url)
    app = await asyncio.to_thread(opened)
    lists.content = addresses(10)
    lists.gate.clear()
    schedule = Schedule(app.pull, app.store.feed_states)
    schedule.start(app.feeds)
    try:
        await arrived(lists)
        for category in ("botnet", "malware"):
            declare(tmp_path, "mine", lists.url, category=category)
            schedule.replace(config.load(tmp_path / "dnsbl.toml").feeds)
        assert lists.most == 1
        (job,) = [job for job in schedule.scheduler.get_jobs() if job.id == "mine"] or [None]
        assert job is None, "it is planned again when this pull is done"
        lists.gate.set()

        def planned() -> Any:
            return schedule.scheduler.get_job("mine")

        async with asyncio.timeout(60):
            while planned() is None:
                await asyncio.sleep(0.02)
        assert planned().args[0].category == "malware"
        assert lists.most == 1
        assert len(lists.asked) == 1
    finally:
        lists.gate.set()
        schedule.close()


async def arrived(lists: FeedServer) -> None:
    assert await asyncio.to_thread(lists.arrived.acquire, timeout=60)


def test_the_server_pulls_by_itself_and_dns_answers_from_it(tmp_path: Path, lists: FeedServer) -> None:
    """From an empty directory to answers without a verb; and a stop while a feed does not answer is clean."""
    lists.content = addresses(50)
    declare(tmp_path, "mine", lists.url)
    with Server(tmp_path, feeds="feeds") as server:
        until(lambda: server.listed("46.0.0.7") == ["127.0.0.2"])
        row = json.loads(server.http("GET", "/v1/feeds")[1])[0]
        assert (row["name"], row["state"], row["entries"]) == ("mine", "ok", 50)
        lists.gate.clear()
        declare(tmp_path, "second", lists.url)
        server.hang_up()
        assert lists.arrived.acquire(timeout=60)
        assert lists.arrived.acquire(timeout=60), "the new feed is asked for"
    lists.gate.set()


def test_a_failing_feed_is_left_alone_for_longer_each_time(tmp_path: Path, lists: FeedServer) -> None:
    lists.code = 500
    declare(tmp_path, "mine", lists.url)
    with Server(tmp_path, feeds="feeds") as server:
        until(lambda: json.loads(server.http("GET", "/v1/feeds")[1])[0]["state"] == "failed")
        assert len(lists.asked) == 1
        lists.code, lists.content = 200, addresses(3)
        server.verb("feed", "pull", "mine")
        until(lambda: server.listed("46.0.0.1"))


# by hand


def test_feeds_by_hand(tmp_path: Path, lists: FeedServer) -> None:
    lists.content = addresses(600)
    declare(tmp_path, "mine", lists.url)
    declare(tmp_path, "off", lists.url, more='enabled = false\nwhy_off = "a test"')
    path = configure(tmp_path, feeds="feeds")
    rows = json.loads(verb_here(path, "feed", "pull", "--json"))
    assert [(row["name"], row["state"], row["appeared"]) for row in rows] == [("mine", "ok", 600)]
    lists.content = b""
    done = verb_here(path, "feed", "pull", "mine", "--json", code=1)
    assert json.loads(done)[0]["state"] == "quarantined"
    assert "empty" in verb_here(path, "feed", "status")
    lists.content = addresses(100)
    assert "drop" in verb_here(path, "feed", "pull", "mine", code=1)
    assert json.loads(verb_here(path, "feed", "pull", "mine", "--accept", "--json"))[0]["left"] == 500
    assert "unchanged" in verb_here(path, "feed", "pull")
    states = {row["name"]: row["state"] for row in json.loads(verb_here(path, "feed", "status", "--json"))}
    assert states == {"mine": "unchanged", "off": "off"}


def test_what_a_list_dropped_long_ago_is_forgotten(
    tmp_path: Path, lists: FeedServer, opened: Callable[[], App], monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(tmp_path, "mine", lists.url, more='lifetime = "2d"')
    lists.content = addresses(5)
    app = opened()
    pull(app, "mine")
    lists.content = addresses(4)
    pull(app, "mine")
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + clock.DAY)
    app.forget()
    assert tables(app)["entry"].total() == 5
    monkeypatch.setattr(clock, "now", lambda: now + 3 * clock.DAY)
    app.forget()
    app.settle()
    assert tables(app)["entry"].total() == 4
    assert len(listed(app)) == 4
