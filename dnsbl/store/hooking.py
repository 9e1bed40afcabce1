"""What partners own, and who is told of it."""

from __future__ import annotations

from .base import Base

__all__ = ["HookingPart"]


class HookingPart(Base):
    """What partners own, and who is told of it."""
