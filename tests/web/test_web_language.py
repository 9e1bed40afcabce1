"""Pages in the visitor's language: every sentence is in the catalogue, and either direction of writing is right."""

import asyncio
import re
from gettext import NullTranslations
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment
from test_web_subjects import listed
from website import serving

import dnsbl
from dnsbl.errors import StoreError
from dnsbl.model import CATEGORIES
from dnsbl.phrases import Phrase
from dnsbl.web import advice, words
from dnsbl.web.language import DOMAIN, LOCALES, Language, Languages
from dnsbl.web.rendering import Pages, make_environment
from dnsbl.web.routes import ROUTES

PACKAGE = Path(dnsbl.__file__).parent
ASKED = ["/lookup?q=8.8.8.7", "/lookup?q=9.9.9.9", "/lookup?q=me", "/lookup?q=nonsense", "/nowhere"]
PATHS = ASKED + [
    route.path for route in ROUTES if route.doc is None and route.method == "GET" and "{" not in route.path
]
DATA = {"code", "pre", "bdi", "time", "text"}  # elements of data: not sentences of ours; `text` is SVG's
SAID = ("aria-label", "title", "alt", "placeholder", "data-label")  # attributes that people read or hear
VOID = {"meta", "link", "input", "br"}


class Bracketed(NullTranslations):
    """A language in which every sentence is the English one in brackets."""

    def gettext(self, message):
        return f"[[{message}]]"

    def ngettext(self, one, many, number):
        return f"[[{one if number == 1 else many}]]"


class Words(HTMLParser):
    """What people read of a page: its text without data, the data, and what attributes say."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.data, self.attributes, self.root = [], "", set(), [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        said = dict(attributes)
        if tag == "html":
            self.root = said
        if tag not in VOID:
            self.open.append(tag in DATA or said.get("translate") == "no")
        self.attributes += [said[name] for name in SAID if name in said]

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, data):
        if any(self.open):
            self.data.add(data.strip())
        else:
            self.text += data


def outside_brackets(text):
    """What is left of a text without all that stands in brackets."""
    left, depth = "", 0
    for part in re.split(r"(\[\[|\]\])", text):
        depth += (part == "[[") - (part == "]]")
        left += part if depth == 0 and part != "]]" else ""
    assert depth == 0
    return left


def speaking(site, **languages):
    site.state.pages = Pages(Languages(languages))


@pytest.mark.parametrize("store_fails", [False, True])
async def test_no_sentence_is_missing_from_the_catalogue(tmp_path, monkeypatch, store_fails):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(listed, site)
        speaking(site, de=Language("de", Bracketed()))
        if store_fails:
            monkeypatch.setattr(site.app.store, "sources", fails)
        for path in PATHS:
            async with site.client.get(path, headers={"Accept-Language": "de"}) as response:
                if response.content_type != "text/html":
                    continue
                shown = Words(await response.text())
            assert shown.root["lang"] == "de", path
            assert re.findall(r"[^\W\d_]+", outside_brackets(shown.text)) in ([], ["dnsbl"]), path
            for said in shown.attributes:
                assert said in shown.data or not re.search(r"[^\W\d_]", outside_brackets(said)), (path, said)


def fails(*_):
    raise StoreError("store: it is gone")


def test_the_catalogue_is_of_these_sentences():
    """Stale: locale/README says how it is made anew."""
    with (LOCALES / "babel.cfg").open() as mapping:
        methods, options = parse_mapping_cfg(mapping)
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}
    found = {each[2] for each in extract_from_dir(PACKAGE, methods, options, keywords)}
    with (LOCALES / f"{DOMAIN}.pot").open("rb") as file:
        kept = {message.id for message in read_po(file) if message.id}
    assert found - kept == set()
    assert kept - found == set()


async def test_a_language_that_is_written_from_the_right(tmp_path):
    async with serving(tmp_path) as site:
        speaking(site, ar=Language("ar"))
        async with site.client.get("/", headers={"Accept-Language": "ar-EG,en;q=0.5"}) as response:
            shown = Words(await response.text())
            assert (response.headers["Content-Language"], response.headers["Vary"]) == ("ar", "Accept-Language")
        assert (shown.root["lang"], shown.root["dir"]) == ("ar", "rtl")
        async with site.client.get("/") as response:
            assert Words(await response.text()).root == {"lang": "en", "dir": "ltr"}


def test_the_style_sheets_know_no_left_and_right():
    for sheet in (PACKAGE / "web" / "templates").glob("*.css"):
        rules = re.sub(r"/\*.*?\*/", "", sheet.read_text("utf-8"), flags=re.S)
        found = re.findall(r"\b(?:left|right)\b", rules)
        assert found == [], sheet.name


def test_a_new_catalogue_is_found_by_itself(tmp_path, caplog):
    file = tmp_path / "pt_BR" / "LC_MESSAGES" / f"{DOMAIN}.po"
    file.parent.mkdir(parents=True)
    file.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\nPlural-Forms: nplurals=2; plural=(n > 1);\\n"\n\n'
        'msgid "Look up"\nmsgstr "Consultar"\n\n#, fuzzy\nmsgid "Status"\nmsgstr "Estado?"\n\n'
        'msgid "Until %(day)s"\nmsgstr "Ate %(dia)s"\n\n'
        'msgid "Wait %(days)s days."\nmsgstr "Espere %(days)s dias."\n'
    )
    languages = Languages.load(tmp_path)
    found = languages.of("pt")
    assert found is languages.of("pt-BR,en") is languages.of("fr, pt-br;q=0.3")
    assert found.tag == "pt-BR"
    assert found.said("Look up") == "Consultar"
    assert found.said("Status") == "Status"  # nobody is sure of it
    assert found.said(Phrase("Wait %(days)s days.", {"days": 3})) == "Espere 3 dias."
    assert found.said(Phrase("Until %(day)s", {"day": "now"})) == "Until now"  # it names what is not there
    assert "does not fit its sentence" in caplog.text
    assert found.said("100 %s of a stranger's") == "100 %s of a stranger's"
    assert found.number(1234567) == "1.234.567"
    assert languages.of("en-US").tag == "en"


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ('{{ _("a %% of <b>") }}', "A % OF <b>"), ('{{ _("%(x)s is <b>", x=x) }}', "&lt;i&gt; IS <b>"),
        ("{% trans x=x %}to {{ x }}, 5% of it{% endtrans %}", "TO &lt;i&gt;, 5% OF IT"),
        ("{% trans n=n %}one{% pluralize %}{{ n }} of 5%{% endtrans %}", "7 OF 5%"),
        ('{{ _("%(y)s", y=_("in %(x)s", x=x)) }}', "IN &lt;i&gt;"), ('{{ _("a") ~ "<b>" }}', "A&lt;b&gt;"),
    ],
)  # fmt: skip
def test_sentences_are_said_when_a_template_is_compiled_as_they_would_be_later(template, shown):
    """With Jinja's own i18n extension alone it is the same text."""
    language = Language("en", Shouting())
    folded = make_environment(language)
    plain = Environment(autoescape=True, extensions=["jinja2.ext.i18n"])
    plain.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)
    values = {"x": "<i>", "n": 7}
    assert folded.from_string(template).render(values) == plain.from_string(template).render(values) == shown


class Shouting(NullTranslations):
    """Capitals, but for the names of values."""

    def gettext(self, message):
        return re.sub(
            r"%\(\w+\)s|</?b>|[^%<]+", lambda part: part[0] if part[0][0] in "%<" else part[0].upper(), message
        )

    def ngettext(self, one, many, number):
        return self.gettext(one if number == 1 else many)


@given(st.text())
def test_any_header_finds_a_language(header):
    languages = Languages({"ar": Language("ar")})
    assert languages.of(header).tag in ("en", "ar")


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("ar", "ar"), ("de;q=1, ar;q=0.5, en;q=0.4", "ar"), ("en;q=0.2, ar;q=0", "en"), ("ar;q=0.2,en;q=0.9", "en"),
        ("*", "en"), ("", "en"), ("AR-eg", "ar"), ("ar;q=nan", "en"),
    ],
)  # fmt: skip
def test_the_language_that_is_wanted_most(header, tag):
    assert Languages({"ar": Language("ar")}).of(header).tag == tag


def test_moments_and_lengths_are_written_for_people():
    english = Language("en")
    assert english.moment("2026-11-02T15:04:05Z") == "2 Nov 2026, 15:04 UTC"
    assert Language("de").moment("2026-11-02T15:04:05Z") == "02.11.2026, 15:04 UTC"
    lengths = [english.duration(seconds) for seconds in (1, 90, 3600, 86_400, 129_600, 604_800)]
    assert lengths == ["1 second", "90 seconds", "1 hour", "1 day", "36 hours", "7 days"]


def test_the_words_are_complete():
    assert set(words.CATEGORIES) == set(words.MEANINGS) == set(CATEGORIES)


@pytest.mark.parametrize("kind", ["ip", "domain"])
def test_there_is_advice_for_every_reason(zones_of, kind):
    for zone in zones_of(kind):
        for category in zone.categories:
            assert advice.advice_for(kind, [category]), (zone.name, category)


@pytest.fixture
def zones_of(settings):
    """The bundled zones of a kind that are no white lists."""
    return lambda kind: [zone for zone in settings.zones.values() if zone.kind == kind and zone.policy.exempt]


def test_the_most_urgent_advice_comes_first_and_once():
    found = advice.advice_for("ip", ["dynamic", "spam", "malware", "botnet", "newsletter"])
    assert [each.title for each in found] == [
        "Find the infected machine",
        "Stop the spam where it starts",
        "Send through your provider",
    ]
