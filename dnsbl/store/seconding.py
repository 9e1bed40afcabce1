"""What needs two people, and who asked first."""

from __future__ import annotations

from .base import Base
from .contract import Asked

__all__ = ["SecondingPart"]

MAX_ASKED = 1000  # deeds that wait for a second person; the oldest go


class SecondingPart(Base):
    def second(self, deed: str, who: str, at: int, since: int) -> bool:
        with self.transaction() as connection:
            connection.execute("DELETE FROM seconding WHERE at < ?", (since,))
            first = connection.execute("SELECT who FROM seconding WHERE deed = ?", (deed,)).fetchone()
            if first is not None and first[0] != who:
                connection.execute("DELETE FROM seconding WHERE deed = ?", (deed,))
                return True
            connection.execute("INSERT OR REPLACE INTO seconding (deed, who, at) VALUES (?, ?, ?)", (deed, who, at))
            connection.execute(
                "DELETE FROM seconding WHERE deed IN "
                "(SELECT deed FROM seconding ORDER BY at DESC, deed LIMIT -1 OFFSET ?)",
                (MAX_ASKED,),
            )
        return False

    def asked(self, since: int) -> list[Asked]:
        rows = self.rows("SELECT deed, who, at FROM seconding WHERE at >= ? ORDER BY at DESC, deed", since)
        return [Asked(*row) for row in rows]
