"""Real secondaries take our zones, follow every publish, and answer as we do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from asking import name4
from certificate import write_certificate
from same import Same
from secondaries import EVERY, Bind, Knot, Nsd, PowerDns, Primary, Secondary, needs
from server import ROOT, Server, free_port, until
from world import NOW, ZONES, World

from dnsbl import config, subjects
from dnsbl.app import App

STEPS = int(os.environ.get("DNSBL_TRANSFER_STEPS", "12"))  # of the long test; a run of hours has 200
FEW = 5
QUESTIONS = int(os.environ.get("DNSBL_TRANSFER_QUESTIONS", "300"))  # and asks 5,000
KNOT_WITH_TLS = (3, 5)
CATALOG = "catalog.dnsbl.test"
OTHERS = [f"46.1.{third}.7" for third in range(200)]  # so that a step is less than the whole

pytestmark = [pytest.mark.peer, *needs.values()]


# the primary


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that any user may read: some of them do not run as root."""
    made = Path(tempfile.mkdtemp(prefix="dnsbl-transfer-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made)


def configured(directory: Path, secondaries: Sequence[Secondary], port: int, tls_port: int) -> Path:
    (directory / "zones").mkdir()
    for name in ZONES:
        shutil.copy(ROOT / "zones" / f"{name}.toml", directory / "zones")
    write_certificate(directory)
    (directory / "no-feeds").mkdir()
    path = directory / "dnsbl.toml"
    zones = ", ".join(f'"{name}"' for name in ZONES)
    names = ", ".join(f'"{each.key.name}"' for each in secondaries)
    path.write_text(
        f'data_dir = "data"\nfeeds_dir = "no-feeds"\nzones_dir = "zones"\n[dns]\nlisten = ["127.0.0.1:{port}"]\n'
        f'transfer = ["127.0.0.0/8"]\ntransfer_keys = [{names}]\ncatalog = "{CATALOG}"\n'
        f'tls_listen = ["127.0.0.1:{tls_port}"]\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'
        + "".join(each.told(more="" if each.by_catalog else f"zones = [{zones}]\n") for each in secondaries)
    )
    return path


@contextmanager
def distributed(
    directory: Path, kinds: Sequence[type[Secondary]], listed: Sequence[str] = (), **how: bool
) -> Iterator[tuple[Server, App, list[Secondary]]]:
    """Our server with one publish, and these secondaries of it. The test publishes beside it, as the back does."""
    port, tls_port = free_port(), free_port()
    origins = [f"{name}.dnsbl.test" for name in ZONES]
    primary = Primary(port, origins, CATALOG, tls_port)
    secondaries = [kind(directory, primary, **how) for kind in kinds]
    path = configured(directory, secondaries, port, tls_port)
    with ExitStack() as running:
        app = running.enter_context(App(config.load(path)))
        app.reconcile()
        publish(app, "spam", listed)
        server = Server(directory, config=path, role="dns")
        # Who does not listen yet is told again after seconds. BIND that does not get through by TLS waits for minutes.
        for each in (server, *secondaries) if how.get("tls") else (*secondaries, server):
            running.enter_context(each)
        yield server, app, secondaries


def publish(app: App, category: str, listed: Iterable[str]) -> None:
    """These are listed in a category, and nothing else."""
    source = app.store.source(category, "import", trust=0.95)
    app.store.replace_entries(source.id, dict.fromkeys(map(subjects.parse, listed), 1), {}, category, NOW)
    app.settle()


def wait_for_all(app: App, secondaries: Sequence[Secondary]) -> None:
    for name in ZONES:
        for each in secondaries:
            each.wait_for(app.zones[name].origin, app.served(name).serial)


# what is promised


@pytest.mark.heavy
@pytest.mark.parametrize("steps", [FEW, pytest.param(STEPS, marks=pytest.mark.long)])
def test_every_secondary_follows_every_publish(directory: Path, steps: int) -> None:
    """BIND, Knot, NSD and PowerDNS, each by NOTIFY and IXFR with a key: after each step all answer alike."""
    with distributed(directory, EVERY) as (server, app, secondaries):
        world, same = World(app, 1), Same(dict(app.zones))
        wait_for_all(app, secondaries)
        for step in range(steps):
            world.change(400 if step == 0 else world.chosen.choice((1, 5, 60)))
            app.settle()
            wait_for_all(app, secondaries)
            same.hold(server.dns_port, secondaries, world.questions(QUESTIONS))
        assert "no transfer" not in server.err.text
    for name in ("Traceback", "was cut"):
        assert name not in server.err.text


@pytest.mark.parametrize("kind", [Bind, Knot])
def test_a_secondary_takes_its_zones_from_the_catalog(directory: Path, kind: type[Secondary]) -> None:
    """A zone that comes later is taken, one that goes is dropped, without a hand on the secondary."""
    with distributed(directory, [kind], by_catalog=True) as (server, app, [secondary]):
        wait_for_all(app, [secondary])
        (directory / "zones" / "domain.toml").rename(directory / "domain.toml")
        server.hang_up()
        until(lambda: secondary.serial("domain.dnsbl.test") == 0, "the zone is dropped")
        assert secondary.serial("ip.dnsbl.test")
        (directory / "domain.toml").rename(directory / "zones" / "domain.toml")
        server.hang_up()
        wait_for_all(app, [secondary])


def test_knot_lives_where_thousands_of_names_change_codes_at_once(directory: Path) -> None:
    """Before 3.2.9 it ran out of stack where names were left with more codes, or with fewer, and none came or went."""
    with distributed(directory, [Knot]) as (server, app, [secondary]):
        addresses = [f"46.0.{third}.{fourth}" for third in range(20) for fourth in range(1, 255)]
        publish(app, "malware", OTHERS)
        for category, listed in (("spam", addresses), ("attack", addresses), ("spam", [])):
            publish(app, category, listed)
            wait_for_all(app, [secondary])
        same = Same(dict(app.zones))
        asked = [("ip", name4((46 << 24) + number)) for number in range(0, 5120, 17)]
        same.hold(server.dns_port, [secondary], asked)


def test_powerdns_answers_where_a_network_is_listed_instead_of_an_address(directory: Path) -> None:
    """By itself it keeps names that had something below them in an AXFR, and no wildcard answers there."""
    with distributed(directory, [PowerDns], ["2.1.200.5", *OTHERS]) as (server, app, [secondary]):
        wait_for_all(app, [secondary])
        publish(app, "spam", ["2.1.0.0/16", *OTHERS])
        wait_for_all(app, [secondary])
        Same(dict(app.zones)).hold(server.dns_port, [secondary], [("ip", "5.200.1.2"), ("ip", "15.200.1.2")])


def knot_version() -> tuple[int, ...]:
    said = subprocess.run(["knotd", "--version"], check=True, capture_output=True, text=True).stdout
    return tuple(map(int, re.findall(r"[0-9]+", said)[:2]))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Bind, "#{}: Transfer status: success"),
        (Nsd, "127.0.0.1@{} TSIG verified"),
        (Knot, "IXFR, incoming, remote 127.0.0.1@{} TLS, key knotd.key., finished"),
    ],
)
def test_a_secondary_takes_its_zones_over_tls(directory: Path, kind: type[Secondary], said: str) -> None:
    """RFC 9103, the certificate checked."""
    if kind is Knot and knot_version() < KNOT_WITH_TLS:
        pytest.skip("this Knot checks no certificate of a primary; 3.5 does")
    with distributed(directory, [kind], tls=True) as (server, app, [secondary]):
        wait_for_all(app, [secondary])
        app.report("46.0.0.1", "attack", "operator")
        app.settle()
        wait_for_all(app, [secondary])
        assert said.format(secondary.primary.tls_port) in secondary.log()
        world, same = World(app, 2), Same(dict(app.zones))
        same.hold(server.dns_port, [secondary], world.questions(50))
