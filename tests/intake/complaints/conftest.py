"""What the tests of the complaints share: samples, and short ways to make a mail and a report."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "complaints"

# A busy machine is no finding.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


@pytest.fixture
def sample() -> Callable[[str], bytes]:
    return lambda name: (SAMPLES / name).read_bytes()


@pytest.fixture(scope="session")
def mailed() -> Callable[..., bytes]:
    """A mail with a text and further parts, each (media type, body)."""

    def make(*parts: tuple[str, bytes], kind: str = "multipart/mixed") -> bytes:
        lines = [b"From: Desk <desk@fbl.example>", b"To: victim@mail.example", b"MIME-Version: 1.0"]
        lines += [f'Content-Type: {kind}; boundary="=_b"'.encode(), b"", b"--=_b", b"", b"Hello."]
        for media, body in parts:
            lines += [b"--=_b", f"Content-Type: {media}".encode(), b"", body]
        return b"\r\n".join([*lines, b"--=_b--", b""])

    return make


@pytest.fixture(scope="session")
def zipped() -> Callable[..., bytes]:
    """A zip of files, each (name, content)."""

    def make(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", method) as archive:
            for name, content in files:
                archive.writestr(name, content)
        return packed.getvalue()

    return make


@pytest.fixture(scope="session")
def squeezed() -> Callable[[bytes], bytes]:
    return lambda data: gzip.compress(data, mtime=0)
