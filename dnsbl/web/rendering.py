"""Templates to pages, in the language of whoever asks.

An environment for each language, made when first asked for: templates are compiled once, and then only filled in. They
have `{% trans %}`, `_()`, `ngettext`, and filters:

    phrase | said                       a marked sentence, or a Phrase
    at | moment, at | when              RFC 3339 as text, as an element; None is "never"
    at | day, at | on_day               the day of it (`day` wants `2026-01-02`)
    number | number, number | number(2) places after the point
    share | percent, seconds | duration
    texts | names                       each by itself, in whichever direction it is written
    categories | in_words

The tables of words.py are there by name, said already; `language.tag`, `language.direction`; and what is in parts.html.
"""

from __future__ import annotations

import threading
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from .filters import filters_of
from .folding import SaidEnvironment
from .language import Language, Languages, language_of
from .problems import RETRY_AFTER, Problem
from .words import CATEGORIES, FOLLOWED, KINDS, MAILS, MEANINGS, REMOVALS, STATES, TITLES

__all__ = ["Pages"]

TABLES: dict[str, dict[str, str]] = {
    "categories": CATEGORIES,
    "meanings": MEANINGS,
    "kinds": KINDS,
    "states": STATES,
    "followed_states": FOLLOWED,
    "removal_states": REMOVALS,
    "mail_states": MAILS,
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
        if status == 503:
            headers["Retry-After"] = RETRY_AFTER
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
