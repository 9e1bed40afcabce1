"""What one client may take, and all of them together. What an operator may want otherwise is in TrapConfig."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, octets and counts. RFC 5321 section 4.5.3.2 asks for 5 minutes between commands; spam software that
    needs more than one is rare, and connections are what a flood uses up first."""

    idle: float = 60.0  # seconds from one command, or piece of a mail, to the next
    session: float = 600.0  # seconds from the first to the last octet of a connection
    proxy: float = 5.0  # seconds until a proxy's header is whole
    data: float = 300.0  # seconds for one mail
    rate: int = 1024  # octets a second on average, once a mail has taken `idle`: against one octet at a time
    accept: float = 45.0  # seconds that the taker has; below `idle`, so that the client hears of it
    close: float = 10.0  # seconds that mails under way have when the server stops

    held: int = 64 * 2**20  # octets of mails in memory, together
    reserve: int = 16 * 2**20  # of those, for the first `small` octets of each mail: large ones cannot crowd out all
    small: int = 64 * 2**10  # nine in ten spam mails are smaller
    line: int = 64 * 2**10  # octets of one line; RFC 5321 section 4.5.3.1.6 says 1000, spam software cannot count
    discarded: int = 4  # a mail that is refused is read to its end up to so many times max_bytes, then cut

    recipients: int = 100  # of one mail; RFC 5321 section 4.5.3.1.8: at least 100
    mails: int = 100  # of one session
    commands: int = 250  # of one kind in one session, where there is no other limit
    errors: int = 200  # replies 4xx and 5xx in one session; lists of old addresses are long
