"""The parts of admission by themselves: what is forged, used up, early, late or someone else's lets nobody in."""

from __future__ import annotations

import base64
import json
import time
from ipaddress import ip_address
from types import SimpleNamespace
from urllib.parse import urlencode, urljoin, urlsplit

import altcha
import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl.web.admission import Admission, work
from dnsbl.web.admission.csrf import Csrf
from dnsbl.web.admission.forms import fields, safe_next
from dnsbl.web.admission.rates import LIMITS, MAX_NETWORKS, WIDER, Limit, Rates
from dnsbl.web.admission.tickets import LIFETIME, WAIT, Tickets
from dnsbl.web.admission.used import Used
from dnsbl.web.problems import Problem

KEY = bytes(32)
HERE = b"\xc0\x00\x02"
START = 1_000.0
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Clock:
    def __init__(self, at: float = START) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


# What is good for one time


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), max_size=60), st.integers(1, 5))
def test_a_name_is_never_good_twice_whatever_the_clock_does(asked, most):
    """Each name has one moment at which it expires, as a signed one has; the clock jumps about."""
    used, good = Used(most), []
    for name, now in asked:
        if used.spend(bytes([name]), 5.0 * name, now):
            good.append(name)
            assert 5 * name > now
        assert len(used.names) == len(used.expiring) <= most
    assert len(good) == len(set(good))


def test_a_full_memory_forgets_what_expires_first_and_refuses_it_from_then_on():
    used = Used(2)
    assert used.spend(b"a", 10, 0)
    assert used.spend(b"b", 20, 0)
    assert used.spend(b"c", 30, 0)
    assert not used.spend(b"a", 10, 0)
    assert not used.spend(b"new", 10, 0)
    assert used.spend(b"d", 40, 0)


# Tickets


def issued(purpose="removal", network=HERE):
    clock = Clock()
    tickets = Tickets(KEY, clock)
    return clock, tickets, tickets.issue(purpose, network).text


@pytest.mark.parametrize(
    ("age", "good"),
    [
        (0, False),
        (WAIT - 0.01, False),
        (WAIT, True),
        (LIFETIME - 0.01, True),
        (LIFETIME, False),
        (10 * LIFETIME, False),
    ],
)
def test_a_ticket_is_good_from_its_wait_to_its_end(age, good):
    clock, tickets, text = issued()
    clock.at += age
    assert tickets.redeem(text, "removal", HERE).good is good


def test_a_ticket_that_comes_early_stays_good_and_says_when():
    clock, tickets, text = issued()
    clock.at += 40.5
    early = tickets.redeem(text, "removal", HERE).early
    assert (early.text, early.wait, early.left, early.early) == (text, 5, LIFETIME - 40, True)
    clock.at += early.wait
    assert tickets.redeem(text, "removal", HERE).good
    assert tickets.redeem(text, "removal", HERE) == (False, None)


@given(st.integers(0, 47), st.sampled_from(CHARACTERS))
def test_a_changed_ticket_is_none(place, character):
    clock, tickets, text = issued()
    clock.at += WAIT
    changed = text[:place] + character + text[place + 1 :]
    assert tickets.redeem(changed, "removal", HERE).good is (changed == text)


@given(st.text(max_size=60), st.binary(max_size=8))
def test_a_ticket_is_for_one_purpose_and_network(purpose, network):
    clock, tickets, text = issued()
    clock.at += WAIT
    assert tickets.redeem(text, purpose, network).good is ((purpose, network) == ("removal", HERE))


@given(st.text(max_size=100) | st.text(CHARACTERS, min_size=48, max_size=48))
def test_no_text_of_a_strangers_is_a_ticket(text):
    clock, tickets, _ = issued()
    clock.at += WAIT
    assert tickets.redeem(text, "removal", HERE) == (False, None)


def test_another_process_takes_no_ticket_of_this_one():
    clock, _, text = issued()
    clock.at += WAIT
    assert Tickets(b"another", clock).redeem(text, "removal", HERE) == (False, None)


# Work


@pytest.fixture(scope="module", autouse=True)
def easy():
    """A few tries instead of thousands; all else is as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "MOST", 4)
        yield


def solved(challenge):
    found = altcha.Challenge.from_dict(challenge)
    return {"challenge": challenge, "solution": altcha.solve_challenge(found).to_dict()}


def packed(payload):
    return base64.b64encode(json.dumps(payload).encode()).decode()


def test_a_solved_sum_is_good_once():
    mine = work.Work(KEY)
    payload = packed(solved(mine.challenge()))
    assert not work.Work(b"another").solved(payload)
    assert mine.solved(payload)
    assert not mine.solved(payload)


def test_written_in_another_way_it_is_still_the_same_sum():
    mine = work.Work(KEY)
    said = solved(mine.challenge())
    assert mine.solved(packed(said))
    said["solution"]["derivedKey"] = said["solution"]["derivedKey"].upper()
    said["solution"]["counter"] = said["solution"]["time"] = 7
    said["challenge"]["parameters"]["cost"] = float(said["challenge"]["parameters"]["cost"])
    said["challenge"]["more"] = dict(reversed(said["challenge"]["parameters"].items()))
    assert not mine.solved(packed(said))


def test_an_unsolved_sum_is_not_good():
    mine = work.Work(KEY)
    challenge = mine.challenge()
    prefix = challenge["parameters"]["keyPrefix"]
    for key in ("", prefix, prefix.ljust(64, "0"), 0, None, [], "zz"):
        assert not mine.solved(packed({"challenge": challenge, "solution": {"counter": 1, "derivedKey": key}}))
    assert mine.solved(packed(solved(challenge)))


@pytest.mark.parametrize(("age", "good"), [(0, True), (599, True), (600, False), (100_000, False)])
def test_a_sum_is_good_for_ten_minutes(age, good):
    now = int(time.time())  # altcha holds what it signed against the system's clock
    clock = Clock(now)
    mine = work.Work(KEY, clock)
    payload = packed(solved(mine.challenge()))
    clock.at += age
    assert mine.solved(payload) is good
    clock.at = now
    assert not mine.solved(payload)  # nor is it when the clock is set back


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner))
PARAMETERS = ("algorithm", "nonce", "salt", "cost", "keyLength", "keyPrefix", "keySignature", "expiresAt", "data")


@given(st.sampled_from(PARAMETERS), JSON)
def test_a_sum_that_was_changed_is_not_ours(name, value):
    mine = work.Work(KEY)
    said = solved(mine.challenge())
    if said["challenge"]["parameters"][name] == value:
        return
    said["challenge"]["parameters"][name] = value
    assert not mine.solved(packed(said))
    if name != "keyLength":  # which is understood where it is left out
        del said["challenge"]["parameters"][name]
        assert not mine.solved(packed(said))


@given(JSON, JSON)
def test_whatever_is_sent_is_no_sum(challenge, solution):
    mine = work.Work(KEY)
    assert not mine.solved(packed({"challenge": challenge, "solution": solution}))
    assert not mine.solved(packed({"challenge": {"parameters": challenge, "signature": "0"}, "solution": solution}))
    assert not mine.solved(packed(challenge))


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda each: base64.b64encode(each).decode()))
def test_no_text_is_a_sum(text):
    assert not work.Work(KEY).solved(text)


def test_deep_and_long_texts_are_no_sums():
    for text in (b"[" * 1500, b'{"challenge":' * 100, b"9" * 1500, b'{"challenge":{"parameters":' + b"[" * 1400):
        assert not work.Work(KEY).solved(base64.b64encode(text).decode())
    assert not work.Work(KEY).solved("A" * 10_000_000)


# Rates


def test_a_network_has_so_many_and_as_many_again_in_time():
    clock = Clock()
    rates = Rates(clock, {"removal": Limit(10, 3600)})
    here, neighbour, elsewhere = (ip_address(each) for each in ("192.0.2.1", "192.0.2.200", "198.51.100.1"))
    assert [rates.take("removal", here) for _ in range(10)] == [0] * 10
    assert rates.take("removal", neighbour) == 360
    assert rates.take("removal", elsewhere) == 0
    clock.at += 359.9
    assert rates.take("removal", here) == 1
    clock.at += 0.1
    assert rates.wait("removal", here) == 0
    assert rates.take("removal", here) == 0
    assert rates.take("removal", here) == 360
    clock.at += 100_000
    assert [rates.take("removal", here) for _ in range(11)] == [0] * 10 + [360]


def test_many_networks_of_one_customer_are_held_together():
    rates = Rates(Clock(), {"removal": Limit(10, 3600)})
    for_64 = [rates.take("removal", ip_address(f"2001:db8::{host:x}")) for host in range(11)]
    assert for_64 == [0] * 10 + [360]
    let_in = sum(not rates.take("removal", ip_address(f"2001:db8:0:{net:x}::1")) for net in range(1, 1000))
    assert let_in == 10 * WIDER - 10
    assert rates.take("removal", ip_address("2001:db8:1::1")) == 0


def test_the_unknown_share_one_bucket():
    rates = Rates(Clock(), {"removal": Limit(3, 60)})
    assert [rates.take("removal", None) for _ in range(4)] == [0, 0, 0, 20]
    assert rates.take("removal", ip_address("192.0.2.1")) == 0


@given(
    st.integers(1, 50), st.integers(1, 4000), st.lists(st.floats(0, 500), min_size=1, max_size=60), st.floats(0, 1e9)
)
def test_no_more_than_the_limit_and_waiting_as_told_is_enough(many, seconds, pauses, start):
    clock = Clock(start)
    rates = Rates(clock, {"x": Limit(many, seconds)})
    here, times = ip_address("192.0.2.1"), []
    for pause in pauses:
        clock.at += pause
        wait = rates.take("x", here)
        assert 0 <= wait <= seconds
        if wait:
            clock.at += wait
            assert rates.take("x", here) == 0
        times.append(clock.at)
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first + 1 <= many + (times[last] - times[first]) * many / seconds + 0.01


def test_ten_thousand_requests_of_one_network_leave_one_number():
    rates = Rates(Clock())
    for number in range(10_000):
        rates.take("removal", ip_address(f"192.0.2.{number % 256}"))
        rates.take("removal", ip_address(f"2001:db8::{number:x}"))
    assert len(rates.full["removal"]) == 3  # a /24, a /64 and its /48


def test_the_world_is_remembered_in_bounded_memory():
    rates = Rates(Clock())
    for number in range(MAX_NETWORKS + 5000):
        assert rates.take("token", ip_address(number << 8)) == 0
    assert len(rates.full["token"]) == MAX_NETWORKS
    assert not rates.full["removal"]


# Cross-site requests

OURS = "https://bl.example"


def sent(csrf, origin=None, site=None, host="bl.example", cookie="", **headers):
    said = {"Host": host, "Origin": origin, "Sec-Fetch-Site": site, "Cookie": cookie, **headers}
    return make_mocked_request("POST", "/delist", {name: value for name, value in said.items() if value is not None})


def form_of(csrf, purpose="removal"):
    """The field and the cookie that a page gives."""
    request = make_mocked_request("GET", "/delist", {"Host": "bl.example"})
    value = csrf.field(request, purpose)
    return {"csrf": value}, f"{csrf.cookie}={request[next(iter(request))]}"


@pytest.mark.parametrize(
    ("origin", "site", "host", "public_url", "good"),
    [
        (OURS, "same-origin", "bl.example", OURS, True),
        (OURS, None, "bl.example", OURS + "/", True),
        (OURS, "same-origin", "127.0.0.1:8053", OURS, True),  # a proxy that asks by its own name for us
        ("https://bl.example:443", None, "bl.example", OURS, True),
        ("https://xn--bcher-kva.example", None, "x", "https://bücher.example", True),
        (None, "none", "bl.example", OURS, True),
        (None, None, "bl.example", OURS, True),  # no browser; the field is left
        ("http://127.0.0.1:8053", "same-origin", "127.0.0.1:8053", OURS, True),  # the operator, by a tunnel
        ("http://[::1]:8053", "same-origin", "[::1]:8053", OURS, True),
        ("http://localhost:8053", "same-origin", "localhost:8053", OURS, True),
        ("http://lists.example", "same-origin", "lists.example", "", True),
        ("https://lists.example", "same-origin", "lists.example", "", True),  # TLS ends before us
        ("https://evil.example", "cross-site", "bl.example", OURS, False),
        ("https://evil.example", None, "bl.example", OURS, False),
        ("https://www.bl.example", "same-site", "bl.example", OURS, False),
        (OURS, "cross-site", "bl.example", OURS, False),
        (OURS, "nonsense", "bl.example", OURS, False),
        (None, "cross-site", "bl.example", OURS, False),
        ("null", "same-origin", "bl.example", OURS, False),
        ("null", None, "bl.example", "", False),
        ("", None, "bl.example", OURS, False),
        ("http://bl.example", None, "bl.example", OURS, False),
        ("https://bl.example:8443", None, "bl.example", OURS, False),
        ("https://bl.example.evil.example", None, "bl.example", OURS, False),
        ("https://bl.example@evil.example", None, "bl.example", OURS, False),
        ("http://rebound.example", "same-origin", "rebound.example", OURS, False),  # a stranger's name for us
        ("http://127.0.0.1:9999", None, "127.0.0.1:8053", OURS, False),
        ("https://evil.example", None, "lists.example", "", False),
        ("https://[", None, "[", "", False),
    ],
)
def test_only_our_own_pages_send_forms(origin, site, host, public_url, good):
    csrf = Csrf(KEY, public_url)
    form, cookie = form_of(csrf)
    request = sent(csrf, origin, site, host, cookie)
    if good:
        csrf.verify(request, form, "removal")
    else:
        with pytest.raises(Problem) as refused:
            csrf.verify(request, form, "removal")
        assert refused.value.status == 403


@settings(max_examples=30)
@given(st.text(max_size=80), st.text(max_size=40), st.booleans())
def test_a_field_is_good_for_its_cookie_and_purpose_only(field, purpose, mine):
    csrf = Csrf(KEY, OURS)
    form, cookie = form_of(csrf)
    others, _ = form_of(csrf)
    for sent_form, sent_cookie, sent_purpose in [
        ({"csrf": field}, cookie, "removal"),
        ({}, cookie, "removal"),
        (others, cookie, "removal"),
        (form, "", "removal"),
        (form, f"{csrf.cookie}=", "removal"),
        (form, cookie.replace("__Host-", ""), "removal"),
        (form if mine else {"csrf": field}, cookie, "x" + purpose),
    ]:
        with pytest.raises(Problem):
            csrf.verify(sent(csrf, OURS, None, cookie=sent_cookie), sent_form, sent_purpose)
    csrf.verify(sent(csrf, OURS, None, cookie=cookie), form, "removal")


def test_two_origins_are_as_bad_as_the_worse_one():
    csrf = Csrf(KEY, OURS)
    form, cookie = form_of(csrf)
    request = make_mocked_request(
        "POST", "/", [("Origin", OURS), ("Origin", "https://evil.example"), ("Cookie", cookie)]
    )
    with pytest.raises(Problem):
        csrf.verify(request, form, "removal")


# Forms


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=64),
        st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=80),
        max_size=40,
    )
)
def test_a_form_is_read_as_it_was_written(written):
    assert fields(urlencode(written).encode()) == written


@given(st.binary(max_size=300) | st.text("ab=&;%01FE+\r\n\0é", max_size=80).map(str.encode))
def test_any_bytes_are_a_form_or_refused(body):
    try:
        found = fields(body)
    except Problem as problem:
        assert problem.status == 400
    else:
        assert len(found) <= 40
        assert not [c for value in found.values() for c in value if ord(c) < 32 and c not in "\n\t"]


@pytest.mark.parametrize(
    "body",
    [b"a=1&a=2", b"a=%FF", b"a=\xff", b"a=%00", b"a=%1B[31m", b"a=x%0Dy", b"a=%C2%85", b"=1", b"b" * 65 + b"=1",
     b"&".join(b"f%d=" % n for n in range(41)), b"a%00=1"],
)  # fmt: skip
def test_forms_that_no_page_of_ours_sends_are_refused(body):
    with pytest.raises(Problem) as refused:
        fields(body)
    assert refused.value.status == 400


def test_lines_end_in_a_newline():
    assert fields(b"why=one%0D%0Atwo%0Athree%09&empty=") == {"why": "one\ntwo\nthree\t", "empty": ""}


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "javascript:alert(1)", "evil", "",
     "/\t/evil.example", "/a\r\nSet-Cookie: x=1", " /a", "/a b", "/é", "///evil.example", "/" + "a" * 3000, None,
     "/a\\..\\\\evil.example"],
)  # fmt: skip
def test_no_redirect_leads_elsewhere(path):
    assert safe_next(path, "/admin") == "/admin"


def test_a_path_of_ours_is_followed():
    for path in ("/", "/admin", "/admin/search?q=192.0.2.0/24&next=//x#top", "/delist/%2F%2Fevil.example"):
        assert safe_next(path) == path


@given(st.text("/\\.:@?#%ae \t\n", max_size=12))
def test_where_a_browser_ends_up_is_here(path):
    """As browsers read a Location: without tabs and newlines, a backslash is a slash (WHATWG URL)."""
    said = safe_next(path)
    read = "".join(c for c in said if c not in "\t\r\n").replace("\\", "/")
    url = urlsplit(urljoin("https://bl.example/admin", read))
    assert (url.scheme, url.netloc) == ("https", "bl.example")


# All of it


def test_admission_asks_no_store():
    """Ten thousand requests from one network cost no read: there is nothing to read from."""
    admission = Admission(SimpleNamespace(app=SimpleNamespace(proxies=[], public_url="")))
    request = make_mocked_request("POST", "/", {})
    waits = 0
    for _ in range(10_000):
        try:
            admission.limit(request, "removal")
        except Problem as problem:
            waits += 1
            assert problem.status == 429
            assert 0 < int(problem.headers["Retry-After"]) <= 360
    assert waits == 10_000 - LIMITS["removal"].many
