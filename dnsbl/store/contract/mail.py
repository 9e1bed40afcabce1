"""Mail that is to be sent."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Mail"]


class Mail(Protocol):
    """Mail that is to be sent."""
