"""How mail software is told to use the zones, as text to paste. Pure; the forms are those of `postconf(5)`, of rspamd's
rbl module and of SpamAssassin's DNSEval, URIDNSBL and HashBL plugins. None of them asks about telephone numbers, and
Postfix about no hashes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..config import ZoneDef

__all__ = ["operator_mail", "postfix", "rspamd", "spamassassin"]

RESTRICTIONS = {"ip": "reject_rbl_client", "domain": "reject_rhsbl_sender"}

# What an rspamd rule checks, by kind of zone: the label before the origin, which is in the symbol too; the settings.
RSPAMD: dict[str, dict[str, tuple[str, ...]]] = {
    "ip": {"": ('checks = ["from"];',)},
    "domain": {"": ('checks = ["urls", "emails", "dkim"];', "emails_domainonly = true;")},
    "hash": {
        "email": (
            'checks = ["emails", "replyto"];',
            "selector = \"from('smtp').lower;from('mime').lower\";",
            "emails_domainonly = false;",
            'hash = "sha1";',
        ),
        "file": ("selector = \"attachments('rbase32', 'sha256')\";",),
    },
    "e164": {},
}

# A SpamAssassin rule, by kind of zone and the label before the origin.
SPAMASSASSIN: dict[str, dict[str, tuple[str, ...]]] = {
    "ip": {"": ("header {rule} eval:check_rbl('{set}-lastexternal', '{zone}.', '{pattern}')",)},
    "domain": {"": ("urirhssub {rule} {zone}. A {code}", "body {rule} eval:check_uridnsbl('{rule}')")},
    "hash": {
        "email": (
            "header {rule} eval:check_hashbl_emails('{zone}', 'sha1/notag/noquote/max=10/shuffle', '', '{pattern}')",
        ),
        "file": ("body {rule} eval:check_hashbl_attachments('{zone}', 'sha256/max=10/shuffle', '{pattern}')",),
        "url": ("header {rule} eval:check_hashbl_uris('{zone}', 'sha1/max=10/shuffle', '{pattern}')",),
    },
    "e164": {},
}


def postfix(zones: Iterable[ZoneDef]) -> str:
    """Restrictions for main.cf. White lists are left out: they are to score with, not to accept by."""
    lines = ["smtpd_recipient_restrictions =", "    permit_mynetworks,", "    reject_unauth_destination"]
    for zone in zones:
        if zone.policy.exempt and zone.kind in RESTRICTIONS:
            for answers in filters(code.code for code in zone.codes):
                lines[-1] += ","
                lines.append(f"    {RESTRICTIONS[zone.kind]} {zone.origin}={answers}")
    return "\n".join(lines)


def filters(codes: Iterable[str]) -> list[str]:
    """Codes as Postfix patterns: those that differ in the last number only are one."""
    tails: dict[str, list[int]] = {}
    for code in codes:
        head, _, tail = code.rpartition(".")
        tails.setdefault(head, []).append(int(tail))
    return [f"{head}.{set_of(sorted(found))}" for head, found in tails.items()]


def set_of(numbers: list[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"[{';'.join(map(str, numbers))}]"


def rspamd(zones: Iterable[ZoneDef]) -> str:
    """local.d/rbl.conf: a symbol for each code."""
    lines = ["rbls {"]
    for zone in zones:
        for label, settings in RSPAMD[zone.kind].items():
            symbol = symbol_of(zone, label)
            lines += [
                f'  "{f"{zone.name}-{label}" if label else zone.name}" {{',
                f'    symbol = "{symbol}";',
                f'    rbl = "{name_of(zone, label)}";',
                *(f"    {setting}" for setting in settings),
                "    returncodes {",
                *(f'      {symbol}_{code.code.replace(".", "_")} = "{code.code}";' for code in zone.codes),
                "    }",
                "  }",
            ]
    return "\n".join([*lines, "}"])


def spamassassin(zones: Iterable[ZoneDef]) -> str:
    """Rules for local.cf: one for each code."""
    return "\n".join(line for zone in zones for line in rules(zone))


def rules(zone: ZoneDef) -> Iterator[str]:
    for label, forms in SPAMASSASSIN[zone.kind].items():
        asked = name_of(zone, label)
        for code in zone.codes:
            rule = f"{symbol_of(zone, label)}_{code.code.replace('.', '_')}"
            pattern = f"^{re.escape(code.code)}$"
            for form in forms:
                yield form.format(rule=rule, set=zone.name, zone=asked, code=code.code, pattern=pattern)
            yield f"describe {rule} Listed in {asked}: {', '.join(code.categories)}"
            yield f"tflags {rule} net"


def symbol_of(zone: ZoneDef, label: str) -> str:
    return "_".join(["DNSBL", zone.name, *([label] if label else [])]).upper().replace("-", "_")


def name_of(zone: ZoneDef, label: str) -> str:
    return f"_{label}.{zone.origin}" if label else zone.origin


def operator_mail(zone: ZoneDef) -> str:
    """The address of whoever answers for a zone: RNAME with its first dot as an @ (RFC 1035 section 3.3.13)."""
    local, _, domain = zone.soa.rname.partition(".")
    return f"{local}@{domain}"
