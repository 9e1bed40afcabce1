"""Everything that can be refused or fail, as one tree. A message says what, where, and what to do next.

    DnsblError
    ├── SubjectError      text that is no subject (an address, network, name, hash or number)
    ├── ConfigError       configuration, feed or zone files; carries every mistake at once
    ├── IntakeError       input as a whole is not usable
    │   ├── FetchError        a feed could not be fetched
    │   └── Quarantined       a feed's content arrived and is not to be believed
    ├── StoreError        the store cannot do it: full, locked, damaged, from a newer version
    ├── SnapshotError     a snapshot file is damaged, foreign or from a newer version
    ├── WithheldError     a zone is not given away: the terms of feeds that some of it stands on forbid it
    ├── PublishRefused    a build that tripped a check; the last good snapshot stays
    ├── ProofError        what is asked as proof of control could not be looked up: not known, which is not no
    ├── TransferError     what another server sent of a zone is not taken; the zone held before stays
    ├── TsigError         a message from another name server is not signed as it must be
    └── StartError        the server cannot start: a port in use, a directory that cannot be written

Bad lines and bad packets are not errors: they are counted rejects, and normal operation.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "ConfigError",
    "DnsblError",
    "FetchError",
    "IntakeError",
    "ProofError",
    "PublishRefused",
    "Quarantined",
    "SnapshotError",
    "StartError",
    "StoreError",
    "SubjectError",
    "TransferError",
    "TsigError",
    "WithheldError",
    "printable",
    "raised_at",
]


def printable(text: str) -> str:
    """One line that a terminal or a log can show whatever a stranger put into it: what is no printable character
    becomes its escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def raised_at(error: BaseException) -> tuple[type[BaseException], str, int]:
    """What it is, and the file and line that raised it: errors alike in these are one kind."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return type(error), trace.tb_frame.f_code.co_filename if trace else "", trace.tb_lineno if trace else 0


class DnsblError(Exception):
    """The root: a refusal or failure that has a sentence for the person who reads it."""

    def __str__(self) -> str:
        return printable(super().__str__())


class SubjectError(DnsblError, ValueError):
    """A text that is no subject; the message says why in a few words, without the text itself."""


class ConfigError(DnsblError):
    """One or more mistakes in configuration; `mistakes` has a line for each."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("; ".join(self.mistakes))


class IntakeError(DnsblError):
    """Input as a whole cannot be used."""


class FetchError(IntakeError):
    """A feed could not be fetched: refused address, time-out, too large, bad status."""


class Quarantined(IntakeError):
    """A feed's new content is not believed (empty, cut, a page, too different) and was not applied."""


class StoreError(DnsblError):
    """The store cannot do what was asked."""


class SnapshotError(DnsblError):
    """A snapshot file cannot be used."""


class WithheldError(DnsblError):
    """A zone is not given away because of entries that may not be."""


class PublishRefused(DnsblError):
    """A built zone tripped a check; nothing was published."""


class ProofError(DnsblError):
    """What is asked as proof of control could not be looked up. The message is for the one who asks."""


class TransferError(DnsblError):
    """A zone could not be taken from another server. The message says what is wrong with what it sent."""


class TsigError(DnsblError):
    """A reply from another name server is not believed; what it says about keys and clocks is in the message."""


class StartError(DnsblError):
    """The server cannot start."""
