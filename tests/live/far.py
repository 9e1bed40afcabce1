"""Secondaries at the far end of a `BadWire`, whose primary is at the near one. Asked they are on their own loopback."""

from __future__ import annotations

from pathlib import Path

from bad_wire import FAR, NEAR
from ours import Mirror
from secondaries import Bind, Knot

__all__ = ["FarBind", "FarKnot", "FarMirror"]


class FarBind(Bind):
    def configure(self) -> list[str]:
        command = super().configure()
        amend(
            self.directory / "named.conf",
            {
                f"listen-on port {self.port} {{": f"listen-on port {self.port} {{ {FAR};",
                f"127.0.0.1 port {self.primary.port}": f"{NEAR} port {self.primary.port}",
                "recursion no;": "recursion no; min-refresh-time 1; min-retry-time 1;",
            },
        )
        return command


class FarKnot(Knot):
    def configure(self) -> list[str]:
        command = super().configure()
        amend(
            self.directory / "knot.conf",
            {
                f"listen: 127.0.0.1@{self.port}": f"listen: [127.0.0.1@{self.port}, {FAR}@{self.port}]",
                f"127.0.0.1@{self.primary.port}": f"{NEAR}@{self.primary.port}",
                "address: 127.0.0.1\n": f"address: {NEAR}\n",
                "journal-content: changes": "journal-content: all",  # what it answers from after a restart
            },
        )
        return command


class FarMirror(Mirror):
    def configure(self) -> list[str]:
        command = super().configure()
        amend(
            self.directory / "dnsbl.toml",
            {
                f'"127.0.0.1:{self.port}"': f'"127.0.0.1:{self.port}", "{FAR}:{self.port}"',
                f"127.0.0.1:{self.primary.port}": f"{NEAR}:{self.primary.port}",
            },
        )
        return command


def amend(path: Path, changes: dict[str, str]) -> None:
    text = path.read_text()
    for old, new in changes.items():
        assert old in text, f"{path.name} has no {old!r}"
        text = text.replace(old, new)
    path.write_text(text)
