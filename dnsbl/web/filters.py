"""What templates write values with, in one language. Functions and no macros: a look-up has dozens of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from ..removal.reasons import from_json
from .language import Language
from .words import CATEGORIES

__all__ = ["explained", "filters_of"]

REMEMBERED = 1024  # days
COMMA = Markup(", ")


def filters_of(language: Language) -> dict[str, Callable[..., str]]:
    """By name; rendering.py says how they are used."""
    categories = {name: escape(language.said(text)) for name, text in CATEGORIES.items()}
    never = language.gettext("never")

    def moment(at: str | None) -> str:
        return language.moment(at) if at else never

    def when(at: str | None) -> Markup:
        return element("time", language.moment(at), at) if at else escape(never)

    @lru_cache(REMEMBERED)
    def day(at: str) -> Markup:
        return element("time", language.day(at), at)

    return {
        "said": language.said,
        "explained": lambda why: " ".join(explained(why, language)),
        "moment": moment,
        "day": language.day,
        "number": language.number,
        "percent": language.percent,
        "duration": language.duration,
        "when": when,
        "on_day": lambda at: day(at[:10]),
        "names": names,
        "in_words": lambda found: COMMA.join(categories.get(name, name) for name in found),
    }


def explained(why: Iterable[Mapping[str, Any]], language: Language) -> list[str]:
    """The reasons of a removal, a sentence each."""
    return [language.said(reason.phrase(language.moment, language.duration)) for reason in from_json(why)]


def names(texts: Iterable[str]) -> Markup:
    """Texts as they are, each by itself: in whichever direction it is written."""
    return COMMA.join(element("bdi", text) for text in texts)


def element(tag: str, text: str, at: str = "") -> Markup:
    moment = f' datetime="{escape(at)}"' if at else ""
    return Markup(f"<{tag}{moment}>{escape(text)}</{tag}>")  # noqa: S704 - all of it is escaped here
