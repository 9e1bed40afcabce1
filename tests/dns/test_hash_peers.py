"""What SpamAssassin asks of a hash zone, by the rules that our pages tell people, is what `hashing` makes of the thing.

A message has an address, a URL and an attachment; each is listed by the key that our functions make of it, and its rule
hits. Without that listing no rule does.
"""

import asyncio
import shutil
from collections import namedtuple
from email.message import EmailMessage

import pytest
from clients import serving
from fake import FakeView, domain_zone, hash_zone, ip_zone, phone_zone

from dnsbl.config import DnsConfig
from dnsbl.dns.answer import Answerer
from dnsbl.hashing import email_hash, file_hash, url_hash
from dnsbl.subjects import zone_name
from dnsbl.web.usage import spamassassin

pytestmark = pytest.mark.peer

SECONDS = 60
ATTACHMENT = b"MZ\x90\0 not a program"
PLUGINS = ("Check", "DNSEval", "HashBL", "URIDNSBL")
# Its own rules are not read: they ask others. Senders in no top-level domain that it knows are skipped.
SETTINGS = """
util_rb_tld org
use_bayes 0
dns_available yes
dns_server {host}:{port}
fold_headers 0
add_header all Hits _TESTS_
"""

Things = namedtuple("Things", "address url content")
LISTED = Things("Evil.Person+tag@Mail.Spam.org", "http://Shop.Spam.org/Buy?Id=7#X", ATTACHMENT)
RULES = ("DNSBL_HASH_EMAIL_127_0_1_2", "DNSBL_HASH_URL_127_0_1_2", "DNSBL_HASH_FILE_127_0_1_4")


def message():
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = LISTED.address, "joe@mail.example", "Buy"
    made["Date"], made["Message-ID"] = "Thu, 01 Jan 2026 00:00:00 +0000", "<1@mail.spam.org>"
    made.set_content(f"See {LISTED.url} today\n")
    made.add_attachment(LISTED.content, maintype="application", subtype="octet-stream", filename="a.exe")
    return made.as_bytes()


def names(things, codes):
    keys = email_hash(things.address), url_hash(things.url), file_hash(things.content)
    return {
        ".".join(reversed(zone_name(key).decode().split("."))): [code] for key, code in zip(keys, codes, strict=True)
    }


async def run(directory, address, zones, *arguments):
    """What SpamAssassin says to the message, with our rules for these zones and no others."""
    if shutil.which("spamassassin") is None:
        pytest.skip("spamassassin is not installed")
    host, port = address
    loads = "".join(f"loadplugin Mail::SpamAssassin::Plugin::{plugin}\n" for plugin in PLUGINS)
    (directory / "a.pre").write_text(loads)
    (directory / "a.cf").write_text(SETTINGS.format(host=host, port=port) + spamassassin(zones) + "\n")
    process = await asyncio.create_subprocess_exec(
        "spamassassin", "-C", directory, f"--siteconfigpath={directory}", "-x", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "HOME": str(directory)},
    )  # fmt: skip
    async with asyncio.timeout(SECONDS):
        output, errors = await process.communicate(message())
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def hits(directory, listed):
    """The rules that hit, as SpamAssassin says."""
    zone = hash_zone()
    async with serving(Answerer([FakeView(zone, names=listed)], DnsConfig())) as server:
        output = await run(directory, server.addresses[0], [zone], "-t")
    [said] = [line for line in output.splitlines() if line.startswith("X-Spam-Hits: ")]
    return set(said.removeprefix("X-Spam-Hits: ").split(",")) - {"none"}


async def test_spamassassin_asks_for_the_names_that_we_list(tmp_path):
    assert await hits(tmp_path, names(LISTED, [0, 0, 1])) == set(RULES)


async def test_spamassassin_finds_nothing_in_a_zone_without_them(tmp_path):
    others = Things("person@mail.spam.org", "http://shop.spam.org/", ATTACHMENT + b"x")
    assert await hits(tmp_path, names(others, [0, 0, 1])) == set()


async def test_spamassassin_takes_the_rules_for_zones_of_every_kind(tmp_path):
    await run(tmp_path, ("127.0.0.1", 53), [ip_zone(), domain_zone(), hash_zone(), phone_zone()], "--lint")
