"""What tests of traps share: an application with declared traps, mails, and a way to send them to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dnsbl import config
from dnsbl.app import App
from dnsbl.config.server import TrapConfig
from dnsbl.intake.traps import Traps

ADDRESSES = [
    {"domain": "trap.example", "class": "pristine"},
    {"domain": "recycled.example", "class": "recycled"},
    {"domain": "typo.example", "class": "typo"},
    {"address": "fbl@trap.example", "class": "feedback"},
]
SPAMMER = "46.151.182.230"


def trap_config(**more: object) -> TrapConfig:
    said = {"listen": "127.0.0.1:0", "resolver": "off", "relays": ["127.0.0.0/8"], "addresses": ADDRESSES, **more}
    return TrapConfig.model_validate(said)


def with_traps(settings: config.Settings, **more: object) -> config.Settings:
    return settings.model_copy(update={"config": settings.config.model_copy(update={"trap": trap_config(**more)})})


@asynccontextmanager
async def trapping(app: App) -> AsyncIterator[Traps]:
    """The trap role over an application, as the back process runs it, without settling."""
    traps = Traps(app.settings.config.trap, app.store, app.gate, app.token, lambda: None)
    await traps.start()
    try:
        yield traps
    finally:
        await traps.close()


async def judged(traps: Traps) -> None:
    """Until no verdict is under way."""
    while traps.verdicts:
        await asyncio.gather(*traps.verdicts)


def mail(
    body: str = "buy at http://www.spammy-shop.com/now",
    *header: str,
    peer: str = SPAMMER,
    sender: str = "evil@evil-sender.com",
    to: str = "someone@trap.example",
) -> bytes:
    """A mail as a relay of ours hands it over: its Received line on top."""
    lines = [
        *[line for line in header if line.startswith("Authentication-Results")],
        f"Received: from helo.evil.example (unknown [{peer}])\r\n\tby mx.trap.example (Postfix) with ESMTP id 1234;"
        " Sat, 21 Nov 2026 10:00:00 +0000",
        f"From: Evil <{sender}>",
        f"To: {to}",
        "Subject: buy it",
        "Message-ID: <1@evil-sender.com>",
        *[line for line in header if not line.startswith("Authentication-Results")],
        "",
        body,
    ]
    return "\r\n".join(lines).encode() + b"\r\n"
