"""A posted form, to the model that its deed takes; and a deed's form as a template draws it, with what was typed and
what is wrong with it beside each field. Forms have no types: what is left empty is what the model has without it, a
box that is not ticked is not sent, and of several boxes each has a name of its own. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ...intake.partners import SCOPES
from ...phrases import N_, Phrase
from .deeds import Deed
from .looks import FIELDS, LOOKS, FieldLook, Look

__all__ = ["Drawn", "Mistakes", "drawn", "filled"]

M = TypeVar("M", bound=BaseModel)
Said = Phrase | str

NEEDED = N_("This is needed.")
NO_NUMBER = N_("Write a number.")
MISTAKES: Mapping[str, str] = {  # by pydantic's types of errors; the values are those of their context
    "missing": NEEDED,
    "string_too_short": NEEDED,
    "string_pattern_mismatch": NEEDED,
    "too_short": N_("Choose at least one."),
    "string_too_long": N_("Too long: %(max_length)s characters at most."),
    "greater_than_equal": N_("Too small: %(ge)s at least."),
    "less_than_equal": N_("Too large: %(le)s at most."),
    "int_parsing": N_("Write a whole number."),
    "int_from_float": N_("Write a whole number."),
    "int_parsing_size": N_("Write a whole number that is not as long."),
    "float_parsing": NO_NUMBER,
    "finite_number": NO_NUMBER,
    "bool_parsing": N_("Choose one of those that are shown."),
    "value_error": "%(error)s",
}
OTHERWISE = N_("That cannot be taken.")


class Mistakes(Exception):
    """What is wrong with a form, by field."""

    def __init__(self, found: Mapping[str, Said]) -> None:
        super().__init__(", ".join(found))
        self.found = found


@dataclass(slots=True, frozen=True)
class Field:
    """One field of a form, drawn."""

    name: str
    look: FieldLook
    value: Any
    mistake: Said
    required: bool
    longest: int | None


@dataclass(slots=True, frozen=True)
class Drawn:
    """A deed's form, for `deed_form` of admin/forms.html."""

    name: str
    look: Look
    fields: list[Field]


def filled(model: type[M], form: Mapping[str, str]) -> M:
    """What a form says. Fields that the model has not are passed over. Raises Mistakes."""
    values = {name: value for name in model.model_fields if (value := typed(name, form)) is not None}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Mistakes({str(each["loc"][0]): said(each) for each in reversed(error.errors())}) from error


def typed(name: str, form: Mapping[str, str]) -> Any:
    """What was typed into a field, or ticked; None: nothing."""
    match FIELDS[name].kind:
        case "check":
            return name in form
        case "scopes":
            return [scope for scope in SCOPES if f"{name}-{scope}" in form]
        case _:
            return form.get(name, "").strip() or None


def said(error: ErrorDetails) -> Said:
    kind, context = error["type"], error.get("ctx", {})
    return Phrase(MISTAKES[kind], context) if kind in MISTAKES else OTHERWISE


def drawn(
    name: str, deed: Deed, form: Mapping[str, Any] | None = None, mistakes: Mapping[str, Said] | None = None
) -> Drawn:
    """A deed's form. `form`: what is in it already, as it was posted or as a page fills it in."""
    schema = deed.model.model_json_schema()["properties"]
    fields = [
        Field(
            each,
            FIELDS[each],
            shown(each, form, "" if info.is_required() else info.get_default()),
            (mistakes or {}).get(each, ""),
            info.is_required(),
            schema[each].get("maxLength"),
        )
        for each, info in deed.model.model_fields.items()
    ]
    return Drawn(name, LOOKS[name], fields)


def shown(name: str, form: Mapping[str, Any] | None, default: Any) -> Any:
    """What a field has in it. None and "" are an empty one."""
    if form is None:
        return default
    match FIELDS[name].kind:
        case "check":
            return name in form
        case "scopes":
            return [scope for scope in SCOPES if f"{name}-{scope}" in form] or default
        case _:
            return form.get(name, "")
