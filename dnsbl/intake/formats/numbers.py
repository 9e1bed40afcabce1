"""Telephone numbers (E.164), with their + or without.

{"12012018360":"2020-10-30",...}     one JSON object whose keys are numbers
+12012018360,2020-10-30              or a number a line; what follows a comma or blank is not read
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from ...errors import IntakeError, SubjectError
from ...model import Parsed
from ...subjects import e164_key
from .base import FormatOptions, lines, take, without_bom

__all__ = ["parse_numbers"]

END = re.compile(r"[,;\s]")


def parse_numbers(data: bytes, options: FormatOptions) -> Parsed:
    """Raises IntakeError where it begins as JSON and is no object."""
    parsed = Parsed()
    for number, text in written(data, parsed):
        try:
            take(parsed, [e164_key("+" + text.removeprefix("+"))], options)
        except SubjectError as error:
            parsed.reject(number, str(error))
    return parsed


def written(data: bytes, parsed: Parsed) -> Iterator[tuple[int, str]]:
    """Numbers as they are written, with the line or place that each stands in, from 1."""
    if without_bom(data).lstrip()[:1] != b"{":
        for number, text in lines(data, parsed):
            if not text.startswith("#"):
                yield number, END.split(text, maxsplit=1)[0].strip('"')
        return
    try:
        value = orjson.loads(without_bom(data))
    except orjson.JSONDecodeError as error:
        raise IntakeError(f"not JSON: {error}") from None
    yield from enumerate(value, 1)
