"""Mail that is to be sent."""

from __future__ import annotations

from .base import Base

__all__ = ["MailingPart"]


class MailingPart(Base):
    """Mail that is to be sent."""
