"""The path that answers: tests of a running server are run over both."""

from __future__ import annotations

from collections.abc import Iterator

import clients
import pytest

from dnsbl import native

BOTH = {"test_dns_server", "test_hash_peers", "test_peers", "test_rfc8906", "test_tcp", "test_udp"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__ in BOTH and "path" in metafunc.fixturenames:
        alone = metafunc.definition.get_closest_marker("python_path")
        metafunc.parametrize("path", ["python"] if alone else ["python", "native"], indirect=True)


@pytest.fixture(autouse=True)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    """`clients.serving` serves over this path."""
    wanted = getattr(request, "param", "python")
    if wanted == "native" and native.module is None:
        pytest.skip(f"the native path is {native.why}")
    clients.PATH = wanted
    yield wanted
    clients.PATH = "python"
