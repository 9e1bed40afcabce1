"""A running server follows what another process switches, without a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from server import Server, until

FEED = """
title = "Mine"
url = "{url}"
format = "plain"
category = "spam"
trust = 0.9
licence = "none"
period = "1m"
"""


def state(server: Server) -> str:
    found: str = json.loads(server.http("GET", "/v1/feeds")[1])[0]["state"]
    return found


@pytest.mark.timeout(180)
@pytest.mark.long
def test_a_feed_that_is_switched_is_pulled_or_let_go_by_the_server_that_runs(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("46.0.0.7\n")
    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds" / "mine.toml").write_text(FEED.format(url=(tmp_path / "list.txt").as_uri()))
    with Server(tmp_path, feeds="feeds") as server:
        until(lambda: server.listed("46.0.0.7") == ["127.0.0.2"])
        assert server.run("feed", "disable", "mine", "--why", "lists us").returncode == 0
        assert state(server) == "off"
        (tmp_path / "list.txt").write_text("46.0.0.8\n")
        assert server.run("feed", "enable", "mine").returncode == 0
        until(lambda: server.listed("46.0.0.8") == ["127.0.0.2"], "it is pulled again")
        assert state(server) == "ok"
