"""What partners own, and who is told of it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Hooks"]


class Hooks(Protocol):
    """What partners own, and who is told of it."""
