"""Host names and mailboxes that strangers give us, in reverse DNS and RDAP, before we believe in them or write to
them. Stricter than the RFCs: what is refused here costs its owner a proof by another way. Pure."""

from __future__ import annotations

import re

from ..special import suffixes

__all__ = ["hostname", "mailbox", "same_mailbox"]

MAX_NAME = 253  # characters (RFC 1035 section 2.3.4)
MAX_LABELS = 16  # as of listed names (subjects.MAX_LABELS)
MAX_MAILBOX = 254  # characters (RFC 5321 section 4.5.3.1.3, erratum 1690)
# RFC 952 and RFC 1123 section 2.1; no underscores: such names are of services, not of hosts.
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
TOP = r"(?:xn--[a-z0-9-]{0,58}[a-z0-9]|[a-z]{2,63})"  # never numeric (RFC 3696 section 2)
HOST = re.compile(rf"(?:{LABEL}\.){{1,{MAX_LABELS - 1}}}{TOP}")
# No quotes, and none of ! % / | ` and the like, which mail software of some places gives a meaning of its own; nor a
# hyphen first, which a program behind a mail server may take for an option.
LOCAL = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9_][A-Za-z0-9_+='-]*(?:\.[A-Za-z0-9_+='-]+)*")
# Where no mail goes: the tree of reverse names, and RFC 6761, RFC 6762, RFC 7686, RFC 9476 and what is named internal.
NO_MAIL = frozenset(("alt", "arpa", "internal", "invalid", "local", "localhost", "onion"))


def hostname(text: str) -> str | None:
    """A host's name that mail could go to, in lower case without a final dot; None: it is none. A public suffix (co.uk)
    is a registry's, and not a host of its customers."""
    name = text.lower().removesuffix(".")
    if len(name) > MAX_NAME or not HOST.fullmatch(name) or name.rpartition(".")[2] in NO_MAIL:
        return None
    return None if suffixes().is_public(name) else name


def mailbox(text: str) -> str | None:
    """A mail address, its domain in lower case; None: it is none that we write to."""
    local, _, domain = text.rpartition("@")
    host = hostname(domain)
    if host is None or not LOCAL.fullmatch(local) or len(local) + 1 + len(host) > MAX_MAILBOX:
        return None
    return f"{local}@{host}"


def same_mailbox(address: str) -> str:
    """What mail to a mailbox is counted under: case and a `+tag` do not make another mailbox of it."""
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}".lower()
