"""A certificate of a server's own, as openssl makes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["write_certificate"]

SECONDS = 60  # more than any machine needs


def write_certificate(directory: Path, name: str = "primary.test") -> None:
    """`cert.pem` and `key.pem`, for two days; for a server of this name, signed by itself."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    command += ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=SECONDS)
