"""The audit trail, read: by pages for people, and as a stream to be kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from .. import clock
from ..errors import SubjectError
from ..hashing import parse_query
from ..subjects import text
from .base import DeskBase

__all__ = ["AuditPart", "deed_row"]


class AuditPart(DeskBase):
    def audit_rows(
        self, limit: int = 100, before: int | None = None, who: str = "", subject: str = "", since: int | None = None
    ) -> list[dict[str, Any]]:
        """The newest entries; the next page is those `before` the last one's "id". A subject is found however it is
        written."""
        subjects = spellings(subject) if subject else []
        return [deed_row(row) for row in self.store.audit_rows(limit, before, who, subjects, since)]

    def audit_lines(self, since: int | None = None) -> Iterator[bytes]:
        """The trail as NDJSON, the oldest first. "link" is SHA-256 over the link before it and the entry, as in
        store/auditing.py: a copy that is kept elsewhere shows whether the trail was written anew."""
        for deeds in self.store.audit_trail(since):
            for deed in deeds:
                row = {**deed_row(deed._asdict()), "link": deed.link.hex()}
                yield orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def deed_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "at": clock.rfc3339(row["at"]),
        "who": row["who"],
        "what": row["what"],
        "subject": row["subject"],
        "why": row["why"],
    }


def spellings(said: str) -> list[str]:
    """What was said, and where that is a subject, how the trail writes it."""
    try:
        return list(dict.fromkeys([said, text(parse_query(said))]))
    except SubjectError:
        return [said]
