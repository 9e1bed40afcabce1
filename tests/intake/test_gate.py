"""The gate: what may not come in says why, and what comes in is what was meant."""

from __future__ import annotations

import ipaddress
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.clock import DAY
from dnsbl.errors import SubjectError
from dnsbl.intake import gate as gates
from dnsbl.intake.gate import HASHED, REPORT_WIDEST, Gate, Token, refusal, reporter_name
from dnsbl.model import CATEGORIES, Report
from dnsbl.subjects import parse, text

NOW = 1_790_000_000


def nobody(_: bytes) -> str | None:
    return None


def gate(**options: object) -> Gate:
    return Gate(nobody, NOW, **options)  # type: ignore[arg-type]


def test_a_report_as_it_was_meant() -> None:
    made = gate(words={"Probe": "scanner"}).report("46.0.0.1", "PROBE", NOW - 5, "192.0.2.7")
    assert made == Report(parse("46.0.0.1"), "scanner", NOW - 5, "192.0.2.0/24", "")
    assert gate(category="botnet").report("46.0.0.1") == Report(parse("46.0.0.1"), "botnet", NOW, "", "")
    assert gate().report("46.0.0.1", "strange word!") == Report(parse("46.0.0.1"), "other", NOW, "", "strange-word-")


@pytest.mark.parametrize("text", ["mallory@badmail.com", "http://bad.example/x", "https://bad.example", "a@b@c"])
def test_a_mail_address_or_url_is_told_how_it_is_written(text: str) -> None:
    assert gate().report(text) == "write it as email:SHA1 or url:SHA1 (see the README)"


def test_what_is_exempt_stays_out_and_says_why() -> None:
    exempt = parse("46.0.0.1")
    asked = []

    def why(subject: bytes) -> str | None:
        asked.append(subject)
        return "exempt: ours" if subject == exempt else None

    gate = Gate(why, NOW)
    assert gate.report("46.0.0.1") == "exempt: ours"
    assert isinstance(gate.report("46.0.0.2"), Report)
    before = len(asked)
    for _ in range(100):
        assert gate.report("46.0.0.1") == "exempt: ours"
        assert isinstance(gate.report("46.0.0.2"), Report)
    assert len(asked) == before, "the same text is asked about once"


def test_networks_wider_than_a_reporter_may_name() -> None:
    four, six = REPORT_WIDEST
    assert isinstance(gate().report(f"46.0.0.0/{four}"), Report)
    assert gate().report(f"46.0.0.0/{four - 1}") == f"wider than /{four}: needs an operator"
    assert isinstance(gate().report(f"2a00::/{six}"), Report)
    assert gate().report(f"2a00::/{six - 1}") == f"wider than /{six}: needs an operator"
    assert isinstance(gate(widest=(8, 19)).report("46.0.0.0/8"), Report)
    assert refusal(parse("bad.example"), (32, 128), nobody) is None


def test_times_to_come() -> None:
    """A clock that is a little ahead is set right; one that is far ahead is refused; the past is the past."""
    assert gate().report("46.0.0.1", at=NOW + DAY).at == NOW  # type: ignore[union-attr]
    assert gate().report("46.0.0.1", at=NOW + DAY + 1) == "time in the future"
    assert gate().report("46.0.0.1", at=0).at == 0  # type: ignore[union-attr]


@given(st.text(max_size=300), st.text(max_size=60), st.one_of(st.none(), st.integers(0, 2**40)), st.text(max_size=300))
def test_any_text_is_a_report_or_a_reason(subject: str, category: str, at: int | None, reporter: str) -> None:
    gate = Gate(nobody, NOW)
    made = gate.report(subject, category, at, reporter)
    assert gate.report(subject, category, at, reporter) == made, "and the same the second time"
    if isinstance(made, str):
        assert made
        assert "\n" not in made
    else:
        assert parse(text(made.subject)) == made.subject
        assert made.category in CATEGORIES
        assert 0 <= made.at <= NOW
        assert len(made.reporter) <= 64
        assert len(made.word) <= 40


@given(st.ip_addresses())
def test_all_reporters_of_a_network_are_one(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    name = reporter_name(str(address))
    network = ipaddress.ip_network(name)
    mapped = getattr(address, "ipv4_mapped", None)
    assert (mapped or address) in network
    assert network.prefixlen == (24 if network.version == 4 else 48)
    assert str(network) == name, "as it was always written"
    assert reporter_name(str(network[0])) == reporter_name(f"{network[-1]}/32") == name


def test_a_hundred_reporters_of_one_network_are_one() -> None:
    assert {reporter_name(f"192.0.2.{n}") for n in range(100)} == {"192.0.2.0/24"}
    assert {reporter_name(f"2001:db8:0:{n:x}::1") for n in range(100)} == {"2001:db8::/48"}
    assert reporter_name("::ffff:192.0.2.9") == "192.0.2.0/24"
    assert reporter_name("::ffff:198.51.100.9") != reporter_name("::ffff:192.0.2.9")
    assert reporter_name("fe80::1%eth0") == "fe80::/48"


def keyed(key: bytes) -> Token:
    return lambda text: blake2b(text.encode(), key=key, digest_size=10).hexdigest()


@pytest.mark.parametrize("address", ["Jane.Doe@Example.COM", "jane.doe@example.com", " jane.doe@example.com "])
def test_mail_addresses_are_kept_under_a_key_only_or_not_at_all(address: str) -> None:
    assert reporter_name(address) == ""
    name = reporter_name(address, keyed(b"one"))
    assert name.startswith("hash:")
    assert "jane" not in name
    assert "example" not in name
    assert name == reporter_name("jane.doe@example.com", keyed(b"one"))
    assert name != reporter_name("john.doe@example.com", keyed(b"one"))
    assert name != reporter_name(address, keyed(b"other"))
    assert gate(token=keyed(b"one")).report("46.0.0.1", reporter=address).reporter == name  # type: ignore[union-attr]


@given(st.one_of(st.text(max_size=300), st.ip_addresses().map(str), st.emails()))
def test_who_counts_by_network_cannot_make_reporters_up(reporter: str) -> None:
    made = gate(by_network=True, token=keyed(b"one")).report("46.0.0.1", reporter=reporter)
    assert isinstance(made, Report)
    if made.reporter:
        assert ipaddress.ip_network(made.reporter).prefixlen in (24, 48)


def test_claims_on_what_may_not_be_listed_are_noted_for_each_post() -> None:
    made = Gate(lambda subject: "exempt: ours" if subject == parse("46.0.0.1") else None, NOW)
    for _ in range(2):
        made.attempts = {}
        for said in ("46.0.0.1", "46.0.0.0/8", "nonsense", "46.0.0.2", "46.0.0.1"):
            made.report(said)
        assert made.attempts == {
            parse("46.0.0.1"): "exempt: ours",
            parse("46.0.0.0/8"): "wider than /24: needs an operator",
        }


def test_attempts_are_bounded() -> None:
    made = Gate(lambda _: "exempt: ours", NOW)
    for n in range(3 * gates.MAX_ATTEMPTS):
        made.report(f"46.0.{n >> 8}.{n & 255}")
    assert len(made.attempts) == gates.MAX_ATTEMPTS


def test_a_report_that_is_not_permitted_says_why() -> None:
    made = gate()
    made.permit = lambda report: "not spam" if report.category == "spam" else None
    assert made.report("46.0.0.1", "spam") == "not spam"
    assert isinstance(made.report("46.0.0.1", "malware"), Report)
    assert made.attempts == {}, "what one key may not say is no attempt on what nobody may"


@given(st.one_of(st.ip_addresses().map(str), st.text("0123456789./ :", max_size=20)))
def test_the_short_way_for_ipv4_comes_to_the_same_as_the_careful_one(text: str) -> None:
    try:
        careful: bytes | str = parse(text)
    except SubjectError as error:
        careful = HASHED if "://" in text else str(error)
    if isinstance(careful, bytes):
        careful = refusal(careful, REPORT_WIDEST, nobody) or careful
    made = gate().report(text)
    assert (made.subject if isinstance(made, Report) else made) == careful


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "REMEMBERED", 100)
    gate = Gate(nobody, NOW)
    for n in range(1000):
        assert isinstance(gate.report(f"46.0.{n >> 8}.{n & 255}", f"word{n}", NOW, f"r{n}"), Report)
        assert max(map(len, (gate.subjects, gate.categories, gate.reporters))) <= 101
