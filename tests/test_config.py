"""Configuration: what comes with the program loads, and every mistake of every file is one clear line, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dnsbl.config import CodeDef, FeedDef, Settings, ZoneDef, load, parse_listen
from dnsbl.errors import ConfigError
from dnsbl.model import CATEGORIES

ZONE = """
origin = "bl.example"
kind = "ip"
ns = ["ns1.example"]
[[codes]]
code = "127.0.0.2"
categories = ["spam"]
"""
FEED = """
title = "A list"
url = "https://feeds.example/list.txt"
format = "plain"
category = "spam"
licence = "CC0-1.0"
"""
DAY = 86_400
SECRET = "e5e973e5a6b2a43f48e7dc849e37bfcf"  # of RFC 9018 appendix A


class Home:
    """A directory with a configuration."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "dnsbl.toml"
        self.write("dnsbl.toml", 'zones_dir = "zones"\nfeeds_dir = "feeds"\n')
        self.write("zones/ip.toml", ZONE)
        self.write("feeds/list.toml", FEED)

    def write(self, name: str, content: str | bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def load(self) -> Settings:
        return load(self.file)

    def mistakes(self) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self.load()
        assert all("\n" not in mistake for mistake in caught.value.mistakes)
        return caught.value.mistakes


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a configuration."""
    monkeypatch.delenv("DNSBL_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    if Path("/etc/dnsbl/dnsbl.toml").exists():
        pytest.skip("this machine has a configuration")
    return tmp_path


# what comes with the program


def test_without_a_configuration_the_bundled_zones_and_feeds_are_used(nowhere: Path) -> None:
    settings = load()
    assert settings.path is None
    assert settings.config.data_dir == Path("dnsbl-data")
    assert settings.config.dns.listen == ["127.0.0.1:5300"]
    assert settings.config.web.listen == "127.0.0.1:8053"
    assert {"ip", "domain"} <= set(settings.zones)
    assert len(settings.feeds) > 5


def test_bundled_zones_give_every_code_once_and_can_name_their_test_points(nowhere: Path) -> None:
    for name, zone in load().zones.items():
        assert zone.name == name
        assert zone.origin.endswith(".test")
        assert set(zone.categories) <= set(CATEGORIES)
        assert zone.policy.delist_at < zone.policy.list_at
        assert zone.mname == zone.ns[0]


def test_bundled_feeds_say_what_they_are(nowhere: Path) -> None:
    for name, feed in load().feeds.items():
        assert feed.name == name
        assert feed.licence
        assert feed.enabled or feed.why_off
        assert feed.trust < 1 or feed.exempt


# where it is found


def test_the_file_is_found_in_its_order(home: Home, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.write("other.toml", 'zones_dir = "zones"\nfeeds_dir = "feeds"\ndata_dir = "other"\n')
    assert load().path == Path("dnsbl.toml")
    monkeypatch.setenv("DNSBL_CONFIG", str(home.path / "other.toml"))
    assert load().path == home.path / "other.toml"
    assert load(home.file).path == home.file


def test_relative_paths_are_relative_to_the_file(home: Home) -> None:
    assert home.load().config.data_dir == home.path / "dnsbl-data"
    home.write("dnsbl.toml", 'zones_dir = "zones"\nfeeds_dir = "feeds"\ndata_dir = "/var/lib/dnsbl"\n')
    assert home.load().config.data_dir == Path("/var/lib/dnsbl")
    assert set(home.load().zones) == {"ip"}


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "dnsbl.toml")
    (mistake,) = caught.value.mistakes
    assert str(tmp_path / "dnsbl.toml") in mistake
    assert "No such file" in mistake


def test_everything_can_be_said(home: Home) -> None:
    home.write(
        "dnsbl.toml",
        """
        data_dir = "d"
        zones_dir = "zones"
        feeds_dir = "feeds"
        [store]
        url = "sqlite:///tmp/x"
        [dns]
        listen = ["127.0.0.1:5300", "[::1]:5300"]
        native = "off"
        transfer = ["10.0.0.0/8", "2001:db8::/32"]
        cookie_secrets = ["00112233445566778899aabbccddeeff", "FFEEDDCCBBAA99887766554433221100"]
        threads = 4
        query_log = "log/queries"
        query_log_rate = 10000
        [web]
        listen = "127.0.0.1:8053"
        public_url = "https://bl.example"
        [trap]
        listen = "127.0.0.1:2525"
        [[trap.addresses]]
        domain = "trap.example"
        class = "pristine"
        """,
    )
    config = home.load().config
    assert config.trap.addresses[0].class_ == "pristine"
    assert str(config.dns.transfer[1]) == "2001:db8::/32"
    assert config.dns.query_log == home.path / "log/queries"
    assert (config.dns.threads, config.dns.query_log_rate, len(config.dns.cookie_secrets)) == (4, 10_000, 2)


def test_the_query_log_is_off_unless_it_is_said_where(home: Home) -> None:
    assert home.load().config.dns.query_log is None
    dns(home, 'query_log = ""')
    assert home.load().config.dns.query_log is None
    dns(home, 'query_log = "/var/log/dnsbl/queries"')
    assert home.load().config.dns.query_log == Path("/var/log/dnsbl/queries")


def test_cookie_secrets_are_never_shown(home: Home) -> None:
    dns(home, f'cookie_secrets = ["{SECRET}"]')
    settings = home.load()
    assert settings.config.dns.cookie_secrets[0].get_secret_value() == SECRET
    for shown in (repr(settings), str(settings.config.dns), settings.model_dump_json(), str(settings.model_dump())):
        assert "cookie_secrets" in shown
        assert SECRET not in shown


def dns(home: Home, line: str) -> None:
    home.write("dnsbl.toml", f'zones_dir = "zones"\nfeeds_dir = "feeds"\n[dns]\n{line}\n')


# mistakes


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f'cookie_secrets = ["{SECRET}0"]', "dns.cookie_secrets.0: a cookie secret is 32 hex digits"),
        (f'cookie_secrets = ["{SECRET[:-1]}g"]', "dns.cookie_secrets.0: a cookie secret is 32 hex digits"),
        (f'cookie_secrets = ["{SECRET}", " {SECRET[1:]}"]', "dns.cookie_secrets.1: a cookie secret is 32 hex digits"),
        (f'cookie_secrets = "{SECRET}"', "dns.cookie_secrets: Input should be a valid list"),
        (f"cookie_secrets = [0x{SECRET[:12]}]", "dns.cookie_secrets.0: Input should be a valid string"),
        (f'cookie_secrets = [["{SECRET}"]]', "dns.cookie_secrets.0: Input should be a valid string"),
        (f"cookie_secrets = {[SECRET] * 5}", "dns.cookie_secrets: List should have at most 4 items"),
        (f'cookie_secret = "{SECRET}"', "dns.cookie_secret: no such setting"),
        (f'cookie_secrets = ["{SECRET}]', "not TOML"), (f"cookie_secrets = [{SECRET}]", "not TOML"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_cookie_secret_does_not_show_it(home: Home, line: str, what: str) -> None:
    dns(home, line)
    (mistake,) = home.mistakes()
    assert what in mistake
    assert SECRET[:12] not in mistake and str(int(SECRET[:12], 16)) not in mistake


@pytest.mark.parametrize(
    "line",
    [
        "threads = -1",
        "threads = 65",
        "query_log = 5",
        "query_log = false",
        "query_log_rate = 0",
        "query_log_rate = 10001",
    ],
)
def test_a_dns_setting_out_of_range_is_a_mistake(home: Home, line: str) -> None:
    dns(home, line)
    (mistake,) = home.mistakes()
    assert f"dns.{line.split(' ')[0]}: " in mistake


def test_all_mistakes_of_all_files_come_at_once(home: Home) -> None:
    home.write(
        "dnsbl.toml",
        'zones_dir = "zones"\nfeeds_dir = "feeds"\nspeed = 1\n[dns]\nlisten = ["nowhere"]\nudp_size = 9\n',
    )
    home.write("zones/ip.toml", ZONE + 'colour = "red"\n')
    home.write("zones/bad.toml", "origin = ")
    home.write("zones/two.toml", ZONE.replace("127.0.0.2", "128.0.0.1").replace('"spam"', '"spam", "nonsense"'))
    home.write("feeds/list.toml", FEED.replace("https:", "gopher:"))
    home.write("feeds/Bad Name.toml", FEED)
    found = home.mistakes()
    for where, what in [
        ("dnsbl.toml", "speed: no such setting"),
        ("dnsbl.toml", "dns.listen.0: not an address and port"),
        ("dnsbl.toml", "dns.udp_size"),
        ("zones/ip.toml", "colour: no such setting"),
        ("zones/bad.toml", "not TOML"),
        ("zones/two.toml", "127.0.0.0/8, not 128.0.0.1"),
        ("zones/two.toml", "unknown category nonsense"),
        ("feeds/list.toml", "https, http or file"),
        ("feeds/Bad Name.toml", "the file's name"),
    ]:
        assert [m for m in found if str(home.path / where) in m and what in m], (where, what, found)
    assert len(found) == 9


def test_two_zones_of_one_origin_are_a_mistake(home: Home) -> None:
    home.write("zones/two.toml", ZONE.replace("bl.example", "BL.example."))
    (mistake,) = home.mistakes()
    assert mistake == "zones ip and two both have origin bl.example"


def test_a_sublist_that_is_another_zone_is_a_mistake(home: Home) -> None:
    home.write("zones/ip.toml", ZONE + 'sublist = "trap"\n')
    home.write("zones/trap.toml", ZONE.replace("bl.example", "trap.bl.example"))
    (mistake,) = home.mistakes()
    assert "trap.bl.example" in mistake


@pytest.mark.parametrize("what", ["zones", "feeds"])
def test_a_directory_that_is_not_there_is_a_mistake(home: Home, what: str) -> None:
    home.write(
        "dnsbl.toml",
        f'zones_dir = "zones"\nfeeds_dir = "feeds"\n{what}_dir = "gone"\n'.replace(f'{what}_dir = "{what}"\n', ""),
    )
    (mistake,) = home.mistakes()
    assert str(home.path / "gone") in mistake
    assert f"set {what}_dir" in mistake


def test_files_that_are_no_toml_or_hidden_are_left_alone(home: Home) -> None:
    for name in ("zones/ip.toml~", "zones/.ip.toml.swp", "zones/.hidden.toml", "zones/README"):
        home.write(name, "not toml at all [")
    assert set(home.load().zones) == {"ip"}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = 1\na = 2", b"[", b"\x00"])
def test_what_is_not_toml_is_one_line(home: Home, content: bytes) -> None:
    home.write("dnsbl.toml", content)
    (mistake,) = home.mistakes()
    assert "not TOML" in mistake


# zones


def zone(**more: object) -> ZoneDef:
    given = {
        "name": "z",
        "origin": "z.example",
        "kind": "ip",
        "ns": ["ns.example"],
        "codes": [{"code": "127.0.0.2", "categories": ["spam"]}],
    }
    return ZoneDef.model_validate(given | more)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"policy": {"list_at": 50, "delist_at": 60}}, "delist_at is above list_at"),
        ({"policy": {"list_at": 101}}, "less than or equal to 100"),
        ({"policy": {"list_at": 0}}, "greater than 0"),
        ({"policy": {"half_lives": {"nonsense": "1d"}}}, "unknown category nonsense"),
        ({"policy": {"half_life": "1s"}}, "a minute or more"),
        ({"policy": {"half_lives": {"spam": 59}}}, "a minute or more"),
        ({"policy": {"half_life": "a while"}}, "not a duration"),
        ({"policy": {"half_life": 1.5}}, "not a duration"),
        ({"policy": {"half_life": "99999d"}}, "longer than"),
        ({"ttl": -1}, "greater than or equal"), ({"ttl": ["5m"]}, "not a duration"),
        ({"ttl": True}, "not a duration"),
        ({"ttl": 2**31}, "less than or equal"),
        ({"origin": 5}, "not a DNS name"), ({"origin": ["a"]}, "not a DNS name"),
        ({"origin": "a b"}, "not a DNS name"),
        ({"origin": ""}, "not a DNS name"), ({"origin": "."}, "not a DNS name"),
        ({"origin": "a..b"}, "not a DNS name"),
        ({"origin": "a" * 64 + ".b"}, "not a DNS name"), ({"origin": ".".join(["a" * 60] * 5)}, "not a DNS name"),
        ({"ns": []}, "at least 1"), ({"ns": ["-a"]}, "not a DNS name"), ({"ns": [7]}, "not a DNS name"),
        ({"kind": "url"}, "'ip', 'domain', 'hash' or 'e164'"), ({"codes": []}, "at least 1"),
        ({"checks": {"max_drop": 2}}, "less than or equal to 1"), ({"checks": {"max_dorp": 0.5}}, "Extra inputs"),
        ({"transfer": ["10.0.0.1/8"]}, "not a network: '10.0.0.1/8'"), ({"apex": {"a": ["::1"]}}, "IPv4"),
        ({"codes": [{"code": "127.0.0.2", "categories": ["spam"]}] * 2}, "code given twice: 127.0.0.2"),
        ({"codes": [{"code": c, "categories": ["spam"]} for c in ("127.0.0.2", "127.0.0.3")]}, "under two codes: spam"),
        ({"codes": [{"code": f"127.0.{n}.2", "categories": ["spam"]} for n in range(61)]}, "at most 60"),
        ({"kind": "domain", "codes": [{"code": "127.0.0.2", "categories": ["spam"], "sublist": "sp"}]}, "no sublists"),
    ],
)  # fmt: skip
def test_a_zone_that_cannot_be_is_refused(more: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        zone(**more)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("128.0.0.1", "in 127.0.0.0/8, not 128.0.0.1"), ("126.255.255.255", "in 127.0.0.0/8"),
        ("127.0.0.1", "never listed"),
        ("127.255.255.254", "are errors"), ("127.0.0", "127.0.0"), ("127.0.0.02", "127.0.0.02"),
        ("", "cannot be empty"),
        ("::1", "Expected 4 octets"), ("127.0.0.256", "256"),
    ],
)  # fmt: skip
def test_a_code_that_is_none_is_refused(code: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        CodeDef(code=code, categories=["spam"])


@pytest.mark.parametrize("sublist", ["a", "12", "a.b", "-ab", "Trap", "x" * 64, "tr ap"])
def test_a_sublist_that_could_be_part_of_an_address_is_refused(sublist: str) -> None:
    with pytest.raises(ValidationError, match="sublist"):
        CodeDef(code="127.0.0.2", categories=["spam"], sublist=sublist)


def test_a_zone_knows_its_categories() -> None:
    made = zone(
        codes=[{"code": "127.0.0.2", "categories": ["spam", "other"]}, {"code": "127.0.0.3", "categories": ["proxy"]}]
    )
    assert made.categories == {"spam": "127.0.0.2", "other": "127.0.0.2", "proxy": "127.0.0.3"}
    assert zone(soa={"mname": "m.example."}).mname == "m.example"


# feeds


def feed(**more: object) -> FeedDef:
    given = {
        "name": "f",
        "title": "t",
        "url": "https://a.example/",
        "format": "plain",
        "category": "spam",
        "licence": "x",
    }
    return FeedDef.model_validate(given | more)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"url": "gopher://a.example/"}, "gopher"), ({"url": "a.example/list"}, "nothing"),
        ({"url": "https:///list"}, "no host"),
        ({"url": "https://[::1/"}, "url"), ({"category": "nonsense"}, "unknown category 'nonsense'"),
        ({"map": {"x": "nonsense"}}, "unknown category nonsense"),
        ({"enabled": False}, "set why_off"), ({"trust": 1.1}, "less than or equal to 1"),
        ({"trust": -0.1}, "greater than or equal to 0"),
        ({"period": "never"}, "not a duration"), ({"max_bytes": 2**31}, "less than or equal"),
        ({"widest4": 33}, "less than or equal"),
    ],
)  # fmt: skip
def test_a_feed_that_cannot_be_is_refused(more: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        feed(**more)


# small things


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("127.0.0.1:53", ("127.0.0.1", 53)), ("[::1]:5300", ("::1", 5300)), ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::]:65535", ("::", 65535)),
    ],
)  # fmt: skip
def test_addresses_to_listen_at_are_read(written: str, read: tuple[str, int]) -> None:
    assert parse_listen(written) == read


@pytest.mark.parametrize(
    "written",
    [
        "", "53", ":53", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "localhost:53", "[::1]",
        "[::1:53", "127.0.0.1:-1", "127.0.0.1:²", 53, None,
    ],
)  # fmt: skip
def test_what_is_no_address_to_listen_at_is_a_value_error(written: object) -> None:
    with pytest.raises(ValueError):
        parse_listen(written)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["mysql://x", "sqlite:x", ""])
def test_an_unknown_store_is_a_mistake(home: Home, url: str) -> None:
    home.write("dnsbl.toml", f'zones_dir = "zones"\nfeeds_dir = "feeds"\n[store]\nurl = "{url}"\n')
    (mistake,) = home.mistakes()
    assert "store.url: unknown store" in mistake


@pytest.mark.parametrize(
    "line", ["zones_dir = 5", "feeds_dir = []", "data_dir = 1", "dns = 5", "store = []", "[[dns]]"]
)
def test_a_setting_of_the_wrong_kind_is_a_mistake(home: Home, line: str) -> None:
    home.write("dnsbl.toml", line + "\n")
    assert any(line.strip("[]").split(" ")[0] in mistake for mistake in home.mistakes())


# removal


def test_a_zone_without_a_word_about_removal_has_the_usual_rules(home: Home) -> None:
    rules = home.load().zones["ip"].removal
    assert (rules.grace, rules.quiet, rules.cool_down, rules.exempt_policy) == (7 * DAY, 3600, DAY, 180 * DAY)
    assert set(CATEGORIES) - set(rules.self_serve) == {"hijacked", "snowshoe", "phishing"}
    assert rules.weakest("spam") == "address"
    assert rules.weakest("hijacked") == "range"


def test_a_zone_says_its_rules_of_removal(home: Home) -> None:
    section = """
[removal]
grace = "3d"
self_serve = ["spam"]
proofs = { spam = "dns", hijacked = "mailbox" }
quiet = "2h"
cool_down = "2d"
max_cool_down = "8d"
memory = "30d"
per_requester = 1
per_network = 2
per_asn = 3
exempt_policy = "90d"
"""
    home.write("zones/ip.toml", ZONE + section)
    rules = home.load().zones["ip"].removal
    assert (rules.grace, rules.quiet, rules.cool_down, rules.max_cool_down) == (3 * DAY, 7200, 2 * DAY, 8 * DAY)
    assert (rules.memory, rules.exempt_policy, rules.self_serve) == (30 * DAY, 90 * DAY, ["spam"])
    assert (rules.per_requester, rules.per_network, rules.per_asn) == (1, 2, 3)
    assert [rules.weakest(category) for category in ("spam", "hijacked", "dynamic")] == ["dns", "mailbox", "mailbox"]


@pytest.mark.parametrize(
    ("removal", "why"),
    [
        ({"self_serve": ["nonsense"]}, "unknown category nonsense"),
        ({"proofs": {"nonsense": "dns"}}, "unknown category nonsense"),
        ({"proofs": {"spam": "money"}}, "'address', 'mailbox', 'dns' or 'range'"),
        ({"price": 50}, "Extra inputs"),
        ({"per_requester": 0}, "greater than or equal to 1"),
        ({"per_network": 0}, "greater than or equal to 1"),
        ({"per_asn": 0}, "greater than or equal to 1"),
        ({"quiet": -1}, "greater than or equal"),
        ({"grace": "for ever"}, "not a duration"),
        ({"cool_down": "2d", "max_cool_down": "1d"}, "cool_down is longer than max_cool_down"),
        ({"memory": "29d"}, "memory is shorter than max_cool_down"),
    ],
)
def test_rules_of_removal_that_cannot_be_are_refused(removal: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        zone(removal=removal)


def test_without_a_relay_no_mail_leaves(home: Home) -> None:
    config = home.load().config
    assert config.mail.relay is None
    assert (config.proof.resolver, config.proof.rdap) == ("", "https://rdap.org/")


def test_a_relay_and_where_proofs_are_looked_up_can_be_said(home: Home) -> None:
    home.write("dnsbl.toml", '[mail]\nrelay = "mx.example:587"\nsender = "bl@bl.example"\ntls = "always"\n'
               'username = "bl"\npassword = "hunter2"\n'
               '[proof]\nresolver = "127.0.0.1:53"\nrdap = "http://rdap.example/v1/"\n')  # fmt: skip
    config = home.load().config
    assert (config.mail.relay, config.mail.sender, config.mail.tls) == ("mx.example:587", "bl@bl.example", "always")
    assert config.mail.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(config)
    assert (config.proof.resolver, config.proof.rdap) == ("127.0.0.1:53", "http://rdap.example/v1/")


@pytest.mark.parametrize("relay", ["localhost:25", "mx.example:587", "127.0.0.1:25", "[::1]:465", "mx.xn--p1ai:25"])
def test_a_relay_has_a_name_or_an_address(home: Home, relay: str) -> None:
    home.write(
        "dnsbl.toml", f'zones_dir = "zones"\nfeeds_dir = "feeds"\n[mail]\nrelay = "{relay}"\nsender = "a@b.example"'
    )
    assert home.load().config.mail.relay == relay


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('[mail]\nrelay = "mx.example:25"', "sender"),
        ('[mail]\nrelay = "mx.example:25"\nsender = "nobody"', "sender"),
        ('[mail]\nrelay = "mx.example:25"\nsender = "a@b.c\\nBcc: x@y.z"', "sender"),
        ('[mail]\nrelay = "mx.example"\nsender = "a@b.example"', "mail.relay"),
        ('[mail]\nrelay = "mx.example:0"\nsender = "a@b.example"', "not a host and port"),
        ('[mail]\nrelay = "mx.example:65536"\nsender = "a@b.example"', "not a host and port"),
        ('[mail]\nrelay = "-mx.example:25"\nsender = "a@b.example"', "not a DNS name"),
        ('[mail]\nrelay = "mx.example\\n:25"\nsender = "a@b.example"', "mail.relay"),
        ('[mail]\nrelay = "127.0.0.256:25"\nsender = "a@b.example"', "IPv4"),
        ('[mail]\nrelay = ":25"\nsender = "a@b.example"', "mail.relay"),
        ('[mail]\ntls = "sometimes"', "mail.tls"),
        ('[mail]\nusername = "hunter2"', "username and password come together"),
        ('[mail]\npassword = "hunter2"', "username and password come together"),
        ('[proof]\nresolver = "dns.example"', "proof.resolver"),
        ('[proof]\nrdap = "ftp://rdap.example/"', "rdap: an http"),
        ('[proof]\nrdap = "https://rdap.example"', "rdap: an http"),
        ('[proof]\nrdap = "https://rdap.example/?q="', "rdap: an http"),
    ],
)
def test_mail_and_proofs_that_cannot_work_are_mistakes(home: Home, lines: str, why: str) -> None:
    home.write("dnsbl.toml", f'zones_dir = "zones"\nfeeds_dir = "feeds"\n{lines}\n')
    (mistake,) = home.mistakes()
    assert why in mistake
    assert "hunter2" not in mistake
