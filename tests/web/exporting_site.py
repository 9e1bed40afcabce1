"""Zones with something to take away, on a site of `website`."""

from __future__ import annotations

from dnsbl.subjects import parse


def publish_some(site, count=5):
    """So many addresses are listed, no two of them neighbours, and published."""
    source = site.app.store.source("list", "import", trust=0.9)
    hits = {parse(f"8.8.{n // 125}.{n % 125 * 2 + 1}"): 1 for n in range(count)}
    site.app.store.replace_entries(source.id, hits, {}, "spam", 1700000000)
    site.app.settle()
