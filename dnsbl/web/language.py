"""Languages of the pages: which there are, which one a visitor reads, and how numbers and moments are written in it.

English is the source text. Another language is a file `locale/LANG/LC_MESSAGES/dnsbl.po`, found by itself; what it
lacks, or has marked as uncertain (fuzzy), is shown in English. How to make one: locale/README.

For those who write Python: a sentence is marked where it stands, and said where the language is known.

    from ..phrases import N_, Phrase                   # in any layer
    COLD = N_("Too soon after the last removal.")      # found by the extractor; stays the English text
    Phrase(N_("Wait until %(day)s."), {"day": "..."})  # with values

    {{ phrase | said }}                                # in a template: a marked text or a Phrase, escaped
    language_of(request).said(phrase)                  # in a handler

In templates `{% trans %}...{% endtrans %}` and `_("...")`. Never `_(text)` with a text that does not stand there: `_`
fills in places, and a stranger's `%` would break the page.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from datetime import date, time
from functools import cache, lru_cache
from gettext import NullTranslations
from pathlib import Path

from aiohttp import web
from babel import Locale, dates, numbers, units
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from ..phrases import Phrase
from .state import WEB

__all__ = ["DOMAIN", "LOCALES", "Language", "Languages", "language_of"]

log = logging.getLogger("dnsbl.web")

DOMAIN = "dnsbl"
LOCALES = Path(__file__).parent / "locale"
ENGLISH = "en"
FORMATS = {ENGLISH: "en_GB"}  # by language: whose dates. A day before its month, in words, is read right by all
MAX_ACCEPT = 200  # characters of Accept-Language that are looked at: browsers send less
REMEMBERED = 1024  # headers whose language is remembered; days and numbers whose text is
UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))  # in seconds


class Language:
    """One language. May be asked from any thread."""

    def __init__(self, tag: str, translations: NullTranslations | None = None) -> None:
        """`tag`: BCP 47, `pt-BR`. Raises ValueError or UnknownLocaleError where Babel does not know it."""
        self.tag = tag
        self.locale = Locale.parse(FORMATS.get(tag, tag.replace("-", "_")))
        self.translations = translations or NullTranslations()
        self.glue = str(dates.get_datetime_format("medium", locale=self.locale)).replace("'", "")  # of day and time
        self.day = lru_cache(REMEMBERED)(self.format_day)
        self.number = lru_cache(REMEMBERED)(self.format_number)
        self.minute = cache(self.format_minute)  # a day has 1440

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`, as its script is written."""
        return self.locale.text_direction

    def gettext(self, text: str) -> str:
        return self.translations.gettext(text)

    def ngettext(self, one: str, many: str, number: int) -> str:
        return self.translations.ngettext(one, many, number)

    def said(self, phrase: Phrase | str) -> str:
        """A marked sentence in this language. One that is in no catalogue stays as it is."""
        if isinstance(phrase, Phrase):
            text = self.gettext(phrase.text)
            return text % phrase.values if phrase.values else text
        return self.gettext(phrase) if phrase else ""  # the empty text is the catalogue's own head

    def format_number(self, value: float, digits: int = 0) -> str:
        """With the language's separators; `digits` after the point. `number` remembers."""
        return numbers.format_decimal(value, "#,##0" + "." * bool(digits) + "0" * digits, locale=self.locale)

    def percent(self, share: float) -> str:
        return numbers.format_percent(share, locale=self.locale)

    def moment(self, at: str) -> str:
        """RFC 3339 (UTC) as people read it, to the minute."""
        return self.glue.replace("{1}", self.day(at[:10])).replace("{0}", self.minute(at[11:16])) + " UTC"

    def format_day(self, text: str) -> str:
        """`2026-01-02` as people read it; `day` remembers."""
        return dates.format_date(date.fromisoformat(text), "medium", locale=self.locale)

    def short_day(self, text: str) -> str:
        """`2026-01-02` without its year."""
        return dates.format_skeleton("MMMd", date.fromisoformat(text), locale=self.locale)

    def format_minute(self, text: str) -> str:
        return dates.format_time(time.fromisoformat(text), "short", locale=self.locale)

    def duration(self, seconds: int) -> str:
        """A length of time in the largest unit that it has two of, or is: `36 hours`, `7 days`, `1 day`."""
        name, size = next((unit for unit in UNITS if seconds >= 2 * unit[1] or seconds == unit[1]), UNITS[-1])
        return units.format_unit(round(seconds / size, 1), f"duration-{name}", locale=self.locale)


class Languages:
    """Those there are, by their tags; English is always one of them."""

    def __init__(self, found: Mapping[str, Language]) -> None:
        self.found = {ENGLISH: Language(ENGLISH), **found}
        self.tags = {tag.lower(): tag for tag in self.found}
        self.of = lru_cache(REMEMBERED)(self.choose)

    @classmethod
    def load(cls, directory: Path = LOCALES) -> Languages:
        """Every catalogue in a directory. Raises OSError, and ValueError where one cannot be read."""
        files = sorted(directory.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))
        return cls({tag: Language(tag, read_catalogue(file)) for file in files for tag in [tag_of(file)]})

    def choose(self, accepted: str) -> Language:
        """The language for an Accept-Language header (RFC 9110 section 12.5.4), which is untrusted; `of` remembers."""
        return next((found for tag in ranges(accepted[:MAX_ACCEPT]) if (found := self.near(tag))), self.found[ENGLISH])

    def near(self, tag: str) -> Language | None:
        """The language of a tag, of what it begins with, or another region's: `de-AT` is served by `de`, `pt` by
        `pt-BR`."""
        main = tag.partition("-")[0]
        regions = (known for known in self.tags if known.partition("-")[0] == main)
        found = next((known for known in (tag, main, *regions) if known in self.tags), None)
        return self.found[self.tags[found]] if found else None


def ranges(accepted: str) -> list[str]:
    """Language ranges, the most wanted first; `q=0` is none, and what is not readable counts least."""
    wanted = []
    for part in accepted.split(","):
        tag, _, weight = part.partition(";")
        weight = weight.strip().lower().removeprefix("q=") or "1"
        quality = float(weight) if weight.replace(".", "", 1).isascii() and weight.replace(".", "", 1).isdigit() else 0
        if quality > 0:
            wanted.append((-quality, tag.strip().lower()))
    return [tag for _, tag in sorted(wanted, key=lambda each: each[0])]


def tag_of(file: Path) -> str:
    return file.parent.parent.name.replace("_", "-")


def read_catalogue(file: Path) -> Translations:
    """A catalogue as it was written, compiled in memory: there is no second file that could be older. What names a
    value that its sentence does not have is left out, and said in English: it would break a page."""
    with file.open("rb") as source:
        catalogue = read_po(source, locale=tag_of(file).replace("-", "_"), domain=DOMAIN)
    for message in [each for each in catalogue if each.id and each.check(catalogue)]:
        log.warning("%s: line %s: does not fit its sentence, which is shown in English", file, message.lineno)
        catalogue.delete(message.id, message.context)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)


def language_of(request: web.Request) -> Language:
    """The language that this visitor reads, of those there are."""
    return request.app[WEB].pages.languages.of(request.headers.get("Accept-Language", ""))
