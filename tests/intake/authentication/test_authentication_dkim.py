"""DKIM and ARC: mails that are signed, changed on the way, signed badly, or made to cost us."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable

import dkim
import pytest
from authentication_peers import KeyPair, World, a_mail, signed

from dnsbl.intake.authentication import Verdict

Ask = Callable[..., Verdict]
PROVEN = ("example.com", "s1", "pass")


def words(verdict: Verdict) -> list[str]:
    return [word for _, _, word in verdict.dkim]


@pytest.mark.parametrize("headers", [b"relaxed", b"simple"])
@pytest.mark.parametrize("body", [b"relaxed", b"simple"])
def test_a_signature_proves_its_author(verdict: Ask, key: KeyPair, headers: bytes, body: bytes) -> None:
    mail = signed(a_mail(body="a  b \t\r\n\r\n c\t\r\n\r\n\r\n"), "example.com", key[0], canonicalize=(headers, body))
    found = verdict(mail)
    assert found.dkim == (PROVEN,)
    assert (found.dmarc, found.from_domain, found.aligned) == ("pass", "news.example.com", ("news.example.com",))


def test_a_mail_without_one_has_none(verdict: Ask) -> None:
    found = verdict(a_mail())
    assert (found.dkim, found.dmarc, found.aligned, found.arc) == ((), "fail", (), "none")


def test_lines_may_end_in_lf_only(verdict: Ask, key: KeyPair) -> None:
    assert words(verdict(signed(a_mail(), "example.com", key[0]).replace(b"\r\n", b"\n"))) == ["pass"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"three", b"four"), (b"Subject: hello", b"Subject: other"), (b"ann@news.example.com", b"bob@news.example.com"),
        (b" s=s1", b" s=s2"), (b"three\r\n", b"three\r\nadded\r\n"),
    ],
)  # fmt: skip
def test_what_was_changed_is_not_proven(verdict: Ask, world: World, key: KeyPair, old: bytes, new: bytes) -> None:
    """A replay with another body, another author, another key."""
    mail = signed(a_mail(), "example.com", key[0])
    assert old in mail
    found = verdict(mail.replace(old, new, 1))
    assert words(found) in (["fail"], ["permerror"])
    assert (found.dmarc, found.aligned) == ("fail", ())


def test_a_second_from_proves_nothing(verdict: Ask, key: KeyPair) -> None:
    """On top or below, signed or not: which of them a reader is shown is not known."""
    mail = signed(a_mail(), "example.com", key[0])
    for changed in (b"From: boss@bank.example\r\n" + mail, mail.replace(b"To:", b"From: boss@bank.example\r\nTo:")):
        found = verdict(changed)
        assert (found.from_domain, found.dmarc, found.aligned) == ("", "permerror", ())
    both = a_mail().replace(b"To:", b"From: boss@bank.example\r\nTo:")
    assert verdict(signed(both, "example.com", key[0])).aligned == ()


def test_another_s_signature_proves_the_other_only(verdict: Ask, key: KeyPair) -> None:
    found = verdict(signed(a_mail(), "firm.co.uk", key[0]))
    assert (found.dkim, found.dmarc, found.aligned) == ((("firm.co.uk", "s1", "pass"),), "fail", ())


def test_from_must_be_signed(verdict: Ask, key: KeyPair) -> None:
    """The library signs nothing else, but would verify it."""
    without = a_mail().replace(b"From:", b"Frxm:")
    field = dkim.sign(without, b"s1", b"example.com", key[0], include_headers=[b"subject", b"from"])
    assert words(verdict(field + without)) == ["pass"]
    assert words(verdict(field + a_mail())) == ["fail"]
    assert words(verdict(field.replace(b" : from", b"") + a_mail())) == ["permerror"]


def test_a_length_proves_nothing(verdict: Ask, key: KeyPair) -> None:
    mail = signed(a_mail(), "example.com", key[0], length=True)
    for added in (b"", b"and something else\r\n"):
        found = verdict(mail + added)
        assert (words(found), found.dmarc, found.aligned) == (["policy"], "fail", ())


def test_sha1_proves_nothing(verdict: Ask, key: KeyPair) -> None:
    found = verdict(signed(a_mail(), "example.com", key[0], signature_algorithm=b"rsa-sha1"))
    assert (words(found), found.aligned) == (["policy"], ())


@pytest.mark.parametrize(("bits", "result"), [(768, "policy"), (1024, "pass"), (2048, "pass"), (3072, "pass")])
def test_a_weak_key_proves_nothing(
    verdict: Ask, world: World, make_key: Callable[[int], KeyPair], bits: int, result: str
) -> None:
    made = make_key(bits)
    world.add("k._domainkey.example.com", "TXT", made[1])
    assert words(verdict(signed(a_mail(), "example.com", made[0], "k"))) == [result]


@pytest.mark.parametrize(
    ("modulus", "exponent", "result"),
    [
        (2**4096 - 1, 65537, "fail"), (2**4096 - 1, 2**32 - 1, "fail"), (2**4096, 65537, "policy"),
        (2**4096 - 1, 2**4095, "policy"), (0, 3, "policy"), (2**1024 - 1, 0, "fail"),
    ],
)  # fmt: skip
def test_a_key_that_costs_much_is_not_computed(
    verdict: Ask, world: World, key: KeyPair, modulus: int, exponent: int, result: str
) -> None:
    """These keys verify nothing; at those that are refused, that is not tried."""
    world.add("k._domainkey.example.com", "TXT", b"p=" + base64.b64encode(der(modulus, exponent)))
    assert words(verdict(signed(a_mail(), "example.com", key[0], "k"))) == [result]


def der(modulus: int, exponent: int) -> bytes:
    """An RSAPublicKey (RFC 8017 appendix A.1.1)."""
    numbers = [number.to_bytes(number.bit_length() // 8 + 1, "big") for number in (modulus, exponent)]
    inside = b"".join(b"\x02\x82" + len(number).to_bytes(2, "big") + number for number in numbers)
    return b"\x30\x82" + len(inside).to_bytes(2, "big") + inside


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("", "permerror"), ("v=spf1 exp=x.example -all", "permerror"), ("p=", "permerror"),
        ("v=DKIM2; p={}", "permerror"), ("p=!!!!", "permerror"), ("p=AAAA", "permerror"),
        ("k=rsa; h=sha1; p={}", "permerror"),
        ("p={}", "pass"), ("t=y; p={}", "policy"), ("t=s; p={}", "pass"), ("k=other; p={}", "fail"),
        ("p={}; p={}", "permerror"),
        ("k=ed25519; p=AAAA", "fail neutral"), ("p=" + "A" * 5000, "permerror"), ("s=other; p={}", "fail neutral"),
    ],
)  # fmt: skip
def test_what_a_key_record_says_is_kept_to(verdict: Ask, world: World, key: KeyPair, record: str, result: str) -> None:
    world.add("k._domainkey.example.com", "TXT", record.replace("{}", key[1].partition("p=")[2]))
    found = words(verdict(signed(a_mail(), "example.com", key[0], "k")))
    assert found[0] in result.split()


def test_two_keys_are_none(verdict: Ask, world: World, key: KeyPair) -> None:
    world.add("s1._domainkey.example.com", "TXT", "p=" + key[1].partition("p=")[2])
    assert words(verdict(signed(a_mail(), "example.com", key[0]))) == ["permerror"]


def test_a_key_that_cannot_be_had_now_is_no_failure(verdict: Ask, world: World, key: KeyPair) -> None:
    world.broken.add("s1._domainkey.example.com")
    found = verdict(signed(a_mail(), "example.com", key[0]))
    assert (words(found), found.dmarc, found.aligned) == (["temperror"], "temperror", ())


def test_ed25519_is_verified(verdict: Ask, world: World) -> None:
    nacl = pytest.importorskip("nacl.signing", reason="no PyNaCl: such signatures are neutral")
    made = nacl.SigningKey.generate()
    public = base64.b64encode(bytes(made.verify_key)).decode()
    world.add("ed._domainkey.example.com", "TXT", f"v=DKIM1; k=ed25519; p={public}")
    private = base64.b64encode(bytes(made))
    mail = signed(a_mail(), "example.com", private, "ed", signature_algorithm=b"ed25519-sha256")
    assert words(verdict(mail)) == ["pass"]
    assert words(verdict(mail.replace(b"three", b"four"))) == ["fail"]


def test_an_expired_signature_fails(verdict: Ask, key: KeyPair) -> None:
    """Its time is signed, but is looked at first."""
    mail = re.sub(rb" t=\d+;", b" t=1000; x=LAST;", signed(a_mail(), "example.com", key[0]))
    assert words(verdict(mail.replace(b"LAST", b"%d" % (time.time() - 60)))) == ["fail"]
    assert words(verdict(mail.replace(b"LAST", b"999"))) == ["neutral"]
    assert words(verdict(mail.replace(b"LAST", b"9" * 5000))) == ["neutral"]


def test_five_signatures_are_looked_at(verdict: Ask, world: World, key: KeyPair) -> None:
    mail = signed(a_mail(), "example.com", key[0])
    false = b"DKIM-Signature: v=1; a=rsa-sha256; d=d%d.example; s=s; h=from; bh=AAAA; b=AAAA\r\n"
    assert words(verdict(b"".join(false % number for number in range(4)) + mail)) == ["permerror"] * 4 + ["pass"]
    assert words(verdict(b"".join(false % number for number in range(99)) + mail)) == ["permerror"] * 5


HOSTILE = {
    "nothing": b"",
    "no tags": b"\xff\xfe;;;=;",
    "a million bytes": b"v=1; b=" + b"A" * 200_000,
    "white space": b"v=1; a=rsa-sha256; d=example.com; s=s1; h=from; bh=AAAA; b" + b"\r\n " * 2000 + b"!",
    "many fields": b"v=1; a=rsa-sha256; d=example.com; s=s1; bh=AAAA; b=AAAA; h=from" + b":x" * 3000,
    "no such algorithm": b"v=1; a=md5; d=example.com; s=s1; h=from; bh=AAAA; b=AAAA",
    "a foreign identity": b"v=1; a=rsa-sha256; d=example.com; i=a@bank.example; s=s1; h=from; bh=AAAA; b=AAAA",
    "no name": b"v=1; a=rsa-sha256; d=..; s=s1; h=from; bh=AAAA; b=AAAA",
    "no selector": b"v=1; a=rsa-sha256; d=example.com; s=a b/../\x00; h=from; bh=AAAA; b=AAAA",
    "no canonicalisation": b"v=1; a=rsa-sha256; c=x/y/z; d=example.com; s=s1; h=from; bh=AAAA; b=AAAA",
    "a future": b"v=1; a=rsa-sha256; t=99999999999; d=example.com; s=s1; h=from; bh=AAAA; b=AAAA",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("field", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_signature_is_neutral_and_costs_nothing(verdict: Ask, field: bytes) -> None:
    found = verdict(b"DKIM-Signature: " + field.replace(b"\x00", b"") + b"\r\n" + a_mail())
    assert (words(found), found.aligned) == (["neutral"], ())


BODIES = {"spaces": b" " * 2_000_000, "runs": (b" " * 998 + b"x\r\n") * 2000, "empty lines": b"\r\n" * 1_000_000,
          "single letters": b"a " * 1_000_000, "tabs and lines": b"\t\r\n" * 660_000}  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_made_to_be_slow_is_not(verdict: Ask, key: KeyPair, body: bytes) -> None:
    field = signed(a_mail(), "example.com", key[0], canonicalize=(b"relaxed", b"relaxed")).partition(b"Received:")[0]
    assert words(verdict(field + a_mail(body="") + body)) == ["fail"]


def test_a_mail_that_is_too_large_is_not_hashed(verdict: Ask, key: KeyPair) -> None:
    mail = signed(a_mail(body="x" * 70 + "\r\n"), "example.com", key[0])
    found = verdict(mail + b"y" * 2**21, "198.51.100.7", mail_from="ann@example.com")
    assert (words(found), found.spf, found.aligned) == (["neutral"], "pass", ("news.example.com", "example.com"))


def sealed(mail: bytes, key: bytes, relay: str = "example.com") -> bytes:
    """Passed on by a relay that checked it and sealed what it found."""
    checked = f"Authentication-Results: {relay}; spf=pass smtp.mailfrom=example.com\r\n".encode() + mail
    seals = dkim.arc_sign(checked, b"s1", relay.encode(), key, relay.encode())
    return b"".join(seals) + checked


def test_a_sealed_chain_is_reported_and_proves_nothing(verdict: Ask, key: KeyPair) -> None:
    mail = sealed(a_mail(), key[0])
    found = verdict(mail)
    assert (found.arc, found.aligned, found.dmarc) == ("pass", (), "fail")
    assert verdict(mail.replace(b"three", b"four")).arc == "fail"
    assert verdict(mail.replace(b"i=1", b"i=2")).arc == "fail"
    assert verdict(mail.replace(b"ARC-Seal: ", b"ARC-Seal: " + b"x" * 9000)).arc == "fail"


def test_a_seal_whose_key_cannot_be_had_now_is_no_failure(verdict: Ask, world: World, key: KeyPair) -> None:
    world.broken.add("s1._domainkey.example.com")
    assert verdict(sealed(a_mail(), key[0])).arc == "temperror"


def test_a_chain_without_end_is_not_followed(verdict: Ask, world: World) -> None:
    one = (
        b"ARC-Seal: i=%d; a=rsa-sha256; cv=pass; d=e%d.example; s=s; b=AAAA\r\n"
        b"ARC-Message-Signature: i=%d; a=rsa-sha256; d=e%d.example; s=s; h=from; bh=AAAA; b=AAAA\r\n"
        b"ARC-Authentication-Results: i=%d; e.example; none\r\n"
    )
    assert verdict(b"".join(one % ((number,) * 5) for number in range(1, 51)) + a_mail()).arc == "fail"
    assert not [name for name, _ in world.asked if name.startswith("s._domainkey")]
