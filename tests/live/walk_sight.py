"""How a page is looked at: by axe-core, for its width, and kept as a picture where DNSBL_SHOTS names a directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from walking import AXE, DESK, PHONE

SHOTS = os.environ.get("DNSBL_SHOTS")
# All rules once, at a desk's width in light; on a phone those that depend on how the page is laid out; in the dark what
# looks at colours, which are the same at both widths.
COLOURS = ["color-contrast", "link-in-text-block"]
LAYOUT = ["target-size", "scrollable-region-focusable"]
ALL: dict[str, Any] = {"rules": {"color-contrast-enhanced": {"enabled": False}, "target-size": {"enabled": True}}}
LOOKS: list[tuple[str, Any, str, Any]] = [
    ("phone", PHONE, "light", {"runOnly": {"type": "rule", "values": LAYOUT}}),
    ("phone", PHONE, "dark", {"runOnly": {"type": "rule", "values": COLOURS}}),
    ("desk", DESK, "light", ALL),
]


def seen(page: Any, name: str) -> None:
    """The page that is open, at both widths and in both schemes."""
    found = []
    for width, size, scheme, options in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        keep(page, f"{name}-{width}-{scheme}")
        found += [f"{width} {scheme}: {each}" for each in violations(page, options)]
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
