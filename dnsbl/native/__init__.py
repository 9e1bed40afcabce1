"""The native path, where it was built: the one module that tries to import it.

It is a Rust crate in this directory, built by `pip install` where a Rust toolchain is there and left out where none
is. `DNSBL_NATIVE=off` turns it off without changing any file.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

__all__ = ["OFF", "module", "why"]

OFF = "off"


def find() -> tuple[ModuleType | None, str]:
    """The extension, and why it is there or not."""
    if os.environ.get("DNSBL_NATIVE", "").lower() == OFF:
        return None, "turned off by DNSBL_NATIVE=off"
    try:
        return import_module("._native", __name__), "built"
    except ModuleNotFoundError:
        return None, "not built: there was no Rust toolchain (cargo) at installation; get one and install again"
    except ImportError as error:
        return None, f"not to be loaded: {error}"


module, why = find()
