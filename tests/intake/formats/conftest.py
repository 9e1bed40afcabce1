"""What the tests of the formats share: samples, the large real input, and short ways to say what is expected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "tests" / "samples"


# A busy machine is no finding.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


@pytest.fixture
def data_dir() -> Path:
    """The large real input; the test is skipped, saying so, where it is missing."""
    path = Path(os.environ.get("DNSBL_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real input at {path}: set DNSBL_DATA")
    return path


@pytest.fixture
def sample():
    return lambda name: (SAMPLES / name).read_bytes()
