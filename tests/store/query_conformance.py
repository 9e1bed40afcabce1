"""What any store must do with keys for DNS and their use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dnsbl.store.contract import KeyLimits, QueryKey, QueryUse, Store

NOW = 1_800_000_000


class QueryConformance:
    """Derive, and say how a store is opened."""

    opener: Callable[[Path], Store]

    @pytest.fixture
    def store(self, tmp_path: Path):  # type: ignore[no-untyped-def]
        made = type(self).opener(tmp_path)
        yield made
        made.close()

    def add(self, store: Store, name: str, scopes: list[str], limits: KeyLimits | None = None) -> int:
        source = store.source(name, "partner", trust=0.5)
        return store.add_key(name, name.encode(), source.id, scopes, NOW, NOW + 9, limits).id

    def test_keys_for_other_things_and_revoked_ones_are_none_of_dns(self, store: Store) -> None:
        self.add(store, "reports", ["report", "read"])
        number = self.add(store, "asks", ["query"], KeyLimits(queries=5, query_zones=("ip",)))
        self.add(store, "asked", ["query"])
        store.revoke_key("asked", NOW)
        assert store.query_keys() == [QueryKey(number, b"asks", ("ip",), 5, NOW + 9)]

    def test_the_version_of_keys_is_another_after_each_change(self, store: Store) -> None:
        seen = [store.keys_version(), store.keys_version()]
        self.add(store, "one", ["query"])
        seen.append(store.keys_version())
        self.add(store, "two", ["query"])
        seen.append(store.keys_version())
        store.revoke_key("one", NOW)
        seen.append(store.keys_version())
        store.revoke_key("two", NOW)
        seen.append(store.keys_version())
        assert len(set(seen)) == len(seen) - 1

    def test_use_adds_up_by_day_and_a_batch_counts_once(self, store: Store) -> None:
        assert store.add_query_usage("a", [QueryUse(1, 5, "ip", 1, 0), QueryUse(1, 6, "ip", 2, 1)])
        assert store.add_query_usage("b", [QueryUse(1, 6, "ip", 2, 1), QueryUse(2, 6, "x", 7, 0)])
        assert not store.add_query_usage("a", [QueryUse(1, 5, "ip", 1, 0)])
        assert store.query_usage(6) == [QueryUse(1, 6, "ip", 4, 2), QueryUse(2, 6, "x", 7, 0)]
        assert store.query_usage(0, 1) == [QueryUse(1, 5, "ip", 1, 0), QueryUse(1, 6, "ip", 4, 2)]

    def test_a_batch_says_when_a_key_was_last_used(self, store: Store) -> None:
        number = self.add(store, "one", ["query"])
        store.add_query_usage("a", [QueryUse(number, 20_000, "ip", 1, 0), QueryUse(number, 19_999, "ip", 1, 0)])
        assert [key.last_used for key in store.all_keys()] == [20_000 * 86_400]
