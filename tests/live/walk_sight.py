"""How a page is looked at: by axe-core, for its width, and kept as a picture where DNSBL_SHOTS names a directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from walking import AXE, DESK, PHONE

SHOTS = os.environ.get("DNSBL_SHOTS")
# Rules that look at colours are run for each scheme, all others once for each width: schemes differ in colours alone.
COLOURS = ["color-contrast", "link-in-text-block"]
MUCH = {"runOnly": {"type": "rule", "values": COLOURS}}
ALL: dict[str, Any] = {"rules": {"color-contrast-enhanced": {"enabled": False}, "target-size": {"enabled": True}}}


def seen(page: Any, name: str) -> None:
    """The page that is open, at both widths and in both schemes. Its colours are the same at both widths."""
    found = []
    for width, size in (("phone", PHONE), ("desk", DESK)):
        page.set_viewport_size(size)
        for scheme, options in (("light", ALL), ("dark", MUCH if width == "phone" else None)):
            if options is None and not SHOTS:
                continue
            page.emulate_media(color_scheme=scheme)
            keep(page, f"{name}-{width}-{scheme}")
            found += [f"{width} {scheme}: {each}" for each in violations(page, options or MUCH)]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{width}: {wide} px wider than its window"] if wide > 0 else []
    assert found == [], f"{name}: {page.url}"


def violations(page: Any, options: dict[str, Any]) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{rule['id']} ({rule['help']}): {node['html'][:200]} {node['failureSummary'][:300]}"
        for rule in found
        for node in rule["nodes"]
    ]


def keep(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)
