"""For mail filters: rules of SpamAssassin, rspamd and Exim that ask this zone, and the code for which each is.

An address is asked for that handed the mail over (SpamAssassin: -lastexternal), not those further back: who sends by
his provider's relay from a dynamic address is no spammer. Names are asked for as they are written, as the zone answers
for all that is below a listed one.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...config import CodeDef, ZoneDef
from .codes import bad_codes, described, good, good_codes, head, symbol

__all__ = ["exim_lines", "rspamd_lines", "spamassassin_lines"]

NOTE = "Only the codes written here count: an answer such as 127.255.255.254 (refused, over quota) is no listing."
NOTE_SCORES = "The scores are a beginning: let it run with low ones and look at your log."
NOTE_EMAIL = "Only mail addresses: hashes of files and URLs are asked for by rules of your own."
SCORE = {False: 1.5, True: -1.0}  # by whether it says good: little, as it is somebody else's list


def notes(zone: ZoneDef, how: str) -> list[str]:
    return [how, NOTE, NOTE_SCORES, *([NOTE_EMAIL] if zone.kind == "hash" else [])]


# SpamAssassin


PLUGINS = {"ip": "DNSEval", "domain": "URIDNSBL", "hash": "HashBL"}


def spamassassin_lines(zone: ZoneDef) -> Iterator[str]:
    yield head(zone, notes(zone, "A file for /etc/mail/spamassassin."))
    plugin = f"Mail::SpamAssassin::Plugin::{PLUGINS[zone.kind]}"
    yield f"loadplugin {plugin}\nifplugin {plugin}\n"
    for code in zone.codes:
        name = symbol(zone, code)
        yield f"\n{RULES[zone.kind](zone, code, name)}describe {name} {zone.origin} {code.code}: {described(code)}\n"
        yield f"score {name} {SCORE[good(code)]}\n"
    yield "\nendif\n"


def address_rule(zone: ZoneDef, code: CodeDef, name: str) -> str:
    lookup = f"eval:check_rbl('{symbol(zone).lower()}-lastexternal', '{zone.origin}.', '{exactly(code)}')"
    return f"header {name} {lookup}\ntflags {name} net{nice(code)}\n"


def name_rule(zone: ZoneDef, code: CodeDef, name: str) -> str:
    flags = f"tflags {name} net domains_only notrim{nice(code)}\n"
    return f"urirhssub {name} {zone.origin}. A {code.code}\nbody {name} eval:check_uridnsbl('{name}')\n{flags}"


def hash_rule(zone: ZoneDef, code: CodeDef, name: str) -> str:
    options = f"'_email.{zone.origin}', 'sha1/max=10', 'ALLFROM/Reply-To/body', '{exactly(code)}'"
    return f"header {name} eval:check_hashbl_emails({options})\ntflags {name} net{nice(code)}\n"


RULES = {"ip": address_rule, "domain": name_rule, "hash": hash_rule}


def exactly(code: CodeDef) -> str:
    """A regular expression for one code."""
    return f"^{code.code.replace('.', chr(92) + '.')}$"


def nice(code: CodeDef) -> str:
    return " nice" if good(code) else ""


# rspamd


CHECKS = {
    "ip": ('checks = ["from"];', "ipv6 = true;"),
    "domain": (
        'checks = ["urls", "emails", "replyto", "dkim", "helo", "rdns"];',
        "emails_domainonly = true;",
        "url_full_hostname = true;",
        "no_ip = true;",
    ),
    "hash": ('checks = ["emails", "replyto"];', "emails_domainonly = false;", 'hash = "sha1";'),
}


def rspamd_lines(zone: ZoneDef) -> Iterator[str]:
    how = "For /etc/rspamd/local.d/rbl.conf; the scores at the end are for local.d/rbl_group.conf."
    yield head(zone, notes(zone, how))
    origin = f"_email.{zone.origin}" if zone.kind == "hash" else zone.origin
    lines = [f'rbl = "{origin}";', f'symbol = "{symbol(zone)}";', "ignore_defaults = true;", "unknown = false;"]
    yield f'rbls {{\n  "{symbol(zone)}" {{\n' + "".join(f"    {line}\n" for line in [*lines, *CHECKS[zone.kind]])
    yield "    returncodes {\n"
    yield "".join(f'      {symbol(zone, code)} = "{lua_pattern(code)}";\n' for code in zone.codes)
    yield "    }\n  }\n}\n\n# symbols = {\n"
    for code in zone.codes:
        yield f'#   "{symbol(zone, code)}" {{ weight = {SCORE[good(code)]}; description = "{described(code)}"; }}\n'
    yield "# }\n"


def lua_pattern(code: CodeDef) -> str:
    return code.code.replace(".", "%.")


# Exim


WHEN = {"ip": "", "domain": "  !senders = :\n"}  # bounces have no domain
ASKED = {"ip": "", "domain": "/$sender_address_domain"}
MESSAGE = "$dnslist_text (${if def:dnslist_matched {$dnslist_matched}{$sender_host_address}} in $dnslist_domain)"


def exim_lines(zone: ZoneDef) -> Iterator[str]:
    """Statements for an ACL."""
    yield head(zone, [*EXIM_NOTES, NOTE])
    if bad := bad_codes(zone):
        yield f"deny\n{WHEN[zone.kind]}  message = {MESSAGE}\n  dnslists = {asked(zone, bad)}\n"
    if trusted := good_codes(zone):
        yield f"warn\n{WHEN[zone.kind]}  dnslists = {asked(zone, trusted)}\n"
        yield "  set acl_c_known_good = $dnslist_domain=$dnslist_value\n"


EXIM_NOTES = (
    "Statements for acl_smtp_rcpt, after those that let your own users through. Who is listed as good is only",
    "marked in a variable for your own statements: never accepted by that alone.",
)


def asked(zone: ZoneDef, codes: list[CodeDef]) -> str:
    """A condition that is true for these codes alone."""
    return f"{zone.origin}={','.join(code.code for code in codes)}{ASKED[zone.kind]}"
