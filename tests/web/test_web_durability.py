"""What was acknowledged survives `kill -9`."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession
from website import settings_in

from dnsbl.store import open_store
from dnsbl.subjects import parse

HERE = Path(__file__).parent
SENDERS, ENOUGH = 16, 150
SECONDS = 60  # for a round


async def start(directory, name):
    """A child that serves; the process, its port and a key."""
    path = os.pathsep.join([str(HERE), str(HERE.parent), str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")])
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "durable_child.py"), str(directory), name,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    async with asyncio.timeout(SECONDS):
        port, secret = (await child.stdout.readline()).decode().split()
    return child, int(port), secret


class Round:
    """Senders to one child; `enough` is set once so many reports were acknowledged."""

    def __init__(self, wanted):
        self.wanted, self.acknowledged, self.enough = wanted, [], asyncio.Event()

    async def send(self, client, prefix):
        """Post addresses of one's own, one by one, until the server is gone."""
        for last in range(250):
            subject = f"{prefix}.{last}"
            try:
                async with client.post("/v1/reports", json={"subject": subject}) as response:
                    assert response.status == 200
                    assert (await response.json())["taken"] == 1
            except (ClientError, ConnectionError):
                return
            self.acknowledged.append(subject)
            if len(self.acknowledged) >= self.wanted:
                self.enough.set()


@pytest.mark.parametrize("rounds", [2, pytest.param(5, marks=pytest.mark.long)])
async def test_every_acknowledged_report_survives_kill_9(tmp_path, rounds):
    everything = []
    for number in range(rounds):
        child, port, secret = await start(tmp_path, f"round{number}")
        here = Round(ENOUGH + 20 * number)
        headers = {"Authorization": f"Bearer {secret}"}
        async with asyncio.timeout(SECONDS), ClientSession(f"http://127.0.0.1:{port}", headers=headers) as client:
            senders = [asyncio.create_task(here.send(client, f"8.{number}.{n}")) for n in range(SENDERS)]
            enough = asyncio.create_task(here.enough.wait())
            await asyncio.wait([enough, *senders], return_when=asyncio.FIRST_COMPLETED)
            child.kill()
            await asyncio.gather(*senders)
            await asyncio.wait_for(enough, 1)
        async with asyncio.timeout(SECONDS):
            await child.communicate()
        everything += here.acknowledged
        store = open_store(settings_in(tmp_path).config)
        kept = {row[0] for row in store.rows("SELECT subject FROM report")}
        assert {parse(subject) for subject in everything} <= kept
        assert store.check() == []
        store.close()
    assert len(everything) >= rounds * ENOUGH
