"""What somebody who is listed should mend first, by what was seen. Marked for the catalogue; a test holds the table
against the categories of `dnsbl.model`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..phrases import N_

__all__ = ["ADVICE", "Advice", "advice_for"]


class Advice(NamedTuple):
    """What to do about some categories, where they concern these kinds of subjects (empty: all)."""

    categories: frozenset[str]
    kinds: tuple[str, ...]
    title: str
    text: str


def advice_for(kind: str, categories: Iterable[str]) -> list[Advice]:
    """What to do about what was seen, the most urgent first; each piece once."""
    seen = set(categories)
    return [each for each in ADVICE if seen & each.categories and (not each.kinds or kind in each.kinds)]


ADVICE = (  # the most urgent first
    Advice(
        frozenset(("hijacked",)),
        (),
        N_("Put the ownership of the network right"),
        N_(
            "The network as a whole is listed, not your machine alone. If you rent there, ask your provider, or "
            "move. If it is yours, correct its records at the registry and its routing (IRR, RPKI), and write to "
            "us as its owner."
        ),
    ),
    Advice(
        frozenset(("malware", "botnet")),
        ("ip", "e164"),
        N_("Find the infected machine"),
        N_(
            "Some machine behind this address is infected. Let only your mail server connect to port 25 outside, "
            "and look in the firewall's log for whoever else tries. Clean or reinstall that machine, look at "
            "routers, cameras and telephones too, and change every password that was used on them."
        ),
    ),
    Advice(
        frozenset(("proxy",)),
        (),
        N_("Close the open relay or proxy"),
        N_(
            "Let the mail server relay for your own networks and for users who signed in, and for nobody else. "
            "Look for proxies (SOCKS, HTTP, VPN, Tor exits) that strangers can reach, in routers too. Change the "
            "passwords of mail accounts that send from many places at once."
        ),
    ),
    Advice(
        frozenset(("phishing", "malware", "botnet")),
        ("domain", "hash"),
        N_("Clean the web site or account"),
        N_(
            "Take the page or file away and find out how it came there: an old content management system or plug- "
            "in, a stolen password, an open upload. Update everything, change all passwords, and look for pages, "
            "scheduled jobs and DNS records that you did not make. If the name was registered for this, it stays "
            "listed."
        ),
    ),
    Advice(
        frozenset(("phishing",)),
        ("ip",),
        N_("Take the phishing down"),
        N_(
            "Find the web site or the mail account that is misused on this address and close it. Update what runs "
            "the sites there, and change the passwords of their owners."
        ),
    ),
    Advice(
        frozenset(("abused-legitimate",)),
        (),
        N_("Stop others from abusing your site"),
        N_(
            "Look for open redirects, forms that send mail to anyone, shorteners, uploads and guest pages that "
            "strangers fill. Close them or let only users who signed in use them, and give abuse reports an "
            "address that is read."
        ),
    ),
    Advice(
        frozenset(("brute-force", "scanner", "attack")),
        (),
        N_("Stop the attacks that start here"),
        N_(
            "Look which program makes many outgoing connections (to SSH, mail, web or telephone ports). Mostly it "
            "is a break-in: reinstall, change keys and passwords. If it is research, say who you are in the "
            "reverse name and on a page at the address, and let people opt out."
        ),
    ),
    Advice(
        frozenset(("spam-trap",)),
        (),
        N_("Clean the address lists"),
        N_(
            "Addresses that never asked for anything are on a list that is sent from here: bought, guessed, or "
            "very old. Send only to people who confirmed that they want it, drop addresses that bounced or have "
            "not answered for a year, and never add any from the web. We do not say which addresses are traps."
        ),
    ),
    Advice(
        frozenset(("snowshoe",)),
        (),
        N_("Send from few addresses, under one name"),
        N_(
            "Bulk mail from many addresses with changing names looks like an attempt to hide. Send it from one or "
            "two addresses with stable reverse names, sign it (DKIM), and say in the registry's records who uses "
            "the network."
        ),
    ),
    Advice(
        frozenset(("spam", "newsletter", "spoofing", "other")),
        (),
        N_("Stop the spam where it starts"),
        N_(
            "Read the mail server's log for accounts or web forms that send far more than usual; block them and "
            "change their passwords. Limit what each account may send in an hour. Bulk mail needs a confirmed "
            "request and a way out by one click; sign it and publish SPF, DKIM and DMARC."
        ),
    ),
    Advice(
        frozenset(("bounce",)),
        (),
        N_("Refuse mail at once instead of bouncing it later"),
        N_(
            "Let the mail server say no while the sender is still connected: unknown recipients, full mailboxes, "
            "viruses. Turn off automatic replies to mail that is marked as spam or comes from a list."
        ),
    ),
    Advice(
        frozenset(("sms-spam", "voip-spam")),
        (),
        N_("Find out who uses the number"),
        N_(
            "If you do not call or write to strangers yourself, the number may be forged or the telephone system "
            "broken into: ask your operator, change the passwords of the system, and bar routes that you do not "
            "need."
        ),
    ),
    Advice(
        frozenset(("disposable", "referrer-spam")),
        ("domain",),
        N_("Say what the name is for"),
        N_(
            "If the name gives out throw-away addresses or is advertised by faked visits, it is rightly here. If "
            "that ended or never was so, ask for removal and say since when."
        ),
    ),
    Advice(
        frozenset(("dynamic", "hosting")),
        (),
        N_("Send through your provider"),
        N_(
            "Nothing bad was seen: mail is just not expected straight from here. Set your mail program or server "
            "to send through your provider's mail server, with your name and password (port 587 or 465). If you "
            "do run a mail server on a fixed address, give it a reverse name of its own and ask for an exemption "
            "of that one address."
        ),
    ),
)
