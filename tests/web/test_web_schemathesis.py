"""The API against its own description: schemathesis asks what the description allows and forbids, and holds the answers
to it. What it cannot know is what text is a subject: that a valid string is refused is no finding
(positive_data_acceptance)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from website import serving

EXAMPLES = 5  # made up for each operation, beside those that cover each keyword of its schema
# Ends the key that asks, or fetches from the network.
LEFT_OUT = "/v1/desk/deeds/keys/revoke"
HOOKS = """
import schemathesis

@schemathesis.serializer("application/x-ndjson")
def ndjson(_, value):
    import json
    return json.dumps(value).encode()
"""


@pytest.mark.heavy
@pytest.mark.timeout(280)
@pytest.mark.long
async def test_it_finds_nothing(tmp_path: Path) -> None:
    import asyncio

    hooks = tmp_path / "hooks.py"
    hooks.write_text(HOOKS)
    async with serving(tmp_path / "data") as site:
        secret = site.key("report", "read", "review", "admin")
        command = [
            str(Path(sys.executable).with_name("st")), "run", f"http://127.0.0.1:{site.port}/openapi.json",
            "-H", f"Authorization: Bearer {secret}", "--max-examples", str(EXAMPLES), "--checks", "all",
            "--exclude-checks", "positive_data_acceptance", "--phases", "coverage,fuzzing,stateful",
            "--exclude-path", LEFT_OUT, "--continue-on-failure", "--no-color", "--request-timeout", "20",
            "--generation-deterministic",
        ]  # fmt: skip
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)}
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=270
        )
        async with site.client.get("/healthz") as response:
            assert response.status == 200
    assert done.returncode == 0, done.stdout[-30000:] + done.stderr[-2000:]
    assert "Tested: " in done.stdout
