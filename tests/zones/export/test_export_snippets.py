"""Settings of mail servers and filters ask the zone right: by its codes, so that no error counts as a listing."""

from __future__ import annotations

import re

import pytest
from making import CODES, served, zone
from readers import body, text

from dnsbl.config import ZoneDef
from dnsbl.zones.export import FORMATS

SNIPPETS = ["postfix", "exim", "spamassassin", "rspamd"]
NOT_LISTED = [f"127.255.255.{last}" for last in range(250, 256)] + ["127.0.0.1", "127.10.0.2", "127.0.0.24"]
WHITE = [
    {"code": "127.0.5.1", "categories": ["mail-provider"]},
    {"code": "127.0.10.3", "categories": ["trusted-sender"]},
]


def settings(zone: ZoneDef, format: str) -> str:
    return "\n".join(body(served(zone, {}), format))


def in_pattern(pattern: str, code: str) -> bool:
    """Postfix's filter of a reply: octets, or several in brackets."""
    octets = [part.strip("[]").split(";") for part in re.findall(r"\[[^]]*\]|\d+", pattern)]
    return all(octet in choices for octet, choices in zip(code.split("."), octets, strict=True))


def matched(format: str, written: str, code: str) -> bool:
    """Whether what is written takes a code for a listing, by the rules of the program."""
    if format == "postfix":
        return any(in_pattern(pattern, code) for pattern in re.findall(r"=(127[\d.;\[\]]+)", written))
    if format == "exim":
        return any(code in found.split(",") for found in re.findall(r"=([\d.,]+)", written))
    if format == "rspamd":  # Lua: %. is a dot
        return any(re.search(f"^{p.replace('%.', chr(92) + '.')}$", code) for p in re.findall(r' = "(127.*)"', written))
    regexes = re.findall(r"'(\^127.*\$)'", written)
    exact = re.findall(r"^urirhssub .* A (\S+)$", written, re.M)
    return code in exact or any(re.search(regex, code) for regex in regexes)


@pytest.mark.parametrize("kind", ["ip", "domain", "hash"])
@pytest.mark.parametrize("format", SNIPPETS)
def test_only_the_codes_of_the_zone_count(format: str, kind: str) -> None:
    if kind not in FORMATS[format].kinds:
        return
    written = settings(zone(kind), format)
    assert all(matched(format, written, code) for code in CODES)
    assert not any(matched(format, written, code) for code in NOT_LISTED)
    assert f"{kind}.example" in written


@pytest.mark.parametrize(
    ("format", "right"),
    [
        ("postfix", ["ip.example=127.0.5.1*-3", "ip.example=127.0.10.3*-3"]),
        ("exim", ["warn\n", "ip.example=127.0.5.1,127.0.10.3\n"]),
        ("spamassassin", ["tflags DNSBL_IP_127_0_5_1 net nice", "score DNSBL_IP_127_0_5_1 -1.0"]),
        ("rspamd", ['DNSBL_IP_127_0_5_1 = "127%.0%.5%.1"']),
    ],
)
def test_a_white_list_refuses_nobody(format: str, right: list[str]) -> None:
    written = settings(zone("ip", codes=WHITE), format)
    for words in ("reject", "deny", "enforce"):
        assert words not in written
    for words in right:
        assert words in written


def test_postfix_has_one_filter_for_codes_alike_but_for_the_last_octet() -> None:
    written = settings(zone("ip"), "postfix")
    assert "    reject_rbl_client ip.example=127.0.0.[2;4;10]\n" in written
    assert "    ip.example=127.0.0.[2;4;10]*3" in written
    assert "reject_rhsbl_sender domain.example=127.0.0.[2;4;10]" in settings(zone("domain"), "postfix")


def test_names_are_asked_for_as_they_are_written() -> None:
    """The zone answers for all below a listed name: a part of a domain may be listed."""
    assert "net domains_only notrim" in settings(zone("domain"), "spamassassin")
    assert "url_full_hostname = true;" in settings(zone("domain"), "rspamd")


def test_mail_addresses_are_asked_for_by_their_hash() -> None:
    assert "eval:check_hashbl_emails('_email.hash.example', 'sha1/max=10'" in settings(zone("hash"), "spamassassin")
    written = settings(zone("hash"), "rspamd")
    assert 'rbl = "_email.hash.example";' in written and 'hash = "sha1";' in written


def test_only_who_hands_the_mail_over_is_asked_for() -> None:
    assert "check_rbl('dnsbl_ip-lastexternal', 'ip.example.'" in settings(zone("ip"), "spamassassin")
    assert 'checks = ["from"];' in settings(zone("ip"), "rspamd")


def test_settings_depend_on_the_definition_alone() -> None:
    for format in SNIPPETS:
        written = text(served(zone("ip", licence="CC0"), {}), format)
        assert written.startswith("# zone ip.example (ip)\n# licence: CC0\n")
        assert written == text(served(zone("ip", licence="CC0"), {"9.9.9.9": [0]}), format)
