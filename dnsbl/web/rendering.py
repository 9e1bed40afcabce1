"""Templates to pages, in the language of whoever asks.

An environment for each language, made when first asked for: templates are compiled once and then only filled in. In a
template: `{% trans %}`, `_()`, `ngettext`; `phrase | said`; `at | moment` (RFC 3339, None is "never"), `day | day`,
`number | number` (`number(2)` for places after the point), `share | percent`, `seconds | duration`; elements: `at | when`
and `at | on_day` (times), `texts | names` (each by itself, in whichever direction), `categories | in_words`. The tables
of words.py are there by name, said already. `language.tag`, `language.direction`. More is in parts.html.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from .folding import SaidEnvironment
from .language import Language, Languages, language_of
from .problems import Problem
from .words import CATEGORIES, KINDS, MEANINGS, REMOVALS, STATES, TITLES

__all__ = ["Pages"]

TIME = Markup('<time datetime="{}">{}</time>')
BDI = Markup("<bdi>{}</bdi>")
REMEMBERED = 1024  # days
TABLES: dict[str, dict[str, str]] = {
    "categories": CATEGORIES,
    "meanings": MEANINGS,
    "kinds": KINDS,
    "states": STATES,
    "removal_states": REMOVALS,
}


class Pages:
    """The templates, escaped by default; a value that is missing is a mistake, not an empty place."""

    def __init__(self, languages: Languages | None = None) -> None:
        self.languages = languages or Languages.load()
        self.environments: dict[str, Environment] = {}
        self.making = threading.Lock()

    def render(self, request: web.Request, name: str, status: int = 200, **values: Any) -> web.Response:
        """A page in the visitor's language. May be called in any thread."""
        language = language_of(request)
        text = self.environment(language).get_template(name).render(values)
        headers = {"Content-Language": language.tag, "Vary": "Accept-Language"}
        return web.Response(text=text, status=status, headers=headers, content_type="text/html", charset="utf-8")

    def problem(self, request: web.Request, problem: Problem) -> web.Response:
        """A refusal as a page."""
        title = TITLES.get(problem.status, problem.title)
        response = self.render(
            request, "problem.html", problem.status, title=title, detail=problem.detail, status_code=problem.status
        )
        response.headers.update(problem.headers)
        return response

    def environment(self, language: Language) -> Environment:
        with self.making:
            found = self.environments.get(language.tag)
            if found is None:
                found = self.environments[language.tag] = make_environment(language)
            return found


def make_environment(language: Language) -> Environment:
    jinja = SaidEnvironment(
        loader=PackageLoader("dnsbl.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # a program's templates change with the program
        extensions=["jinja2.ext.i18n"],
    )
    jinja.said_in = language
    jinja.policies["ext.i18n.trimmed"] = True
    jinja.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)  # type: ignore[attr-defined]
    jinja.filters.update(filters_of(language))
    jinja.globals.update(
        {name: {key: language.said(text) for key, text in table.items()} for name, table in TABLES.items()}
    )
    jinja.globals["language"] = language
    return jinja


def filters_of(language: Language) -> dict[str, Callable[..., str]]:
    """What templates write values with. Functions and no macros: a look-up has dozens of them."""
    said = {name: escape(language.said(text)) for name, text in CATEGORIES.items()}
    never = language.gettext("never")
    comma = Markup(", ")

    def moment(at: str | None) -> str:
        return language.moment(at) if at else never

    def when(at: str | None) -> Markup:
        return TIME.format(at, language.moment(at)) if at else escape(never)

    @lru_cache(REMEMBERED)
    def day_element(day: str) -> Markup:
        return TIME.format(day, language.day(day))

    return {
        "said": language.said,
        "moment": moment,
        "day": language.day,
        "number": language.number,
        "percent": language.percent,
        "duration": language.duration,
        "when": when,
        "on_day": lambda at: day_element(at[:10]),
        "names": lambda texts: comma.join(BDI.format(text) for text in texts),
        "in_words": lambda found: comma.join(said.get(name, name) for name in found),
    }
