"""How addresses, networks and names are written. Pure."""

from __future__ import annotations

from socket import AF_INET6, inet_ntoa, inet_ntop

__all__ = ["address4", "name_text", "network6", "nibbles6"]


def address4(number: int) -> str:
    return inet_ntoa(number.to_bytes(4, "big"))


def network6(first: int, prefix: int) -> str:
    """`2001:db8::/32`; a host without its /128."""
    host = inet_ntop(AF_INET6, first.to_bytes(16, "big"))
    return host if prefix == 128 else f"{host}/{prefix}"


def nibbles6(first: int, prefix: int) -> str:
    """`8.b.d.0.1.0.0.2` for 2001:db8::/32; the prefix is a multiple of four."""
    return ".".join(f"{first:032x}"[: prefix // 4][::-1])


def name_text(name: bytes) -> str:
    """A name from the top label in the usual order."""
    labels = name.decode("ascii").split(".")
    labels.reverse()
    return ".".join(labels)
