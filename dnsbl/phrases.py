"""Sentences for people that are made where nobody's language is known: marked here, said in a language by the web side.

`N_("...")` marks a sentence for the catalogue and is the sentence itself; `Phrase(N_("Wait until %(day)s."), {"day":
day})` keeps it apart from its values, so that it can still be said in another language. The English text is the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["N_", "Phrase"]

NOTHING: Mapping[str, Any] = {}


def N_(text: str) -> str:
    """The sentence, found by the extractor (dnsbl/web/locale/README)."""
    return text


class Phrase(NamedTuple):
    """A marked sentence with places `%(name)s`, and what goes there. As text it is English."""

    text: str
    values: Mapping[str, Any] = NOTHING

    def __str__(self) -> str:
        return self.text % self.values if self.values else self.text
