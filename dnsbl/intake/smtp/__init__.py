"""The trap's receiver: a server for SMTP (RFC 5321) and LMTP (RFC 2033) that takes mail for declared addresses and
hands it over. It relays nothing, knows no store, and holds no mail longer than whoever takes it needs."""

from __future__ import annotations

from .counters import REASONS, Counters
from .envelope import Envelope, Recipient
from .limits import Limits
from .receiver import Receiver

__all__ = ["REASONS", "Counters", "Envelope", "Limits", "Receiver", "Recipient"]
