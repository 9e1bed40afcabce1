"""Export: a served zone as a file for other programs, streamed in chunks. One module for each format.

A format is a function from `Contents` to text, chunk by chunk; what it cannot say, it says in the file's first lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...errors import DnsblError
from ..contents import Contents, contents
from ..served import ServedZone
from .bind import lines as bind_lines
from .rbldnsd import lines as rbldnsd_lines

__all__ = ["FORMATS", "ExportFormat", "export"]


@dataclass(slots=True, frozen=True)
class ExportFormat:
    """How others take a zone away."""

    name: str
    about: str
    content_type: str
    suffix: str
    lines: Callable[[Contents], Iterator[str]]


FORMATS: dict[str, ExportFormat] = {
    entry.name: entry
    for entry in (
        ExportFormat(
            "rbldnsd",
            "one `combined` data file for rbldnsd: rbldnsd ORIGIN:combined:FILE",
            "text/plain; charset=utf-8",
            ".rbldnsd",
            rbldnsd_lines,
        ),
        ExportFormat(
            "bind",
            "a master file (RFC 1035) for BIND, NSD, Knot and others; addresses as wildcards",
            "text/dns",  # RFC 4027
            ".zone",
            bind_lines,
        ),
    )
}


def export(view: ServedZone, format: str) -> Iterator[bytes]:
    """The zone in a format, in chunks. Raises DnsblError where there is no such format."""
    if format not in FORMATS:
        raise DnsblError(f"no export format {format!r}; write one of {', '.join(FORMATS)}")
    return (chunk.encode("utf-8") for chunk in FORMATS[format].lines(contents(view)))
