"""What is kept of a transfer is bounded, whatever a primary says."""

from __future__ import annotations

import pytest
from worlds import zone

from dnsbl.errors import TransferError
from dnsbl.following import gathered
from dnsbl.following.gathered import EXEMPT, Gathered
from dnsbl.following.messages import TXT, A


@pytest.mark.parametrize(("rtype", "data"), [(A, b"\x7f\0\0\2"), (TXT, EXEMPT)])
def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch, rtype: int, data: bytes) -> None:
    monkeypatch.setattr(gathered, "MAX_NAMES", 10)
    taken = Gathered(zone("domain", "domain"))
    with pytest.raises(TransferError, match="more than 10 names"):
        for number in range(20):
            taken.add((b"\x02%02d" % number, rtype, 60, data))
