"""Where there is no Rust toolchain, the installation goes on without the native path, and the program says so."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
import server as live
from server import Server, configure, environment, run

INSTALL_SECONDS = 240
NO_INDEX = ("No matching distribution", "Could not find a version", "NewConnectionError")

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(2 * INSTALL_SECONDS)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, copy_checkout: Callable[[Path], Path]) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def without_rust(checkout: Path) -> dict[str, str]:
    """An environment whose programs are those of a fresh venv that it was installed in, and no others."""
    venv = checkout / ".venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, capture_output=True, timeout=INSTALL_SECONDS)
    env = environment({"PATH": str(venv / "bin"), "PYTHONPATH": "", "DNSBL_NATIVE": ""})
    assert not any(shutil.which(tool, path=env["PATH"]) for tool in ("cargo", "rustc"))
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "."]
    done = subprocess.run(pip, cwd=checkout, env=env, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    if done.returncode and any(said in done.stderr for said in NO_INDEX):
        pytest.skip(f"nothing is installed: no package index ({done.stderr.splitlines()[-1]})")
    assert done.returncode == 0, done.stderr
    # What it depends on has nothing to do with Rust and is here already. A path alone: no .pth file there is read, so
    # nothing of this checkout comes with it.
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    (libraries / "here.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return env


def test_it_says_so_serves_and_is_not_required(
    checkout: Path, without_rust: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PROGRAM", [str(checkout / ".venv" / "bin" / "dnsbl")])
    config = configure(tmp_path)
    said = json.loads(run(config, "version", "--json", env=without_rust).stdout)
    assert said["native"] is False
    assert "Rust toolchain (cargo)" in said["why"]
    assert "install again" in said["why"]

    with Server(tmp_path, config=config, env=without_rust) as server:
        for tcp in (False, True):
            assert "127.0.0.2" in server.codes("2.0.0.127.ip.dnsbl.test", tcp=tcp)
        assert "_native" not in Path(f"/proc/{server.process.pid}/maps").read_text()

    config.write_text(config.read_text().replace("[dns]", '[dns]\nnative = "require"'))
    done = run(config, "serve", code=1, env=without_rust)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith('dnsbl: dns.native = "require", but the native path is not built: ')
