"""What the tests of mail share: short ways to make one, and the real ones."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no finding.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


@pytest.fixture
def mail() -> Callable[..., bytes]:
    """A mail of a body and header fields; `_` in a field's name is a dash."""

    def make(body: str | bytes = "text\n", **fields: str) -> bytes:
        fields = {"From": "a@sender.example", **fields}
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        return head.encode() + b"\r\n" + (body.encode() if isinstance(body, str) else body)

    return make


@pytest.fixture(scope="session")
def real_mail(real_input: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Path]]:
    """The files of one of the archives of real mail."""

    def unpacked(name: str) -> list[Path]:
        where = tmp_path_factory.mktemp(name)
        with tarfile.open(real_input / "mail" / f"spamassassin-{name}.tar.gz") as archive:
            archive.extractall(where, filter="data")
        return sorted(where.rglob("*.eml"))

    return unpacked
