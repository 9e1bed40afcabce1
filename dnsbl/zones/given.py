"""What of a zone is given away: exports, transfers and mirrors take this; answers and look-ups have everything.

Where the pointer says that entries are withheld, only the snapshot in `shared` is given, which may be older: one that
could not be written leaves the one before. Where nothing is withheld, it is the zone itself.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import SnapshotError, WithheldError
from .served import Pointer, ServedZone, read_pointer

__all__ = ["SHARED", "given", "given_pointer", "given_serial"]

SHARED = "shared"


def given(directory: Path, before: ServedZone | None = None) -> ServedZone | None:
    """The zone as it may be given away; None where nothing is published. What of the view before is still the same is
    not read again. Raises SnapshotError, and WithheldError where the zone's terms are to refuse."""
    pointer = given_pointer(directory)
    if pointer is None:
        return None
    view = pointer.open(before)
    view.withheld = pointer.withheld
    return view


def given_pointer(directory: Path) -> Pointer | None:
    """Which files of a zone may be given away, with how many entries are withheld; None where nothing is published.
    Raises SnapshotError, and WithheldError as above."""
    pointer = read_pointer(directory)
    if pointer is None or not pointer.withheld:
        return pointer
    if pointer.refuses:
        raise WithheldError(
            f"zone {directory.name} is not given away: feeds' terms forbid it for {pointer.withheld:,} of its entries"
        )
    shared = read_pointer(directory / SHARED)
    if shared is None:
        raise SnapshotError(f"{directory}: what may be given away could not be written yet; look into the log")
    shared.withheld = pointer.withheld
    return shared


def given_serial(directory: Path) -> int | None:
    """The serial that is given away now; None where nothing is, or nobody can read which."""
    try:
        pointer = given_pointer(directory)
    except (SnapshotError, WithheldError):
        return None
    return pointer.serial if pointer else None
