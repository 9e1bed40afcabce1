"""What an operator does: sees sources and sets them, takes away what one of them claimed and puts it back, decides what
waits, switches feeds and releases what was held back, searches, and reads the trail of it all.

Every deed says who does it and is in the audit trail, in the same transaction. The caller settles afterwards. The
command line, the API and the pages of the desk all come here; `seconding` says which deeds need two people where they
come from a page.
"""

from .audit import AuditPart
from .purging import VOICES
from .search import SearchPart
from .seconding import SecondingPart
from .sources import SourcesPart

__all__ = ["VOICES", "Desk"]


class Desk(SourcesPart, SearchPart, SecondingPart, AuditPart):
    """All doings on one store."""
