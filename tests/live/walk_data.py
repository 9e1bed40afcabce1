"""What there is when the walks begin: listings of lists, removals and reports of the last hours, and work at the desk.
Made by the program's own parts, with a clock of the past where it takes one."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

from dnsbl import clock, config
from dnsbl.app import App
from dnsbl.clock import DAY
from dnsbl.hashing import parse_query
from dnsbl.model import Report
from dnsbl.removal.requests import Asking, Opened
from dnsbl.store.contract import Hold
from dnsbl.web.removals.flow import requester

HOUR = 3600
MAIL_OF_HASH, URL_OF_HASH = "seller@mail-example.com", "https://pages.url-example.com/offer"
# One for each walk and its double without script.
OWN, BY_MAIL, BY_TXT = ("45.9.1.7", "45.9.1.8"), ("45.9.2.7", "45.9.2.8"), ("45.9.3.7", "45.9.3.8")
DOMAINS = ("listed-example.com", "other-example.com")
MAILS = (MAIL_OF_HASH, "second@mail-example.com")
URLS = (URL_OF_HASH, "https://pages.url-example.com/second")
APPEALS, BY_KEYBOARD = ("45.9.4.7", "45.9.4.8"), "45.9.5.7"
REPORTED, COOLING, NETWORK_FULL, FREE = "45.9.6.7", "45.9.7.7", "45.9.8.200", "45.9.9.9"
FROM_FULL, ELSEWHERE = "45.9.10.200", "45.9.11.7"  # whose network was granted ten, and one from where twenty are open
OPEN_LIMIT, ITS_NEIGHBOUR = "45.9.12.7", "45.9.12.8"
MARKUP = '<script>alert("said")</script> & we mended it'
SHOWN = "45.9.13.7"  # everything that a page can say of an address
WIDE = "45.32.0.0/20"
FEED = """
title = "A list that was held back"
url = "{url}"
format = "plain"
category = "spam"
trust = 0.9
licence = "none"
private = true
"""


def hosts(around: str, count: int) -> list[str]:
    first = ipaddress.ip_address(around.rpartition(".")[0] + ".1")
    return [str(first + n) for n in range(count)]


SPAM = [
    *OWN, *BY_MAIL, *BY_TXT, *DOMAINS, *MAILS, *URLS, *APPEALS, BY_KEYBOARD, REPORTED, COOLING,
    NETWORK_FULL, *hosts(NETWORK_FULL, 20), FROM_FULL, *hosts(FROM_FULL, 10), ELSEWHERE, *hosts(ELSEWHERE, 6),
    OPEN_LIMIT, *hosts("45.9.14.0", 20), SHOWN, WIDE,
]  # fmt: skip


def lay_down(path: Path) -> None:
    """All of it, into the store of a configuration whose feeds are in `feeds` beside it."""
    held_back(path.parent)
    with App(config.load(path)) as app:
        app.reconcile()
        now = clock.now()
        listed(app, now)
        refused(app, now)
        at_the_desk(app, now)
        app.settle()


def listed(app: App, now: int) -> None:
    store = app.store
    for name, category, subjects in (("a-list", "spam", SPAM), ("another-list", "botnet", [SHOWN])):
        source = store.source(name, "import", trust=0.9)
        store.replace_entries(source.id, {parse_query(each): 1 for each in subjects}, {}, category, now - 3 * DAY)
    app.settle()


def refused(app: App, now: int) -> None:
    """What it takes for each refusal."""
    ask(app, COOLING, COOLING, now - 5 * HOUR)
    report(app, COOLING, now - 4 * HOUR)
    report(app, REPORTED, now - 600)
    for place, host in enumerate(hosts(NETWORK_FULL, 20)):
        ask(app, host, host, now - 2 * HOUR, requester=f"45.141.{place}.0/24")
    for host in hosts(FROM_FULL, 10):
        ask(app, host, host, now - 3 * HOUR)
    for host in hosts("45.9.14.0", 20):
        ask(app, host, OPEN_LIMIT, now - HOUR)


def at_the_desk(app: App, now: int) -> None:
    """A queue, what is held, what is in quarantine, and traces of work."""
    for place, host in enumerate(hosts(ELSEWHERE, 6)):
        opened = ask(app, host, f"45.142.{place}.1", now - 3 * DAY + place, said=MARKUP)
        assert opened.removal is not None
        assert app.removals.appeal(opened.removal, "It is mended.", now - 3 * DAY + 10 + place)
    report(app, SHOWN, now - 30 * HOUR)
    source = app.store.source("a-list", "import", trust=0.9)
    app.store.put_hold(Hold(0, source.id, "ip", "net:45.20.0.0/16", now, 300, 0.004, "many at once"))
    app.allow("45.50.0.9", "a friend of the house", now + DAY)
    app.create_key("partner-example", 0.8, ["report", "read"], None)
    feed = app.feeds["mine"]
    asyncio.run(app.pull(feed))
    list_file(app.data_dir.parent).write_text("47.0.0.1\n")
    assert asyncio.run(app.pull(feed)).state == "quarantined"


def ask(app: App, subject: str, address: str, now: int, **more: str) -> Opened:
    """A request as it came from an address at some time."""
    client = ipaddress.ip_address(address)
    network = more.pop("requester", requester(client))
    return app.removals.open(Asking(parse_query(subject), subject, client=client, requester=network, **more), now)


def report(app: App, subject: str, at: int) -> None:
    """Somebody who is believed reports it."""
    source = app.store.source("witness", "operator", trust=1.0)
    app.store.take_reports(source.id, [Report(parse_query(subject), "spam", at, "w")])
    app.settle()


def list_file(directory: Path) -> Path:
    return directory / "list.txt"


def held_back(directory: Path) -> None:
    """A feed of four hundred, which then has one."""
    (directory / "feeds").mkdir()
    (directory / "feeds" / "mine.toml").write_text(FEED.format(url=list_file(directory).as_uri()))
    list_file(directory).write_text("".join(f"46.0.{n // 200}.{n % 200}\n" for n in range(400)))
