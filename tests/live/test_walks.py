"""Visitors walk through the pages in a real browser: from a listing to NXDOMAIN by every proof, into every refusal, and
over a person's desk; with script, and once more without.

A walk is a generator. It yields where a form was sent that costs the visitor something: a browser with script does its
sum and is let in at once; one without is shown a page, on which its visitor waits. All walks without script begin
before everything else, so that their waiting goes on beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from datetime import datetime
from typing import Any

import pytest
import walk_data as data
from server import reverse, until
from walk_desk import Person
from walking import CHROMIUM, WAIT, World, world_in

from dnsbl.hashing import parse_query
from dnsbl.subjects import text

pytestmark = [pytest.mark.peer, pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")]

GOOD = "correct horse battery staple"
Walk = Generator[Any, None, None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_in(tmp_path_factory.mktemp("walks"), data.lay_down) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def patient(world: World) -> dict[str, tuple[Walk, Any]]:
    """The walks without script, each at its page that says how long to wait."""
    begun = {walk.__name__: walk(world, 1) for walk in WALKS}
    return {name: (walk, next(walk)) for name, walk in begun.items()}


@pytest.fixture(autouse=True)
def nothing_to_complain_about(world: World) -> Iterator[None]:
    yield
    complaints, world.complaints = world.complaints, []
    assert complaints == []


# what visitors do


def ask(world: World, subject: str, address: str = "", turn: int = 0, said: str = "") -> Any:
    """From the look-up of a subject to its form, filled in and sent."""
    page = world.visitor(address, script=not turn)
    page.goto("/lookup")
    page.get_by_role("textbox").fill(subject)
    page.get_by_role("button", name="Look up").click()
    page.get_by_role("link", name="Ask for removal").first.click()
    page.get_by_label("What was wrong").fill(said)
    page.get_by_role("button", name="Ask for removal").click()
    return page


def let_in(page: Any, turn: int) -> None:
    """Without script: the visitor has waited as long as the page says, and goes on. With script nobody is told to wait:
    what a walk looks for next would not come."""
    if turn:
        ready = datetime.fromisoformat(page.locator("time").get_attribute("datetime")).timestamp()
        page.wait_for_timeout(max(0.0, ready - clock_now()) * 1000)
        page.get_by_role("button", name="Go on").click()


def clock_now() -> float:
    return datetime.now().timestamp()


def at_its_page(page: Any) -> None:
    page.wait_for_url("**/removals/*")


def state(page: Any) -> str:
    return str(page.locator("main p.note strong").first.text_content())


def reasons(page: Any) -> str:
    return str(page.locator("main .note").first.inner_text())


def freed(world: World, page: Any, name: str, zone: str) -> None:
    """DNS says NXDOMAIN, and then its page that the request is closed."""
    until(lambda: world.answers(name, zone) == "NXDOMAIN", f"{name} leaves the zone")

    def closed() -> bool:
        page.reload()
        return state(page) == "Closed"

    until(closed, f"the page of {name} says that it is closed")
    assert "It stays off until" in reasons(page)


def confirm(world: World, mailbox: str, turn: int) -> None:
    """Whoever reads the mail opens its link, and presses the button."""
    mail = world.postbox.wait(mailbox)
    assert mail["Auto-Submitted"] == "auto-generated"
    link = re.search(r"http://\S+/confirm/\S+", mail.get_content())
    assert link is not None
    page = world.visitor(script=not turn)
    page.goto(link[0])
    assert page.get_by_role("heading", level=1).text_content() == "Confirm a removal"
    page.get_by_role("button", name="I agree to the removal").click()
    assert page.get_by_role("heading", level=1).text_content() == "Thank you"
    page.context.close()


def put_record(world: World, page: Any) -> str:
    """The TXT record that the page shows, put into the DNS at its first name; that name."""
    found = re.match(r'(\S+) 300 IN TXT "(\S+)"', page.locator("pre").text_content())
    assert found is not None
    world.names.records[found[1], "TXT"] = f'"{found[2]}"'
    return found[1]


# the walks; `turn` 0 with script, 1 without


def own_address(world: World, turn: int) -> Walk:
    address = data.OWN[turn]
    assert world.server.codes(f"{reverse(address)}.ip.dnsbl.test") == ["127.0.0.2"]
    page = world.visitor(address, script=not turn)
    page.goto("/")
    page.get_by_role("link", name="Look up my own address").click()
    assert page.locator("h2.subject").inner_text() == address
    assert "Listed in ip.dnsbl.test." in page.locator("main").inner_text()
    page.get_by_role("link", name="Ask for removal").first.click()
    page.get_by_role("button", name="Ask for removal").click()
    yield page
    let_in(page, turn)
    at_its_page(page)
    freed(world, page, reverse(address), "ip")
    assert "The request came from the address itself." in page.locator("main").inner_text()
    page.get_by_role("link", name="See its look-up").click()
    assert "Not listed as bad in any zone." in page.locator("main").inner_text()


def mail_to_the_postmaster(world: World, turn: int) -> Walk:
    address, name = data.BY_MAIL[turn], f"mail{turn}.sender-example.com"
    world.names.host(address, name)
    page = ask(world, address, turn=turn)
    yield page
    let_in(page, turn)
    at_its_page(page)
    assert state(page) == "Waiting for proof that it is yours"
    card = page.locator("section", has=page.get_by_role("heading", name="By mail"))
    card.get_by_role("button", name="Find out who that is").click()
    shown = page.get_by_role("button", name="Mail a link to")
    shown.last.wait_for()
    who = [each.inner_text().removeprefix("Mail a link to ") for each in shown.all()]
    assert who == [f"postmaster@{name}", f"abuse@{name}"]
    shown.first.click()
    assert "on its way" in page.get_by_role("status").first.inner_text()
    confirm(world, f"postmaster@{name}", turn)
    freed(world, page, reverse(address), "ip")


def record_in_the_reverse_zone(world: World, turn: int) -> Walk:
    address = data.BY_TXT[turn]
    page = ask(world, address, turn=turn)
    yield page
    let_in(page, turn)
    at_its_page(page)
    page.get_by_role("button", name="It is there: look now").click()
    assert "The record is not there yet" in page.get_by_role("status").first.inner_text()
    assert put_record(world, page) == f"_dnsbl-challenge.{reverse(address)}.in-addr.arpa."
    page.get_by_role("button", name="It is there: look now").click()
    freed(world, page, reverse(address), "ip")


def domain(world: World, turn: int) -> Walk:
    name = data.DOMAINS[turn]
    page = ask(world, name, turn=turn)
    yield page
    let_in(page, turn)
    at_its_page(page)
    if turn:
        page.get_by_role("button", name="Find out who that is").click()
        page.get_by_role("button", name=f"Mail a link to postmaster@{name}").click()
        confirm(world, f"postmaster@{name}", turn)
    else:
        assert put_record(world, page) == f"_dnsbl-challenge.{name}."
        page.get_by_role("button", name="It is there: look now").click()
    freed(world, page, name, "domain")


def mail_address(world: World, turn: int) -> Walk:
    address = data.MAILS[turn]
    page = ask(world, address, turn=turn)
    yield page
    let_in(page, turn)
    at_its_page(page)
    assert address not in page.locator("main").inner_text()
    page.get_by_label("The mail address that it is the hash of").fill("somebody-else@mail-example.com")
    page.get_by_role("button", name="Mail a link there").click()
    guess = page.get_by_role("status").first.inner_text()
    page.get_by_label("The mail address that it is the hash of").fill(address)
    page.get_by_role("button", name="Mail a link there").click()
    assert page.get_by_role("status").first.inner_text() == guess, "a right guess looks like a wrong one"
    confirm(world, address, turn)
    freed(world, page, hash_name(address), "hash")
    assert world.postbox.to("somebody-else@mail-example.com") == []


def web_address(world: World, turn: int) -> Walk:
    url = data.URLS[turn]
    page = ask(world, url, turn=turn)
    yield page
    let_in(page, turn)
    at_its_page(page)
    assert put_record(world, page).startswith("_dnsbl-challenge.")
    page.get_by_role("button", name="It is there: look now").click()
    freed(world, page, hash_name(url), "hash")


def hash_name(thing: str) -> str:
    """The name by which a hash is asked for."""
    kind, _, digest = text(parse_query(thing)).partition(":")
    return f"{digest}._{kind}"


FREE = [own_address, mail_to_the_postmaster, record_in_the_reverse_zone, domain, mail_address, web_address]


def refusal(word: str, subject: str, address: str, *said: str) -> Callable[[World, int], Walk]:
    """A walk into a refusal whose page says all of this, and when it makes sense to ask again."""

    def walk(world: World, turn: int) -> Walk:
        before = world.answers(reverse(subject), "ip")
        page = ask(world, subject, address, turn)
        yield page
        let_in(page, turn)
        at_its_page(page)
        assert state(page) == "Refused for now"
        found = reasons(page)
        assert all(each in found for each in said), found
        page.get_by_role("button", name="Give it to a person").wait_for()
        assert world.answers(reverse(subject), "ip") == before == "NOERROR"

    walk.__name__ = word
    return walk


MOMENT = " UTC"  # how every moment ends
REFUSALS = [
    refusal("still_reported", data.REPORTED, data.REPORTED, "still reported at", "spam", "1 hour", "from", MOMENT),
    refusal("cooling_down", data.COOLING, data.COOLING, "listed again", "doubles", "possible from", MOMENT),
    refusal("network_full", data.NETWORK_FULL, data.NETWORK_FULL, "in this network within a day", MOMENT),
    refusal("requester_full", data.FROM_FULL, data.FROM_FULL, "from your network within a day", MOMENT),
    refusal("too_many_open", data.OPEN_LIMIT, data.ITS_NEIGHBOUR, "There are 20 open requests from your network"),
]


def not_listed(world: World, turn: int) -> Walk:
    """The form says it before anything is sent, and after."""
    page = world.visitor(script=not turn)
    page.goto(f"/delist?q={data.FREE}")
    assert "is not listed in any zone" in page.get_by_role("status").first.inner_text()
    page.get_by_role("button", name="Ask for removal").click()
    yield page
    let_in(page, turn)
    assert "there is nothing to remove" in page.get_by_role("alert").inner_text()


def nonsense(world: World, turn: int) -> Walk:
    """What is nothing that could be listed comes back with all that was typed."""
    page = world.visitor(script=not turn)
    page.goto("/delist")
    page.get_by_label("Address, network").fill("<b>&")
    page.get_by_label("What was wrong").fill("a long story")
    page.get_by_role("button", name="Ask for removal").click()
    yield page
    let_in(page, turn)
    assert "That cannot be taken" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Address, network").input_value() == "<b>&"
    assert page.get_by_label("What was wrong").input_value() == "a long story"


def to_a_person(world: World, turn: int) -> Walk:
    """No proof can be given: a person decides; once by single keys, once by the buttons of a page without script."""
    subject = data.APPEALS[turn]
    page = ask(world, subject, turn=turn, said=data.MARKUP)
    yield page
    let_in(page, turn)
    at_its_page(page)
    page.get_by_label("If none of this fits").fill("The address was sold to us.")
    page.get_by_role("button", name="Give it to a person").click()
    assert state(page) == "With a person, who looks at it"
    person = Person(world, ("alice", "bob")[turn], "reviewer", script=not turn)
    desk = person.open(subject)
    assert desk.locator("blockquote").inner_text() == f"{data.MARKUP}\n\nThe address was sold to us."
    if turn:
        desk.get_by_label("Thank you for mending it").check()
        desk.get_by_label("What is said to the requester").fill("But it goes on.")
        desk.get_by_role("button", name="Refuse").click()
    else:
        desk.keyboard.press("1")
        desk.keyboard.press("g")
        desk.get_by_role("dialog").wait_for()
        assert subject in desk.get_by_role("dialog").inner_text()
        desk.keyboard.press("Enter")
    desk.wait_for_url("**did=removals*")
    desk.context.close()
    page.reload()
    answer = page.locator("p.words").inner_text()
    assert answer.startswith("Thank you for mending it.")
    if turn:
        assert state(page) == "Refused for now"
        assert answer.endswith("But it goes on.")
        assert page.get_by_role("button", name="Give it to a person").count() == 0
    else:
        freed(world, page, reverse(subject), "ip")


WALKS: list[Callable[[World, int], Walk]] = [*FREE, *REFUSALS, not_listed, nonsense, to_a_person]


@pytest.mark.parametrize("walk", WALKS)
def test_with_script(world: World, walk: Callable[[World, int], Walk]) -> None:
    (page,) = walk(world, 0)
    page.context.close()


@pytest.mark.heavy
@pytest.mark.parametrize("walk", WALKS)
def test_without_script(patient: dict[str, tuple[Walk, Any]], walk: Callable[[World, int], Walk]) -> None:
    begun, page = patient[walk.__name__]
    assert f"Press the button in {WAIT} seconds" in page.locator("main").inner_text()
    assert list(begun) == []
    page.context.close()
