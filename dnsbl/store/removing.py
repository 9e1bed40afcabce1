"""Requests to be taken off, and what became of each."""

from __future__ import annotations

from .base import Base

__all__ = ["RemovingPart"]


class RemovingPart(Base):
    """Requests to be taken off, and what became of each."""
