"""Settings for Postfix (postconf(5)) that ask a zone by DNS: in smtpd, and before it in postscreen."""

from __future__ import annotations

from collections.abc import Iterator

from ...config import CodeDef, ZoneDef
from .codes import bad_codes, good_codes, head, patterns

__all__ = ["lines"]

NOTES = (
    "Settings for main.cf that ask this zone by DNS. Take what you need into the lists you have: a second line of the",
    "same name takes the place of the first. Only the codes written here count: an answer such as 127.255.255.254",
    "(refused, over quota) is no listing. The number after * is a weight: begin low and look at your log.",
)


def lines(zone: ZoneDef) -> Iterator[str]:
    yield head(zone, NOTES)
    yield from (by_address if zone.kind == "ip" else by_name)(zone)


def by_address(zone: ZoneDef) -> Iterator[str]:
    """Who is listed as good is only weighed against the rest: never accepted by that alone."""
    bad = filters(zone, bad_codes(zone))
    if bad:
        yield "postscreen_dnsbl_action = enforce\npostscreen_dnsbl_threshold = 3\n"
        yield restrictions([f"reject_rbl_client {one}" for one in bad])
    yield setting(
        "postscreen_dnsbl_sites",
        [*(f"{one}*3" for one in bad), *(f"{one}*-3" for one in filters(zone, good_codes(zone)))],
    )


def by_name(zone: ZoneDef) -> Iterator[str]:
    kinds = ("reject_rhsbl_client", "reject_rhsbl_reverse_client", "reject_rhsbl_helo", "reject_rhsbl_sender")
    bad = filters(zone, bad_codes(zone))
    if bad:
        yield restrictions([f"{kind} {one}" for kind in kinds for one in bad])


def restrictions(checks: list[str]) -> str:
    return setting("smtpd_recipient_restrictions", ["permit_mynetworks", "reject_unauth_destination", *checks])


def filters(zone: ZoneDef, codes: list[CodeDef]) -> list[str]:
    """The zone with each pattern of codes, as postconf(5) writes them: bl.example=127.0.0.[2;4;10]."""
    return [f"{zone.origin}={pattern}" for pattern in patterns(codes)]


def setting(name: str, values: list[str]) -> str:
    return f"{name} =\n    " + ",\n    ".join(values) + "\n" if values else ""
