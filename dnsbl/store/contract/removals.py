"""Requests to be taken off, and what became of each."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Removals"]


class Removals(Protocol):
    """Requests to be taken off, and what became of each."""
