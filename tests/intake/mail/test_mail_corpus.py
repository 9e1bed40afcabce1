"""Real spam (SpamAssassin's corpus of 2002): the address and the names that a person would write down after reading."""

from __future__ import annotations

import base64
import email
import html
import re
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote

import pytest
from real_corpus import RELAYS

from dnsbl.errors import IntakeError
from dnsbl.intake.mail import BoxedMail, MailFacts, facts, last_hop, mailbox, sample

pytestmark = pytest.mark.data

NAMES_OF_RELAYS = ("dogma.slashnull.org", "jmason.org", "webnote.net", "phobos.labs", "lugh.tuatha.org", "zzzzason.org")

# Read by a person: who handed it to the receiving side, and where its links lead (footers of lists among them).
READ = {
    "00005": ("67.104.83.251", ["freeyankee.com", "qves.com", "linux.ie"], []),
    "00010": ("204.216.233.160", [], []),
    "00015": ("203.186.114.131", [], []),
    "00025": ("64.221.129.114", ["marketing-fashion.com"], ["61.129.68.17"]),
    "00035": ("203.133.92.249", ["hanmail.net", "daum.net", "ibd.pe.kr"], []),
    "00040": ("61.50.141.181", ["chinatop.net", "linux.ie"], []),
    "00050": ("217.41.84.233", ["insurancequotesource.com", "marketing-fashion.com"], []),
    "00060": ("200.69.146.130", ["50megs.com"], []),
    "00070": ("64.25.35.72", ["hostserve21.com"], []),
    "00075": ("213.9.245.86", ["cheapsmoking.com"], []),
    "00085": ("206.112.72.3", [], []),
    "00095": ("211.138.13.227", [], ["202.108.221.18"]),
    "00110": ("211.160.14.157", ["site-personals.com"], []),
    "00120": ("67.104.83.251", ["adclick.ws", "qves.com"], ["209.63.151.9"]),
    "00135": ("211.57.23.142", ["directwebstore.com"], []),
    "00140": ("211.251.139.129", ["site-personals.com", "linux.ie"], []),
    "00155": ("66.133.60.131", ["linux.ie"], []),
    "00160": ("217.88.208.175", ["terra.es"], []),
    "00185": ("80.1.156.192", ["qpas.co.uk"], []),
    "00195": ("203.28.36.132", ["sunshinehui.com"], []),
    "00244": ("195.174.130.247", ["yesilkart.org", "inphonic.com", "sourceforge.net"], []),
    "00325": ("203.181.105.170", ["vip-jp.net"], []),
    "00330": ("213.33.70.236", ["k1-web.com"], []),
    "00345": ("66.111.219.130", ["theadmanager.com", "admanmail.com"], []),
    "00355": ("63.111.238.7", [], ["202.101.163.34", "211.99.37.206", "211.98.24.90", "202.96.124.10"]),
    "00360": ("213.148.155.173", ["easygoingcompanion.com"], []),
    "00400": ("210.204.3.193", ["hellerwhirligigs.com", "linux.ie"], []),
    "00410": ("213.9.245.200", ["smokersassociation.co.uk", "linux.ie"], []),
    "00425": (
        "61.188.203.25",
        ["amsterdamcash.com", "5u.com", "redlightemail.com", "thinkgeek.com", "sourceforge.net"],
        [],
    ),
    "00435": ("80.35.221.210", ["secure-siteserver.com"], []),
    "00490": ("61.15.244.114", ["justaclick-supersite.com", "linux.ie"], []),
}
UNREAD = {
    "00245",  # written by a web page of sourceforge.net itself: nobody handed it over
    "00326",  # Smail's `from x from [address] by`: could be read in two ways
    "00327",
}

Spam = dict[str, BoxedMail]


@pytest.fixture(scope="module")
def spam(real_mail: Callable[[str], list[Path]]) -> Spam:
    return {path.name[:5]: mail for path in real_mail("spam-1") for mail in mailbox(path)}


@pytest.fixture(scope="module")
def found(spam: Spam) -> dict[str, MailFacts]:
    return {name: facts(mail.data, mail.recipients, mail.mail_from) for name, mail in spam.items()}


@pytest.mark.parametrize("name", READ)
def test_what_a_reader_would_write_down(spam: Spam, found: dict[str, MailFacts], name: str) -> None:
    address, domains, addresses = READ[name]
    assert last_hop(spam[name].data, None, RELAYS).address == address
    assert sorted(found[name].domains) == sorted(domains)
    assert found[name].addresses == addresses


def test_who_sent_all_of_it(spam: Spam) -> None:
    """Three mails name nobody; all others name an address of the Internet outside the receiving side."""
    unread = set()
    for name, mail in spam.items():
        try:
            hop = last_hop(mail.data, None, RELAYS)
        except IntakeError:
            unread.add(name)
            continue
        address = ip_address(hop.address)
        assert address.is_global, name
        assert not any(address in network for network in RELAYS), name
        line = next(line for line in received(mail.data) if hop.address in line)
        assert not line.startswith(tuple(f"from {relay}" for relay in NAMES_OF_RELAYS)), line
    assert unread == UNREAD


def received(data: bytes) -> list[str]:
    return [" ".join(str(value).split()) for value in email.message_from_bytes(data).get_all("received", [])]


def test_every_name_stands_in_the_mail(spam: Spam, found: dict[str, MailFacts]) -> None:
    for name, mail in spam.items():
        text = decoded(mail.data)
        for domain in found[name].domains:
            assert domain in text, name
        for url in found[name].urls:
            assert url.isascii(), name
            assert url.isprintable(), name


def decoded(data: bytes) -> str:
    """What a mail says, by the library of others: all it decodes, references and percent signs too."""
    texts = [data.decode("latin-1")]
    for part in email.message_from_bytes(data).walk():
        if not part.is_multipart():
            texts.append((part.get_payload(decode=True) or b"").decode("latin-1"))
            raw = re.sub(rb"[^A-Za-z0-9+/]", b"", str(part.get_payload()).encode("ascii", "ignore"))
            texts.append(base64.b64decode(raw[: len(raw) // 4 * 4]).decode("latin-1"))
    text = html.unescape("\n".join(texts))
    return (text + unquote(text, "latin-1")).lower()


def test_almost_all_of_it_can_be_acted_upon(found: dict[str, MailFacts]) -> None:
    silent = {name for name, fact in found.items() if not (fact.domains or fact.addresses or fact.emails)}
    assert len(silent) <= 12
    assert sum(bool(fact.domains or fact.addresses) for fact in found.values()) >= 380
    assert sum(fact.auto == "" for fact in found.values()) >= 495
    assert not any(fact.cut for fact in found.values())


def test_legitimate_mailings_call_themselves_so(real_mail: Callable[[str], list[Path]]) -> None:
    ham = [facts(mail.data, []) for path in real_mail("hard-ham-1") for mail in mailbox(path)]
    assert len(ham) == 250
    assert sum(fact.bulk for fact in ham) >= 50
    assert not any(fact.auto for fact in ham)


def test_a_sample_of_each_can_be_shown(spam: Spam, found: dict[str, MailFacts]) -> None:
    for name, mail in spam.items():
        shown = sample(mail.data, found[name], lambda text: "-")
        text = " ".join(shown.values()).lower()
        assert text.isprintable(), name
        for recipient in mail.recipients:
            assert recipient not in text, name
            assert recipient.partition("@")[0] not in text, name
            assert recipient.partition("@")[2] not in text, name
