"""Every page, with something on it, as people meet it: on a phone and on a desk, by day and by night, and by keyboard
alone; and a passkey of the browser's own.

What is looked for: anything that axe-core finds (all its rules, those of WCAG 2.2 AA with them), a page wider than its
window, a complaint in the console, a request to anybody else. With DNSBL_SHOTS=DIRECTORY each is kept as a picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import walk_data as data
from walk_desk import Person
from walk_sight import seen
from walking import CHROMIUM, World, world_in

from dnsbl.web.admission.rates import LIMITS

pytestmark = [pytest.mark.peer, pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_in(tmp_path_factory.mktemp("pages"), data.lay_down) as made:
        yield made


@pytest.fixture(scope="module")
def alice(world: World) -> Person:
    return Person(world, "alice", "admin")


@pytest.fixture(scope="module")
def reader(world: World) -> Iterator[Any]:
    """A tab of somebody who only reads."""
    page = world.visitor()
    yield page
    page.context.close()


@pytest.fixture(autouse=True)
def nothing_to_complain_about(world: World) -> Iterator[None]:
    yield
    complaints, world.complaints = world.complaints, []
    assert complaints == []


# pages for everybody


PUBLIC = {
    "index": "/",
    "lookup": "/lookup",
    "lookup-listed": f"/lookup?q={data.SHOWN}",
    "lookup-history": f"/lookup?q={data.COOLING}",
    "lookup-free": f"/lookup?q={data.FREE}",
    "lookup-exempt": "/lookup?q=45.50.0.9",
    "lookup-domain": f"/lookup?q={data.DOMAINS[0]}",
    "lookup-hash": f"/lookup?q={data.MAILS[0]}",
    "lookup-mistake": "/lookup?q=not%20a%20name",
    "delist": "/delist",
    "delist-listed": f"/delist?q={data.SHOWN}",
    "delist-free": f"/delist?q={data.FREE}",
    "delist-mistake": "/delist?q=%3Cb%3E",
    "criteria": "/criteria",
    "data": "/data",
    "stats": "/stats",
    "status": "/status",
    "confirm": "/confirm/some-token",
    "problem-404": "/nowhere",
    "problem-404-removal": "/removals/some-link",
    "signin": "/admin/signin",
    "signin-again": "/admin/signin?again",
    "setup": "/admin/setup",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_page_for_everybody(reader: Any, name: str) -> None:
    reader.goto(PUBLIC[name])
    seen(reader, name)


def sent(world: World, subject: str, address: str = "") -> Any:
    """A tab whose form was sent, and is under way."""
    page = world.visitor(address)
    page.goto(f"/delist?q={subject}")
    page.get_by_label("What was wrong").fill(data.MARKUP)
    page.get_by_role("button", name="Ask for removal").click()
    return page


def private(world: World, subject: str, address: str = "") -> Any:
    """The private page of a new request."""
    page = sent(world, subject, address)
    page.wait_for_url("**/removals/*")
    return page


def test_the_pages_of_a_request_that_waits_for_proof(world: World) -> None:
    address, host = data.BY_MAIL[0], "mail0.sender-example.com"
    world.names.host(address, host)
    page = private(world, address)
    seen(page, "removal-asked")
    page.get_by_role("button", name="Find out who that is").click()
    seen(page, "removal-mailboxes")
    page.get_by_role("button", name="Mail a link to").first.click()
    page.wait_for_url("**notice=mailed")
    seen(page, "removal-mailed")
    mail = world.postbox.wait(f"postmaster@{host}")
    link = re.search(r"http://\S+/confirm/\S+", mail.get_content())
    assert link is not None
    page.goto(link[0])
    page.get_by_role("button", name="I agree").click()
    seen(page, "confirm-done")
    page.context.close()


@pytest.mark.parametrize(
    ("name", "subject", "itself"),
    [
        ("granted", data.OWN[0], True),
        ("refused", data.REPORTED, True),
        ("refused-cooling", data.COOLING, True),
        ("asked-mail-hash", data.MAILS[0], False),
        ("asked-url-hash", data.URLS[0], False),
        ("asked-domain", data.DOMAINS[0], False),
        ("to-person", data.WIDE, False),
    ],
)
def test_the_page_of_a_request(world: World, name: str, subject: str, itself: bool) -> None:
    page = private(world, subject, subject if itself else "")
    seen(page, f"removal-{name}")
    page.context.close()


def test_pages_of_those_who_wait_or_are_told_no(world: World) -> None:
    page = world.visitor()
    page.goto("/delist")
    page.get_by_label("Address, network").fill(data.FREE)
    page.locator("[name=altcha]").evaluate("field => field.form.submit()")  # past the script
    page.get_by_role("button", name="Go on").wait_for()
    seen(page, "wait")
    page.get_by_role("button", name="Go on").click()
    seen(page, "wait-early")
    page.context.clear_cookies()
    page.get_by_role("button", name="Go on").click()
    seen(page, "problem-403")
    page.goto("/confirm/wrong")
    for _ in range(LIMITS["token"].many + 1):
        page.goto("/confirm/wrong")
        page.get_by_role("button", name="I agree").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Too many requests"
    seen(page, "problem-429")
    page.context.close()


# the desk


DESKS = {
    "queue": "/admin",
    "removal": "/admin/removals/{removal}",
    "holds": "/admin/holds",
    "search": "/admin/search",
    "search-found": f"/admin/search?q={data.SHOWN}",
    "feeds": "/admin/feeds",
    "feed": "/admin/feeds/mine",
    "feed-diff": "/admin/feeds/mine?diff",
    "exemptions": "/admin/exemptions",
    "exemptions-all": "/admin/exemptions?all=1",
    "sources": "/admin/sources",
    "source": "/admin/sources/show?name=a-list",
    "keys": "/admin/keys",
    "audit": "/admin/audit",
    "people": "/admin/people",
    "account": "/admin/account",
    "account-app": "/admin/account?app",
    "deed": "/admin/do/exemptions/add?subject=45.9.9.9",
    "problem-404": "/admin/removals/999999",
}


@pytest.mark.parametrize("name", DESKS)
def test_a_page_of_the_desk(alice: Person, name: str) -> None:
    page = alice.page
    page.goto("/admin")
    removal = page.locator('a[href^="/admin/removals/"]').first.get_attribute("href").rpartition("/")[2]
    page.goto(DESKS[name].format(removal=removal))
    assert page.get_by_role("heading", level=1).inner_text() not in ("Sign in", "Second factor")
    seen(page, f"desk-{name}")


def test_what_the_desk_asks_and_says(world: World, alice: Person) -> None:
    page = alice.page
    page.goto("/admin/sources/show?name=witness")
    page.get_by_label("Why").fill("a test")
    page.get_by_role("button", name="Purge the source").click()
    seen(page, "desk-sure")
    page.goto("/admin/do/exemptions/add")
    page.get_by_label("Address, network").fill("<b>")
    page.get_by_label("Why").fill("a test")
    page.get_by_role("button", name="Exempt").click()
    seen(page, "desk-deed-mistake")
    page.goto("/admin/keys")
    page.locator("#name").fill("new-partner")
    page.get_by_label("send reports").check()
    page.get_by_role("button", name="Make a key").click()
    assert "has a key" in page.get_by_role("status").inner_text()
    seen(page, "desk-key-made")
    page.goto("/admin/people")
    page.get_by_label("Name: lower-case").fill("carol")
    page.get_by_role("button", name="Make the person").click()
    seen(page, "desk-person-made")
    alice.sign_out()
    alice.password()
    seen(page, "desk-second")
    alice.page.get_by_label("Code of the app").fill(alice.code())
    alice.page.get_by_role("button", name="Sign in").click()
    alice.page.wait_for_url("**/admin")


def test_a_first_sign_in_and_the_page_that_sets_up_a_factor(world: World) -> None:
    seen_on_the_way: list[str] = []

    class Watched(Person):
        def code(self) -> str:
            if not seen_on_the_way:
                seen(self.page, "desk-enrol")
                seen_on_the_way.append("enrol")
            return super().code()

    Watched(world, "dora", "reviewer").page.context.close()
    assert seen_on_the_way


# by keyboard


def tabs(page: Any) -> list[str]:
    """What has the focus, from the top of the page to its end, by Tab; each seen to have it."""
    found: list[str] = []
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(200):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUS)
        if at is None or (found and at["which"] == found[0]):
            return found
        assert at["seen"], f"{at['which']} shows no focus, or is out of sight"
        found.append(at["which"])
    raise AssertionError(f"no end of Tab: {found[-5:]}")


FOCUS = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const box = at.getBoundingClientRect(), style = getComputedStyle(at);
  const seen = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth
    && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const order = [...document.querySelectorAll("*")].indexOf(at);
  return { seen, which: `${order} ${at.tagName} ${at.textContent.trim().slice(0, 40)}` };
}"""


@pytest.mark.parametrize("path", ["/", f"/lookup?q={data.SHOWN}", f"/delist?q={data.SHOWN}", "/criteria", "/stats"])
def test_tab_goes_through_a_page_in_its_order_and_out_again(world: World, path: str) -> None:
    page = world.visitor()
    page.goto(path)
    found = tabs(page)
    orders = [int(each.split()[0]) for each in found]
    assert orders == sorted(orders)
    assert "Skip to content" in found[0]
    page.context.close()


def tab_to(page: Any, text: str) -> None:
    """Tab, until what has the focus says this."""
    for _ in range(60):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUS)
        if at is not None and text in at["which"]:
            assert at["seen"]
            return
    raise AssertionError(f"no Tab leads to {text!r}")


def test_a_removal_by_keyboard_alone(world: World) -> None:
    page = world.visitor(data.BY_KEYBOARD)
    page.goto("/")
    tab_to(page, "Look up my own address")
    page.keyboard.press("Enter")
    page.wait_for_url("**/lookup?q=me")
    tab_to(page, "A Ask for removal")
    page.keyboard.press("Enter")
    page.wait_for_url("**/delist?q=*")
    tab_to(page, "TEXTAREA")
    page.keyboard.type("By keyboard.")
    tab_to(page, "BUTTON Ask for removal")
    page.keyboard.press("Enter")
    page.wait_for_url("**/removals/*")
    assert page.locator("main p.note strong").first.inner_text() in ("Granted: DNS follows within seconds", "Closed")
    tabs(page)
    page.context.close()


@pytest.mark.parametrize("path", ["/admin", "/admin/removals/{removal}", "/admin/people", "/admin/feeds/mine"])
def test_tab_goes_through_the_desk(alice: Person, path: str) -> None:
    page = alice.page
    page.goto("/admin")
    removal = page.locator('a[href^="/admin/removals/"]').first.get_attribute("href").rpartition("/")[2]
    page.goto(path.format(removal=removal))
    orders = [int(each.split()[0]) for each in tabs(page)]
    assert orders == sorted(orders)
    assert len(orders) > 10


# a passkey


def test_a_passkey_of_the_browser_opens_the_desk(world: World) -> None:
    person = Person(world, "erin", "reviewer")
    page = person.page
    authenticator = page.context.new_cdp_session(page)
    authenticator.send("WebAuthn.enable")
    authenticator.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page.goto("/admin/account")
    page.get_by_label("Name of the passkey").fill("laptop")
    page.get_by_role("button", name="Make a passkey").click()
    page.get_by_role("button", name="Remove passkey laptop").wait_for()
    seen(page, "desk-account-passkey")
    person.sign_out()
    person.password()
    seen(page, "desk-second-passkey")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/admin")
    page.context.close()


AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
