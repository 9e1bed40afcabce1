"""A posted form as the model of its deed: whatever is typed is a model or a mistake beside a field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from dnsbl.web.desk import models
from dnsbl.web.desk.deeds import DEEDS
from dnsbl.web.desk.forms import Mistakes, drawn, filled
from dnsbl.web.desk.looks import LOOKS
from dnsbl.web.language import Language

ENGLISH = Language("en")
FIELDS = sorted({field for name in LOOKS for field in DEEDS[name].model.model_fields})
NAMES = st.sampled_from([*FIELDS, "scopes-read", "scopes-admin", "sure"])
TYPED = st.one_of(
    st.text(max_size=20), st.integers().map(str), st.floats().map(str), st.sampled_from(["", " ", "yes", "30d", "1e9"])
)


@given(st.sampled_from(sorted(LOOKS)), st.dictionaries(NAMES, TYPED))
def test_whatever_is_typed_is_a_model_or_a_mistake_that_can_be_said(name: str, form: dict[str, str]) -> None:
    deed = DEEDS[name]
    try:
        assert isinstance(filled(deed.model, form), deed.model)
    except Mistakes as mistakes:
        assert mistakes.found
        assert set(mistakes.found) <= set(deed.model.model_fields)
        assert all(ENGLISH.said(text) for text in mistakes.found.values())
        again = drawn(name, deed, form, mistakes.found)
        assert {field.name for field in again.fields if field.mistake} == set(mistakes.found)


@pytest.mark.parametrize(
    ("model", "form", "made"),
    [
        (models.NewExemption, {"subject": " 9.9.9.9 ", "reason": "why", "lifetime": "30d", "zone": ""},
         {"subject": "9.9.9.9", "reason": "why", "lifetime": 30 * 86_400, "zone": ""}),
        (models.SetSource, {"name": "a", "trust": "0.5", "simulated": "no", "daily": ""},
         {"name": "a", "trust": 0.5, "simulated": False, "daily": None}),
        (models.GrantRemoval, {"number": "7", "firm": "1"}, {"number": 7, "answer": "", "firm": True}),
        (models.GrantRemoval, {"number": "7", "csrf": "x"}, {"number": 7, "answer": "", "firm": False}),
        (models.KeyMade, {"name": "a", "trust": "", "scopes-admin": "1"},
         {"name": "a", "trust": 0.9, "scopes": ["admin"], "lifetime": None, "live": False,
          "queries": None, "query_zones": None}),
        (models.KeyMade, {"name": "a", "scopes-query": "1", "queries": "5", "query_zones": " ip  domain "},
         {"name": "a", "trust": 0.9, "scopes": ["query"], "lifetime": None, "live": False,
          "queries": 5, "query_zones": ["ip", "domain"]}),
    ],
)  # fmt: skip
def test_a_form_says_what_its_model_has(model: type[BaseModel], form: dict[str, str], made: dict[str, object]) -> None:
    assert filled(model, form).model_dump() == made


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_an_empty_form_has_what_the_model_has_without_it(name: str) -> None:
    for field in drawn(name, DEEDS[name]).fields:
        info = DEEDS[name].model.model_fields[field.name]
        assert field.value == ("" if info.is_required() else info.default)
