"""What every configuration file stands on: the model, and the kinds of value that several of them have."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ..clock import duration

__all__ = ["RESERVED", "DnsTtl", "Listen", "Model", "Name", "Network", "Seconds", "Share", "parse_listen"]

Seconds = Annotated[int, BeforeValidator(duration), Field(ge=0, le=10 * 366 * 86_400)]
DnsTtl = Annotated[int, BeforeValidator(duration), Field(ge=0, le=2**31 - 1)]  # RFC 2181 section 8
Share = Annotated[float, Field(ge=0, le=1)]
HostName = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
RESERVED = frozenset(("operator", "removal", "never-list"))  # sources and origins that are no feed


class Model(BaseModel):
    """What all of them are. Checks are made ready when a model is first used: most processes use few of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


def host_name(text: str) -> str:
    """A DNS name without its trailing dot, as configured for NS, MNAME and origins."""
    if not isinstance(text, str) or len(text) > 253 or not HostName.fullmatch(text):
        raise ValueError(f"not a DNS name: {text!r}")
    return text.rstrip(".")


def network(text: object) -> object:
    """An address or network. Raises ValueError with one sentence."""
    if isinstance(text, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return text
    try:
        return ipaddress.ip_network(text if isinstance(text, str) else "")
    except ValueError:
        said = f"{text!r:.100}; write 192.0.2.0/24 or 2001:db8::/32, with no bits set after the prefix"
        raise ValueError(f"not a network: {said}") from None


Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(network)]
Name = Annotated[str, BeforeValidator(host_name)]


def parse_listen(text: str) -> tuple[str, int]:
    """`127.0.0.1:53` or `[::1]:53` as (address, port). Raises ValueError."""
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"not an address and port: {text!r}; write 127.0.0.1:53 or [::1]:53")
    return str(ipaddress.ip_address(host)), int(port)


def socket_text(host: str, port: int) -> str:
    """An address and port as `parse_listen` reads them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen_text(text: str) -> str:
    parse_listen(text)
    return text


Listen = Annotated[str, BeforeValidator(listen_text)]
