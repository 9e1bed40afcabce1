"""`python -m dnsbl` is `dnsbl`."""

from __future__ import annotations

import gc

__all__ = ["main"]


def main() -> None:
    """Import the verbs, then run one. What is imported stays: the collector need not look through it, neither while it
    grows, which takes part of the start, nor later, which holds up answers for milliseconds each time."""
    gc.disable()
    from .cli import main as run

    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
