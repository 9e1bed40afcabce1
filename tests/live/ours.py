"""Our own program as one more secondary, beside those of `secondaries`: `serve --role dns` that follows by transfer."""

from __future__ import annotations

import sys

from secondaries import Secondary
from server import ROOT

__all__ = ["Mirror"]


class Mirror(Secondary):
    """Its zones are declared by the primary's files, in `zones` beside its own directory."""

    program = "dnsbl"
    algorithm = "hmac-sha512"

    def configure(self) -> list[str]:
        primary = f"127.0.0.1:{self.primary.port}"
        follow = "".join(
            f'[[follow]]\nzone = "{origin.partition(".")[0]}"\nprimaries = ["{primary}"]\nkey = "{self.key.name}"\n'
            for origin in self.primary.zones
        )
        (self.directory / "dnsbl.toml").write_text(
            f'data_dir = "data"\nzones_dir = "../zones"\nfeeds_dir = "../no-feeds"\n'
            f'[dns]\nlisten = ["127.0.0.1:{self.port}"]\n{self.key.toml()}{follow}'
        )
        command = [sys.executable, "-m", "dnsbl", "-c", str(self.directory / "dnsbl.toml"), "serve", "--role", "dns"]
        return ["env", f"PYTHONPATH={ROOT}", "OPENBLAS_NUM_THREADS=1", *command]
