"""What people are told of zones that list neither addresses nor names."""

from test_web_pages import page, zone
from website import serving

from dnsbl.hashing import email_hash
from dnsbl.subjects import text
from dnsbl.web import usage

HASH = zone(kind="hash", origin="hash.example")
PHONE = zone(kind="e164", origin="tel.example")


def test_postfix_asks_neither_about_hashes_nor_about_numbers():
    assert usage.postfix([HASH, PHONE]) == usage.postfix([])


def test_rspamd_asks_about_addresses_and_files_by_their_hashes():
    told = usage.rspamd([HASH, PHONE])
    assert 'rbl = "_email.hash.example";' in told and 'rbl = "_file.hash.example";' in told
    assert 'DNSBL_MY_ZONE_FILE_127_0_1_9 = "127.0.1.9";' in told
    assert "tel.example" not in told


def test_spamassassin_has_a_rule_for_each_code():
    assert usage.spamassassin([PHONE]) == ""
    told = usage.spamassassin([zone(), zone(kind="domain", origin="dbl.example"), HASH])
    assert told.count("tflags ") == 2 + 2 + 3 * 2
    assert r"eval:check_rbl('my-zone-lastexternal', 'bl.example.', '^127\.0\.1\.9$')" in told
    assert "urirhssub DNSBL_MY_ZONE_127_0_1_9 dbl.example. A 127.0.1.9" in told


async def test_the_first_page_names_what_each_zone_lists(tmp_path):
    async with serving(tmp_path) as site:
        shown = await page(site, "/")
        for what in ("addresses ·", "domain names ·", "hashes ·", "telephone numbers ·"):
            assert what in shown.text
        assert "eval:check_hashbl_emails('_email.hash.dnsbl.test'" in shown.text


async def test_a_number_may_be_asked_for_as_a_text_in_dns_links_to_it(tmp_path):
    async with serving(tmp_path) as site:
        for path in ("/lookup?q=+4930123456", "/lookup?q=%2B49%2030-123456", "/lookup?q=tel:%2B4930123456"):
            assert "phone.dnsbl.test" in (await page(site, path)).text
        await page(site, "/lookup?q=4930123456", 400)


async def test_an_address_or_a_url_is_looked_up_by_its_hash(tmp_path):
    async with serving(tmp_path) as site:
        assert text(email_hash("joe@a.example")) in (await page(site, "/lookup?q=Joe%2Bx@A.example")).text
        assert "url:" in (await page(site, "/lookup?q=https://a.example/" + "x" * 400)).text
        await page(site, "/lookup?q=https://a.example/" + "x" * 2100, 400)
