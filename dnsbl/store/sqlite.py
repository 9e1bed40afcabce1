"""The SQLite store, put together from its parts.

One file in WAL mode (and its -wal and -shm beside it while open). Failures: a full disk refuses the change and
keeps what was there; a damaged page is found by `check`; a file from a newer program is refused. Restart: open it;
SQLite replays its log.
"""

from __future__ import annotations

from pathlib import Path

from ..config import Config
from ..errors import StoreError
from .claims import ClaimsPart
from .exempting import ExemptingPart
from .few import FewPart
from .figures import FiguresPart
from .finding import FindingPart
from .forgetting import ForgettingPart
from .guarding import GuardingPart
from .hooking import HookingPart
from .keeping import KeepingPart
from .mailing import MailingPart
from .people import PeoplePart
from .querying import QueryingPart
from .removing import RemovingPart
from .seconding import SecondingPart

__all__ = ["SqliteStore", "open_store"]


class SqliteStore(
    ClaimsPart,
    FewPart,
    ExemptingPart,
    GuardingPart,
    ForgettingPart,
    FiguresPart,
    KeepingPart,
    RemovingPart,
    MailingPart,
    PeoplePart,
    HookingPart,
    SecondingPart,
    FindingPart,
    QueryingPart,
):
    """`dnsbl.store.contract.Store` in one SQLite file."""


def open_store(config: Config) -> SqliteStore:
    """The store that the configuration names, made where there is none. Raises StoreError."""
    url = config.store.url
    path = config.data_dir / "store.sqlite" if url == "sqlite" else Path(url.removeprefix("sqlite:///"))
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)  # reports and keys are not for everybody
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be made ({error.strerror}); choose another data_dir") from error
    return SqliteStore(path)
