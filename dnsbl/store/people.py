"""People at the desk, their passkeys and sessions."""

from __future__ import annotations

from .base import Base

__all__ = ["PeoplePart"]


class PeoplePart(Base):
    """People at the desk, their passkeys and sessions."""
