"""Return codes as the settings of other programs name them. Pure.

Every setting names the codes that are listings. What else a zone may answer (127.255.255.x: refused, over quota, an
open resolver; RFC 5782 section 2.1 leaves them to the list) then never counts as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...config import CodeDef, ZoneDef
from ...model import CATEGORIES, WHITE

__all__ = ["bad_codes", "described", "good", "good_codes", "head", "patterns", "symbol"]

OTHERS = re.compile(r"[^A-Z0-9]+")


def head(zone: ZoneDef, notes: Iterable[str]) -> str:
    """What a file of settings is. It depends on the zone's definition alone, not on what is listed at the time."""
    lines = [f"zone {zone.origin} ({zone.name})", *([f"licence: {zone.licence}"] if zone.licence else []), *notes]
    return "".join(f"# {line}\n" for line in lines)


def good(code: CodeDef) -> bool:
    """Whether it says good of what is listed (white lists)."""
    return WHITE.issuperset(code.categories)


def bad_codes(zone: ZoneDef) -> list[CodeDef]:
    return [code for code in zone.codes if not good(code)]


def good_codes(zone: ZoneDef) -> list[CodeDef]:
    return [code for code in zone.codes if good(code)]


def patterns(codes: Iterable[CodeDef]) -> list[str]:
    """Codes as Postfix's filters, one for all that differ in the last octet only: 127.0.0.[2;4;10]."""
    by_start: dict[str, list[str]] = {}
    for code in codes:
        start, _, last = code.code.rpartition(".")
        by_start.setdefault(start, []).append(last)
    return [
        f"{start}.{lasts[0]}" if len(lasts) == 1 else f"{start}.[{';'.join(lasts)}]"
        for start, lasts in by_start.items()
    ]


def symbol(zone: ZoneDef, code: CodeDef | None = None) -> str:
    """The name of a rule: DNSBL_IP_127_0_0_2; without a code that of the zone."""
    return OTHERS.sub("_", f"DNSBL_{zone.name}{f'_{code.code}' if code else ''}".upper())


def described(code: CodeDef) -> str:
    """What it is given for, in words."""
    return "; ".join(CATEGORIES[category] for category in code.categories)
