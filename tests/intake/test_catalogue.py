"""The catalogue: every feed is a declaration that loads, a format that is there, and a sample of what it gives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dnsbl import config
from dnsbl.config.load import read_directory
from dnsbl.intake.formats import FORMATS, FormatOptions, parse

ROOT = Path(__file__).resolve().parents[2]
MISTAKES: list[str] = []
FEEDS = read_directory(ROOT, Path("feeds"), "feeds", config.FeedDef, MISTAKES)
LIST_AT = 60  # the default policy
HELD = 0.9375  # of its trust: what an entry with one hit, held by its feed, scores

# feed -> sample in its form, subjects, rejects
SAMPLES = {
    "binary-defense": ("oxl-dynamic.txt", 20, 0),
    "blocklist-de-all": ("oxl-dynamic.txt", 20, 0),
    "blocklist-de-mail": ("oxl-dynamic.txt", 20, 0),
    "blocklist-de-ssh": ("oxl-dynamic.txt", 20, 0),
    "cins-army": ("oxl-dynamic.txt", 20, 0),
    "circl-osint": ("misp-event.json", 2, 1),
    "disposable-email-domains": ("disposable-email-domains.txt", 15, 0),
    "disposable-phones": ("disposable-phone-numbers.json", 3, 1),
    "dshield": ("dshield.txt", 2, 1),
    "et-compromised": ("oxl-dynamic.txt", 20, 0),
    "feodo-tracker": ("feodo.csv", 2, 0),
    "feodo-tracker-json": ("feodo.json", 2, 0),
    "firehol-level1": ("oxl-dynamic.txt", 20, 0),
    "greensnow": ("oxl-dynamic.txt", 20, 0),
    "ipsum": ("ipsum.txt", 20, 0),
    "matomo-referrer-spam": ("referrer-spam-domains.txt", 15, 0),
    "openphish": ("urls.txt", 3, 1),
    "oxl-dynamic": ("oxl-dynamic.txt", 20, 0),
    "oxl-hosting": ("oxl-dynamic.txt", 20, 0),
    "phishtank": ("urlhaus.csv", 3, 1),
    "spamhaus-asn-drop": ("asndrop.json", 2, 0),
    "spamhaus-drop": ("drop_v4.json", 2, 0),
    "spamhaus-dropv6": ("drop_v4.json", 2, 0),
    "sslbl": ("sslbl.csv", 2, 0),
    "stopforumspam-toxic": ("oxl-dynamic.txt", 20, 0),
    "talos": ("oxl-dynamic.txt", 20, 0),
    "threatfox": ("threatfox.csv", 3, 1),
    "threatfox-json": ("threatfox.json", 4, 1),
    "tor-exits": ("oxl-dynamic.txt", 20, 0),
    "urlhaus": ("urlhaus.csv", 3, 1),
    "urlhaus-domains": ("urlhaus-domains.txt", 24, 0),
    "urlhaus-json": ("urlhaus.json", 3, 1),
    "warninglist-cloudflare": ("warninglist-gmail.json", 8, 0),
    "warninglist-cloudflare-top10k": ("warninglist-shorteners.json", 12, 0),
    "warninglist-gmail": ("warninglist-gmail.json", 8, 0),
    "warninglist-moz-top500": ("warninglist-shorteners.json", 12, 0),
    "warninglist-office365": ("warninglist-gmail.json", 8, 0),
    "warninglist-public-suffixes": ("warninglist-shorteners.json", 12, 0),
    "warninglist-resolvers4": ("warninglist-gmail.json", 8, 0),
    "warninglist-resolvers6": ("warninglist-gmail.json", 8, 0),
    "warninglist-shorteners": ("warninglist-shorteners.json", 12, 0),
    "warninglist-smtp-receivers": ("warninglist-gmail.json", 8, 0),
    "warninglist-smtp-senders": ("warninglist-gmail.json", 8, 0),
}


def test_the_catalogue_is_what_a_configuration_loads(tmp_path):
    (tmp_path / "zones").mkdir()
    path = tmp_path / "dnsbl.toml"
    path.write_text(f'zones_dir = "zones"\nfeeds_dir = "{ROOT / "feeds"}"\n')
    assert config.load(path).feeds == FEEDS


def test_the_catalogue_has_no_mistakes_and_every_feed_a_sample():
    assert MISTAKES == []
    assert set(SAMPLES) == set(FEEDS)
    assert len(FEEDS) >= 18


@pytest.mark.parametrize("name", SAMPLES)
def test_a_feed_reads_its_sample(name):
    feed, (sample, subjects, rejects) = FEEDS[name], SAMPLES[name]
    options = FormatOptions.of(feed, networks_of=lambda asn: [b"4" + asn.to_bytes(4, "big") + b"\x20"])
    parsed = parse((ROOT / "tests" / "samples" / sample).read_bytes(), feed.format, options)
    assert (len(parsed.hits), parsed.rejected) == (subjects, rejects)
    assert all(word in feed.map for word in parsed.words.values()), "a word of the feed that its map does not know"


@pytest.mark.parametrize("name", SAMPLES)
def test_a_declaration_is_whole(name):
    feed = FEEDS[name]
    assert feed.format in FORMATS
    assert feed.exempt == FORMATS[feed.format].exempt
    assert feed.licence
    assert feed.terms
    assert feed.homepage.startswith("https://")
    assert feed.period >= 3600, "public lists ask not to be pulled more than once an hour"
    assert feed.enabled or feed.why_off
    assert not (feed.redistribute and feed.licence == "not stated")


def test_only_what_may_be_passed_on_or_says_nothing_is_on():
    silent = {"blocklist-de-mail", "blocklist-de-ssh", "cins-army", "tor-exits"}
    assert {name for name, feed in FEEDS.items() if feed.enabled and not feed.redistribute} == silent


def test_no_aggregate_or_second_rate_feed_lists_alone():
    alone = {name for name, feed in FEEDS.items() if not feed.exempt and feed.trust * HELD * 100 >= LIST_AT}
    assert alone == {
        "spamhaus-drop",
        "spamhaus-dropv6",
        "feodo-tracker",
        "disposable-email-domains",
        "disposable-phones",
    }


def test_an_aggregate_never_lists_alone_however_many_lists_it_counts():
    assert all(feed.trust * 100 <= LIST_AT for feed in FEEDS.values() if feed.family == "aggregate")


def test_feeds_that_copy_one_another_are_one_family():
    for names in (
        ("spamhaus-drop", "spamhaus-dropv6", "spamhaus-asn-drop"),
        ("ipsum", "firehol-level1"),
        ("blocklist-de-mail", "blocklist-de-ssh", "blocklist-de-all"),
        ("urlhaus", "urlhaus-json", "urlhaus-domains", "threatfox", "threatfox-json", "feodo-tracker", "sslbl"),
    ):
        assert len({FEEDS[name].family for name in names}) == 1


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ipsum", "lists/ipsum-2026-08-22.txt"),
        ("oxl-dynamic", "lists/dynamic-nets.txt"),
        ("oxl-hosting", "lists/hosting-nets.txt"),
        ("urlhaus-domains", "lists/urlhaus-domains.txt"),
        ("disposable-email-domains", "lists/disposable-email-domains.txt"),
        ("disposable-phones", "lists/disposable-phone-numbers.csv"),
        ("matomo-referrer-spam", "lists/referrer-spam-domains.txt"),
        ("warninglist-gmail", "warninglists/google-gmail-sending-ips.json"),
        ("warninglist-office365", "warninglists/microsoft-office365-ip.json"),
        ("warninglist-smtp-senders", "warninglists/smtp-sending-ips.json"),
        ("warninglist-smtp-receivers", "warninglists/smtp-receiving-ips.json"),
        ("warninglist-resolvers4", "warninglists/public-dns-v4.json"),
        ("warninglist-resolvers6", "warninglists/public-dns-v6.json"),
        ("warninglist-cloudflare", "warninglists/cloudflare.json"),
        ("warninglist-shorteners", "warninglists/url-shortener.json"),
        ("warninglist-moz-top500", "warninglists/moz-top500.json"),
    ],
)
def test_real_content_is_well_above_a_feeds_floor(name, path):
    data = Path(os.environ.get("DNSBL_DATA", ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        pytest.skip(f"no real input at {data}: set DNSBL_DATA")
    feed = FEEDS[name]
    parsed = parse((data / path).read_bytes(), feed.format, FormatOptions.of(feed))
    assert len(parsed.hits) >= 2 * feed.min_entries
    assert parsed.rejected <= 1
