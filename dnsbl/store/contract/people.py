"""People at the desk, their passkeys and sessions."""

from __future__ import annotations

from typing import Protocol

__all__ = ["People"]


class People(Protocol):
    """People at the desk, their passkeys and sessions."""
