"""DMARC and alignment: which domain a pass speaks for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from authentication_peers import PEER, KeyPair, World, a_mail, signed
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.intake.authentication import Lookups, Verdict, evaluate
from dnsbl.intake.authentication.dmarc import aligns
from dnsbl.intake.authentication.lookups import Found
from dnsbl.intake.authentication.verdict import WORDS

Ask = Callable[..., Verdict]


@pytest.mark.parametrize(
    ("signer", "author", "relaxed"),
    [
        ("example.com", "example.com", True), ("example.com", "a.b.example.com", True),
        ("mail.example.com", "news.example.com", True), ("firm.co.uk", "www.firm.co.uk", True),
        ("other.co.uk", "firm.co.uk", False), ("co.uk", "firm.co.uk", False), ("github.io", "ann.github.io", False),
        ("bob.github.io", "ann.github.io", False), ("x.ann.github.io", "ann.github.io", True),
        ("notexample.com", "example.com", False), ("example.com.evil.test", "example.com", False),
        ("com", "example.com", False),
        ("", "example.com", False), ("example.com", "", False), ("", "", False),
    ],
)  # fmt: skip
def test_relaxed_is_one_organisation_and_strict_one_name(signer: str, author: str, relaxed: bool) -> None:
    assert aligns(signer, author, strict=False) is relaxed
    assert aligns(author, signer, strict=False) is relaxed
    assert aligns(signer, author, strict=True) is (bool(signer) and signer == author)


def test_spf_proves_mail_from_and_an_author_that_aligns(verdict: Ask) -> None:
    found = verdict(a_mail("ann@firm.co.uk"), PEER, mail_from="bounce@firm.co.uk")
    assert (found.spf, found.aligned, found.dmarc) == ("pass", ("firm.co.uk",), "none")
    found = verdict(a_mail("ann@bank.example"), PEER, mail_from="bounce@firm.co.uk")
    assert (found.spf_domain, found.aligned) == ("firm.co.uk", ("firm.co.uk",))
    found = verdict(a_mail("x@example.com, y@example.com"), PEER, mail_from="bounce@firm.co.uk")
    assert (found.dmarc, found.aligned) == ("permerror", ("firm.co.uk",))


def test_spf_for_the_host_proves_nothing(verdict: Ask) -> None:
    found = verdict(a_mail(), PEER, "example.com", "")
    assert (found.spf, found.spf_domain, found.aligned, found.dmarc) == ("pass", "example.com", (), "fail")


@pytest.mark.parametrize("end", ["?all", "~all", "-all"])
def test_less_than_pass_proves_nothing(verdict: Ask, world: World, end: str) -> None:
    world.add("soft.example", "TXT", f"v=spf1 {end}")
    assert verdict(a_mail("a@soft.example"), mail_from="a@soft.example").aligned == ()


def test_both_ways_of_one_mail(verdict: Ask, key: KeyPair) -> None:
    found = verdict(signed(a_mail(), "example.com", key[0]), PEER, mail_from="a@firm.co.uk")
    assert found.aligned == ("news.example.com", "firm.co.uk")
    assert found.as_json() == {
        "source": "evaluated", "spf": "pass", "spf_domain": "firm.co.uk", "dmarc": "pass", "from": "news.example.com",
        "dkim": [{"domain": "example.com", "selector": "s1", "result": "pass"}], "arc": "none",
        "aligned": ["news.example.com", "firm.co.uk"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("record", "dmarc", "proven"),
    [
        ("v=DMARC1; p=none", "pass", True), ("v=DMARC1;p=reject;adkim=r", "pass", True),
        ("v=DMARC1; p=none; adkim=s", "fail", False), ("v=DMARC1; p=none; aspf=s", "pass", True),
        ("v=DMARC1; p=none; adkim=bad", "pass", True), ("v=DMARC1; p=bad", "permerror", True),
        ("v=DMARC1; p=bad; rua=mailto:a@example.com; adkim=s", "fail", False), ("v=DMARC1", "permerror", True),
        ("v=DMARC1; p=none; sp=bad", "permerror", True), ("v=dmarc1; p=reject; adkim=s", "pass", True),
        ("p=reject; v=DMARC1; adkim=s", "pass", True), ("v=DMARC10; p=none; adkim=s", "pass", True),
        (b"v=DMARC1; p=none; x=\xff\xff", "pass", True),
    ],
)  # fmt: skip
def test_the_record_says_how_strictly(
    verdict: Ask, world: World, key: KeyPair, record: str | bytes, dmarc: str, proven: bool
) -> None:
    """What is no record at all leaves the one of the organisation, which is relaxed."""
    world.add("_dmarc.news.example.com", "TXT", record)
    found = verdict(signed(a_mail(), "example.com", key[0]))
    assert (found.dmarc, found.aligned) == (dmarc, ("news.example.com",) if proven else ())


def test_strictness_of_spf(verdict: Ask, world: World) -> None:
    world.add("_dmarc.news.example.com", "TXT", "v=DMARC1; p=none; aspf=s")
    found = verdict(a_mail(), PEER, mail_from="a@example.com")
    assert (found.dmarc, found.aligned) == ("fail", ("example.com",))


def test_two_records_are_none(verdict: Ask, world: World, key: KeyPair) -> None:
    world.add("_dmarc.news.example.com", "TXT", "v=DMARC1; p=none", "v=DMARC1; p=reject")
    assert verdict(signed(a_mail(), "example.com", key[0])).dmarc == "none"


def test_where_strictness_is_not_known_only_the_name_itself_will_do(verdict: Ask, world: World, key: KeyPair) -> None:
    world.broken.update(("_dmarc.news.example.com", "_dmarc.example.com"))
    found = verdict(signed(a_mail(), "example.com", key[0]))
    assert (found.dmarc, found.aligned) == ("temperror", ())
    found = verdict(signed(a_mail("ann@example.com"), "example.com", key[0]))
    assert (found.dmarc, found.aligned) == ("temperror", ("example.com",))


class OneText(Lookups):
    """Every name has the same records."""

    def resolved(self, name: object, kind: str, seconds: float) -> tuple[Found, int]:
        return self.always if kind == "TXT" else Found(), 60

    always = Found()


records = st.lists(
    st.binary(max_size=60)
    | st.text("v=spf1 aimxe:+-~?%{}dlsr/0149.;p=DKMARC\\\"", max_size=60).map(str.encode).map(b"v=spf1 ".__add__)
    | st.text("v=DMARC1;psnoerjctadkimf ", max_size=60).map(str.encode).map(b"v=DMARC1;".__add__)
    | st.binary(max_size=40).map(b"k=rsa; p=".__add__),
    max_size=3,
)  # fmt: skip
tag = st.sampled_from([b"v=1", b"a=rsa-sha256", b"d=example.com", b"s=s1", b"h=from", b"bh=AAAA", b"b=AAAA", b"l=0",
                       b"c=relaxed/relaxed", b"i=1", b"cv=none", b"x=1", b"t=1"]) | st.binary(max_size=10)  # fmt: skip
name = st.sampled_from(
    [b"DKIM-Signature", b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results", b"From"]
)
field = st.tuples(name, st.lists(tag, max_size=9).map(b"; ".join)).map(b": ".join)


@given(
    records, st.lists(field, max_size=6).map(b"\r\n".join), st.text(max_size=30), st.text('a@b.c<>"%{}', max_size=20)
)
def test_whatever_mail_and_zone_hold_there_is_a_verdict(
    texts: list[bytes], mail: bytes, helo: str, mail_from: str
) -> None:
    """Not one that says that we failed, either: the zone answers, so nothing is temporary."""
    lookups = OneText.through("127.0.0.1:1")
    lookups.always = Found(tuple(texts))  # type: ignore[attr-defined]
    found = evaluate(mail + b"\r\n\r\n", PEER, helo, mail_from, lookups)
    said = {found.spf, found.dmarc, found.arc, *(word for _, _, word in found.dkim)}
    assert said <= WORDS - {"temperror"}
