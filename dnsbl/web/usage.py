"""How mail software is told to use the zones, as text to paste. Pure; the forms are those of `postconf(5)` and of
rspamd's rbl module."""

from __future__ import annotations

from collections.abc import Iterable

from ..config import ZoneDef

__all__ = ["operator_mail", "postfix", "rspamd"]


def postfix(zones: Iterable[ZoneDef]) -> str:
    """Restrictions for main.cf. White lists are left out: they are to score with, not to accept by."""
    lines = ["smtpd_recipient_restrictions =", "    permit_mynetworks,", "    reject_unauth_destination"]
    for zone in zones:
        if zone.policy.exempt:
            verb = "reject_rbl_client" if zone.kind == "ip" else "reject_rhsbl_sender"
            for answers in filters(code.code for code in zone.codes):
                lines[-1] += ","
                lines.append(f"    {verb} {zone.origin}={answers}")
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
        symbol = f"DNSBL_{zone.name.upper().replace('-', '_')}"
        checks = '["from"]' if zone.kind == "ip" else '["urls", "emails", "dkim"]'
        lines += [
            f'  "{zone.name}" {{',
            f'    symbol = "{symbol}";',
            f'    rbl = "{zone.origin}";',
            f"    checks = {checks};",
            *(["    emails_domainonly = true;"] if zone.kind == "domain" else []),
            "    returncodes {",
            *(f'      {symbol}_{code.code.replace(".", "_")} = "{code.code}";' for code in zone.codes),
            "    }",
            "  }",
        ]
    return "\n".join([*lines, "}"])


def operator_mail(zone: ZoneDef) -> str:
    """The address of whoever answers for a zone: RNAME with its first dot as an @ (RFC 1035 section 3.3.13)."""
    local, _, domain = zone.soa.rname.partition(".")
    return f"{local}@{domain}"
