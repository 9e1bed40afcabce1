"""What attackers of removals have and try, and what must not be found afterwards."""

from __future__ import annotations

from hashlib import sha256
from html.parser import HTMLParser

from removal_site import ELSEWHERE, step, visitor
from website import Site

from dnsbl import clock

MAILBOX = "abuse@mail.listed-example.com"
EVIL = "https://evil.example"
PRODUCT = "1787569"  # what a template would make of 1337*1337
HOSTILE = (  # one text each: markup, what templates and catalogues fill in, and ends of header lines
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 1337*1337 }}{% raw %}{# x #}",
    "${1337*1337} <%= 1337*1337 %>",
    "%(subject)s %(x)s %s %d %",
    "a\r\nSet-Cookie: planted=1\r\n\r\n<b>",
    "\u202egnp.exe </title></textarea><svg/onload=alert(1)>",
)
OURS = frozenset(("/work.js", "/admin/passkey.js", "/admin/desk.js"))  # scripts that pages of ours load


class Looked(HTMLParser):
    """What a browser would run of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        runs = tag == "script" and given.get("src") not in OURS
        handlers = any(name.startswith("on") for name in given)
        leads = any((given.get(name) or "").lower().startswith(("javascript:", "data:")) for name in ("href", "action"))
        if runs or handlers or leads or tag in ("img", "iframe", "object", "base"):
            self.found.append(self.get_starttag_text() or tag)


def assert_tame(page: str, about: object = "") -> None:
    """Nothing that a stranger wrote is markup, or was filled in."""
    assert Looked(page).found == [], about
    assert PRODUCT not in page, about


def kept(site: Site) -> dict[str, tuple[int, str]]:
    """How many rows each table has, and a digest of them; but when a session was last seen."""
    names = site.app.store.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    found = {}
    for (name,) in names:
        if name != "session":
            rows = sorted(map(repr, site.app.store.rows(f"SELECT * FROM {name}")))
            found[name] = (len(rows), sha256("\n".join(rows).encode()).hexdigest())
    return found


class Zone:
    """DNS in which somebody rules over some names: what is asked for below them is there. `names`: reverse names."""

    off = False

    def __init__(self, *own: str, names: tuple[str, ...] = ()) -> None:
        self.own, self.names = own, list(names)

    async def reverse_names(self, _: object) -> list[str]:
        return self.names

    async def has_txt(self, name: str, _: str) -> bool:
        return any(name == each or name.endswith("." + each) for each in self.own)


def rules_over(site: Site, *own: str, names: tuple[str, ...] = ()) -> None:
    """Whoever asks has these names; and there is a relay, so that mail is offered."""
    site.app.removals.mail = True
    site.app.proving.resolving = Zone(*own, names=names)  # type: ignore[assignment]


async def confirm(site: Site, token: str) -> tuple[int, dict[str, str], bytes]:
    """Send a mailed token, from somewhere; all that one is told."""
    async with site.client.post("/v1/confirmations", json={"token": token}, headers=visitor(ELSEWHERE)) as response:
        headers = {name: value for name, value in response.headers.items() if name != "Date"}
        return response.status, headers, await response.read()


async def mailed_token(site: Site, found: dict, mailbox: str = MAILBOX) -> str:
    """Have a link mailed; the token in it."""
    assert (await step(site, found, "mail", proof="mailbox", mailbox=mailbox))["status"] == 202
    mail = site.app.store.mail_due(clock.now(), 100)[-1]
    assert mail.recipient == mailbox
    challenge = site.app.store.challenge(mail.challenge)
    assert challenge is not None
    return site.app.removals.token_of(challenge)
