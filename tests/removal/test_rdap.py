"""Abuse contacts by RDAP: found where registries put them, and nothing believed that a stranger could have made up."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.errors import ProofError
from dnsbl.removal.rdap import NOBODY, Rdap
from dnsbl.removal.registration import contact_in

ASKED = ip_address("5.6.7.8")


def entity(*mailboxes: str, roles: Any = ("abuse",), inner: tuple[Any, ...] = ()) -> dict[str, Any]:
    card = [["version", {}, "text", "4.0"], ["fn", {}, "text", "Abuse"]]
    card += [["email", {"type": "work"}, "text", each] for each in mailboxes]
    return {"objectClassName": "entity", "roles": list(roles), "vcardArray": ["vcard", card], "entities": list(inner)}


def registered(*entities: Any, first: str = "5.6.0.0", last: str = "5.6.255.255") -> dict[str, Any]:
    return {
        "objectClassName": "ip network", "startAddress": first, "endAddress": last, "ipVersion": "v4",
        "entities": list(entities),
    }  # fmt: skip


class Registry:
    """Answers as its script says; a path that is not there is not found."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[], web.StreamResponse]] = {}
        self.asked: list[str] = []
        self.base = ""

    def says(self, path: str, answer: Any, status: int = 200, **headers: str) -> None:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.answers[path] = lambda: web.Response(body=body, status=status, headers=headers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        return self.answers.get(request.path, lambda: web.Response(status=404))()


@pytest_asyncio.fixture
async def registry() -> AsyncIterator[Registry]:
    made = Registry()
    runner = web.ServerRunner(web.Server(made.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.base = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield made
    await runner.cleanup()


async def test_the_mailbox_for_abuse_and_the_network_it_is_for(registry: Registry) -> None:
    registry.says("/ip/5.6.7.8", registered(entity("noc@firm.com", roles=["technical"]), entity("Abuse@Firm.com")))
    contact = await Rdap(registry.base).abuse_contact(ASKED)
    assert contact.mailboxes == ("Abuse@firm.com",)
    assert contact.networks == (ip_network("5.6.0.0/16"),)
    assert contact.covers(ip_network("5.6.7.0/24"))
    assert not contact.covers(ip_network("5.6.0.0/15"))
    assert not contact.covers(ip_address("2a00::1"))


async def test_a_network_is_asked_for_as_one(registry: Registry) -> None:
    registry.says("/ip/5.6.0.0/20", registered(entity("abuse@firm.com")))
    registry.says("/ip/2a00:1::/32", registered(entity("abuse@firm.com"), first="2a00:1::", last="2a00:1:ffff::"))
    assert (await Rdap(registry.base).abuse_contact(ip_network("5.6.0.0/20"))).mailboxes == ("abuse@firm.com",)
    wide = await Rdap(registry.base).abuse_contact(ip_network("2a00:1::/32"))
    assert wide == NOBODY, "the registered range ends before the network does"


async def test_the_first_server_sends_us_on(registry: Registry) -> None:
    registry.says("/ip/5.6.7.8", b"", 302, Location="/registry/ip/5.6.7.8")
    registry.says("/registry/ip/5.6.7.8", registered(entity("abuse@firm.com")))
    assert (await Rdap(registry.base).abuse_contact(ASKED)).mailboxes == ("abuse@firm.com",)


async def test_redirects_end(registry: Registry) -> None:
    registry.says("/ip/5.6.7.8", b"", 302, Location="/ip/5.6.7.8")
    with pytest.raises(ProofError, match="can be used"):
        await Rdap(registry.base).abuse_contact(ASKED)
    assert len(registry.asked) == 6


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/inside", "http://localhost:{other}/inside", "http://[::1]:{port}/inside",
        "http://2130706433:{port}/inside", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd", "gopher://10.0.0.1/", "", "//0x7f.1/",
    ],
)  # fmt: skip
async def test_a_redirect_into_our_own_network_is_not_followed(registry: Registry, location: str) -> None:
    port = int(registry.base.rstrip("/").rpartition(":")[2])
    registry.says("/ip/5.6.7.8", b"", 302, Location=location.format(port=port, other=port))
    registry.says("/inside", registered(entity("abuse@firm.com")))
    with pytest.raises(ProofError):
        await Rdap(registry.base).abuse_contact(ASKED)
    assert registry.asked == ["/ip/5.6.7.8"]


async def test_what_the_registry_does_not_know_is_nobodys(registry: Registry) -> None:
    assert await Rdap(registry.base).abuse_contact(ASKED) == NOBODY


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200), (b"<html>", 200), (b"[]", 200), (b"null", 200), (b'{"entities":', 200), (b"[" * 100_000, 200),
        (b"{}", 500), (b"{}", 429), (b"{}", 403), (b"\xff\xfe{}", 200),
    ],
    ids=range(10),
)  # fmt: skip
async def test_an_answer_that_is_none_is_not_known(registry: Registry, body: bytes, status: int) -> None:
    registry.says("/ip/5.6.7.8", body, status)
    rdap = Rdap(registry.base)
    with pytest.raises(ProofError, match="try again"):
        await rdap.abuse_contact(ASKED)
    registry.says("/ip/5.6.7.8", registered(entity("abuse@firm.com")))
    assert (await rdap.abuse_contact(ASKED)).mailboxes, "a failure is not remembered"


async def test_an_answer_that_is_too_large_is_not_read(registry: Registry) -> None:
    """Nor unpacked. It would be right but for its size."""
    answer = json.dumps(registered(entity("abuse@firm.com"))).encode()
    for body, headers in (
        (answer.ljust(512 * 1024 + 1), {}),
        (gzip.compress(answer.ljust(64 * 2**20)), {"Content-Encoding": "gzip"}),
    ):
        registry.says("/ip/5.6.7.8", body, **headers)
        with pytest.raises(ProofError):
            await Rdap(registry.base).abuse_contact(ASKED)
    registry.says("/ip/5.6.7.8", answer.ljust(512 * 1024))
    assert (await Rdap(registry.base).abuse_contact(ASKED)).mailboxes


async def test_a_silent_registry_is_left(silence: str) -> None:
    with pytest.raises(ProofError, match="in time"):
        await Rdap(f"http://{silence}/", in_all=0.2).abuse_contact(ASKED)


async def test_answers_are_remembered_for_an_hour(registry: Registry) -> None:
    now = 0.0
    registry.says("/ip/5.6.7.8", registered(entity("abuse@firm.com")))
    rdap = Rdap(registry.base, clock=lambda: now)
    first = await rdap.abuse_contact(ASKED)
    assert await rdap.abuse_contact(ASKED) == first
    assert len(registry.asked) == 1
    now = 3600.0
    registry.says("/ip/5.6.7.8", registered(entity("other@firm.com")))
    assert (await rdap.abuse_contact(ASKED)).mailboxes == ("other@firm.com",)


async def test_what_is_remembered_is_bounded(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dnsbl.removal.rdap.MAX_KEPT", 3)
    rdap = Rdap(registry.base)
    for number in range(5):
        await rdap.abuse_contact(ip_address(f"5.6.7.{number}"))
    assert len(rdap.kept) == 3


async def test_nobody_is_asked_where_it_is_off() -> None:
    assert Rdap("").off
    with pytest.raises(ProofError, match="choose another"):
        await Rdap("").abuse_contact(ASKED)


def test_contacts_stand_within_contacts() -> None:
    """As ARIN nests them; the nearest counts first."""
    inner = entity("inner@firm.com")
    answer = registered(entity(roles=["registrant"], inner=(inner,)), entity("outer@firm.com"))
    assert contact_in(answer, ASKED).mailboxes == ("outer@firm.com", "inner@firm.com")


def test_few_mailboxes_are_taken_and_each_once() -> None:
    many = [f"a{number}@firm.com" for number in range(10)]
    assert contact_in(registered(entity("A0@firm.com", *many)), ASKED).mailboxes == (
        "A0@firm.com", "a1@firm.com", "a2@firm.com",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("first", "last", "counts"),
    [
        ("5.6.7.8", "5.6.7.8", True), ("5.6.7.0", "5.6.7.200", True), ("5.6.7.0/24", "5.6.7.255/24", True),
        ("5.0.0.0", "5.255.255.255", True), ("0.0.0.0", "255.255.255.255", False), ("4.0.0.0", "5.255.255.255", False),
        ("5.6.8.0", "5.6.8.255", False), ("5.6.7.255", "5.6.7.0", False), ("::", "5.6.7.8", False),
        ("2a00::", "2a00::ffff", False), ("x", "5.6.7.8", False), ("", "", False),
    ],
)  # fmt: skip
def test_a_contact_answers_for_its_own_network_only(first: str, last: str, counts: bool) -> None:
    contact = contact_in(registered(entity("abuse@firm.com"), first=first, last=last), ASKED)
    assert bool(contact.mailboxes) is counts
    assert contact.covers(ASKED) is counts


def test_networks_as_the_cidr_extension_has_them() -> None:
    answer = {
        "cidr0_cidrs": [{"v4prefix": "5.6.8.0", "length": 24}, 7, {"v4prefix": "5.6.7.0", "length": 24}],
        "entities": [entity("abuse@firm.com")],
    }
    assert contact_in(answer, ASKED).networks == (ip_network("5.6.8.0/24"), ip_network("5.6.7.0/24"))


def test_nesting_and_numbers_are_bounded() -> None:
    deep = entity("deep@firm.com")
    for _ in range(300):
        deep = entity(roles=[], inner=(deep,))
    assert contact_in(registered(deep), ASKED) == NOBODY
    wide = [entity(roles=[]) for _ in range(300)]
    assert contact_in(registered(*wide, entity("late@firm.com")), ASKED) == NOBODY


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["abuse", "email"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["entities", "roles", "vcardArray", "startAddress", "endAddress", "cidr0_cidrs"]), inner
        )
    ),
    max_leaves=20,
)


@given(junk, junk, junk, junk, junk)
def test_whatever_stands_in_an_answer(first: Any, last: Any, cidrs: Any, roles: Any, card: Any) -> None:
    """Nothing raises, and what is found is a mailbox for a network around what was asked."""
    people = [{"roles": roles, "vcardArray": card, "entities": card}, card, entity("abuse@firm.com")]
    for answer in (
        {"startAddress": first, "endAddress": last, "cidr0_cidrs": cidrs, "entities": people},
        {"startAddress": "5.6.7.0", "endAddress": "5.6.7.255", "entities": people},
    ):
        contact = contact_in(answer, ASKED)
        assert contact == NOBODY or (contact.covers(ASKED) and contact.mailboxes == ("abuse@firm.com",))
