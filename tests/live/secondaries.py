"""Real secondaries of one primary, each as its own configuration file has it: BIND, Knot, NSD, PowerDNS.

Each takes its zones by AXFR and IXFR with a key of its own, and believes NOTIFY. A directory and a port of its own.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pytest
from dnslib import QTYPE, DNSRecord
from peers import end
from server import free_port, over, until

SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
APT = {
    "named": "bind9", "knotd": "knot", "nsd": "nsd", "pdns_server": "pdns-server pdns-backend-sqlite3",
    "kdig": "knot-dnsutils",
}  # fmt: skip
END_WITHIN = 20  # seconds
PATIENCE = 25  # seconds until a secondary has a new serial: some of them try again after ten

needs = {
    program: pytest.mark.skipif(not shutil.which(program), reason=f"apt-get install {package}")
    for program, package in APT.items()
}


@dataclass(frozen=True)
class Primary:
    """Where the zones come from. `tls_port`: 0 where it has none."""

    port: int
    zones: Sequence[str]  # origins
    catalog: str = ""
    tls_port: int = 0


@dataclass(frozen=True)
class SharedKey:
    name: str
    algorithm: str
    secret: str

    @classmethod
    def of(cls, name: str, algorithm: str = "hmac-sha256") -> SharedKey:
        return cls(name, algorithm, base64.b64encode(name.encode().ljust(32, b"-")).decode())

    def toml(self) -> str:
        return f'[[dns.keys]]\nname = "{self.name}"\nalgorithm = "{self.algorithm}"\nsecret = "{self.secret}"\n'


class Secondary:
    """Running for the length of a `with`. `port`: where it answers, and takes NOTIFY."""

    program = ""
    algorithm = "hmac-sha256"
    empty_names = True  # a name with nothing but names below it exists (RFC 8020)

    def __init__(self, directory: Path, primary: Primary, *, by_catalog: bool = False, tls: bool = False) -> None:
        self.directory = directory / self.program
        self.directory.mkdir()
        self.directory.chmod(0o755)
        self.primary, self.by_catalog, self.tls = primary, by_catalog, tls
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> SharedKey:
        return SharedKey.of(f"{self.program.replace('_', '-')}.key", self.algorithm)

    def told(self, host: str = "127.0.0.1", more: str = "") -> str:
        """What its primary's configuration says of it; `host`: where that reaches it."""
        where = f'[[dns.secondaries]]\naddress = "{host}:{self.port}"\nkey = "{self.key.name}"\n'
        return self.key.toml() + where + more

    def configure(self) -> list[str]:
        """Write its files; the command that runs it in the foreground."""
        raise NotImplementedError

    def __enter__(self) -> Secondary:
        command = self.configure()
        with (self.directory / "log").open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        assert self.process is not None
        end(self.process)
        if error is not None:
            error.add_note(f"{self.program} said:\n{self.log()[-3000:]}")

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def serial(self, origin: str) -> int:
        """The serial it answers with; 0 where it has no zone."""
        with suppress(OSError):
            reply = DNSRecord.parse(over("127.0.0.1", self.port, DNSRecord.question(origin, "SOA").pack(), tcp=False))
            for record in reply.rr:
                if record.rtype == QTYPE.SOA:
                    return int(record.rdata.times[0])
        return 0

    def wait_for(self, origin: str, serial: int) -> None:
        assert self.process is not None
        alive = self.process
        until(
            lambda: self.serial(origin) == serial or alive.poll() is not None,
            f"{self.program} has serial {serial} of {origin}, not {self.serial(origin)}",
            PATIENCE,
        )
        assert alive.poll() is None, f"{self.program} ended"


class Bind(Secondary):
    """Whom it cannot reach by TCP it leaves alone for ten minutes, so it does not try that where UDP has no answer."""

    program = "named"

    def configure(self) -> list[str]:
        key, primary = self.key, self.primary
        tls = 'tls upstream { remote-hostname "primary.test"; ca-file "../cert.pem"; };\n' if self.tls else ""
        where = f"127.0.0.1 port {primary.tls_port if self.tls else primary.port} key {key.name}"
        where += " tls upstream" if self.tls else ""
        zones = [primary.catalog] if self.by_catalog else primary.zones
        catalog = f'zone "{primary.catalog}" default-primaries {{ {where}; }} min-update-interval 1;'
        text = f"""
            key {key.name} {{ algorithm {key.algorithm}; secret "{key.secret}"; }};
            {tls}
            options {{
                directory "{self.directory}"; pid-file none; listen-on port {self.port} {{ 127.0.0.1; }};
                listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; check-names secondary ignore;
                serial-query-rate 1000; try-tcp-refresh no; notify no; allow-notify {{ key {key.name}; }};
                minimal-responses yes;
                {f"catalog-zones {{ {catalog} }};" if self.by_catalog else ""}
            }};
            controls {{ }};
        """
        for zone in zones:
            text += f'zone "{zone}" {{ type secondary; primaries {{ {where}; }}; file "{zone}.db"; }};\n'
        (self.directory / "named.conf").write_text(text)
        return ["named", "-g", "-4", "-n", "1", "-c", str(self.directory / "named.conf")]


class Knot(Secondary):
    program = "knotd"
    algorithm = "hmac-sha384"

    def configure(self) -> list[str]:
        key, primary, here = self.key, self.primary, self.directory
        template = f"""
  - id: default
    storage: {here}
    journal-content: changes
    zonefile-sync: -1
    zonefile-load: none
    master: primary
    acl: from-primary
"""
        member = template.replace("id: default", "id: member")
        zones = "".join(f"\n  - domain: {zone}" for zone in primary.zones)
        catalog = f"\n  - domain: {primary.catalog}\n    catalog-role: interpret\n    catalog-template: member"
        ca_file = f"    ca-file: {here.parent}/cert.pem\n" if self.tls else ""
        tls = '    tls: on\n    cert-hostname: ["primary.test"]\n' if self.tls else ""
        (here / "knot.conf").write_text(f"""
server:
{ca_file}    rundir: {here}
    listen: 127.0.0.1@{self.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {here}
    journal-db-max-size: 256M
    timer-db-max-size: 16M
    catalog-db-max-size: 16M
log:
  - target: stderr
    any: info
key:
  - id: {key.name}
    algorithm: {key.algorithm}
    secret: {key.secret}
remote:
  - id: primary
    address: 127.0.0.1@{primary.tls_port if self.tls else primary.port}
    key: {key.name}
{tls}acl:
  - id: from-primary
    address: 127.0.0.1
    key: {key.name}
    action: notify
template:{template}{member}
zone:{catalog if self.by_catalog else zones}
""")
        return ["knotd", "-c", str(here / "knot.conf")]


class Nsd(Secondary):
    """Without its limit of 200 replies a second to one network, which is there by default."""

    program = "nsd"
    algorithm = "hmac-sha512"

    def configure(self) -> list[str]:
        key, primary, here = self.key, self.primary, self.directory
        where = (
            f"127.0.0.1@{primary.tls_port if self.tls else primary.port} {key.name}{' upstream' if self.tls else ''}"
        )
        text = f"""
server:
    ip-address: 127.0.0.1
    port: {self.port}
    tls-cert-bundle: "{here.parent}/cert.pem"
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{here}"
    database: ""
    logfile: "{here}/nsd.log"
    pidfile: "{here}/nsd.pid"
    xfrdfile: "{here}/xfrd.state"
    xfrdir: "{here}"
    zonelistfile: "{here}/zone.list"
    xfrd-reload-timeout: 0
    rrl-ratelimit: 0
    verbosity: 2
remote-control:
    control-enable: no
key:
    name: "{key.name}"
    algorithm: {key.algorithm}
    secret: "{key.secret}"
tls-auth:
    name: upstream
    auth-domain-name: "primary.test"
"""
        for zone in primary.zones:
            text += f"""
zone:
    name: "{zone}"
    zonefile: "{zone}.zone"
    request-xfr: {where}
    allow-notify: 127.0.0.1 {key.name}
"""
        (here / "nsd.conf").write_text(text)
        return ["nsd", "-d", "-c", str(here / "nsd.conf")]

    def log(self) -> str:
        said = self.directory / "nsd.log"
        return super().log() + (said.read_text(errors="replace") if said.exists() else "")


class PowerDns(Secondary):
    """Without `gsqlite3-dnssec`: with it what comes by IXFR is stored as not authoritative, and not answered (4.7). So
    it does not know of names that have nothing but names below them, and answers NXDOMAIN there. With a log beside its
    database who reads does not lock out who writes: a step that finds it locked is given up until the SOA's refresh."""

    program = "pdns_server"
    empty_names = False

    def configure(self) -> list[str]:
        key, here = self.key, self.directory
        (here / "pdns.conf").write_text(f"""
launch=gsqlite3
gsqlite3-database={here}/pdns.sqlite3
gsqlite3-pragma-journal-mode=WAL
gsqlite3-pragma-synchronous=0
config-dir={here}
socket-dir={here}
local-address=127.0.0.1
local-port={self.port}
secondary=yes
xfr-cycle-interval=1
allow-notify-from=127.0.0.1
cache-ttl=0
negquery-cache-ttl=0
query-cache-ttl=0
zone-cache-refresh-interval=0
receiver-threads=1
retrieval-threads=1
distributor-threads=1
guardian=no
daemon=no
security-poll-suffix=
loglevel=6
max-ent-entries=0
""")
        subprocess.run(["sqlite3", f"{here}/pdns.sqlite3"], input=SCHEMA.read_bytes(), check=True, timeout=END_WITHIN)
        self.tool("import-tsig-key", key.name, key.algorithm, key.secret)
        for zone in self.primary.zones:
            self.tool("create-secondary-zone", zone, f"127.0.0.1:{self.primary.port}")
            self.tool("activate-tsig-key", zone, key.name, "secondary")
            self.tool("set-meta", zone, "IXFR", "1")
        return ["pdns_server", f"--config-dir={here}"]

    def tool(self, *verb: str) -> None:
        command = ["pdnsutil", f"--config-dir={self.directory}", *verb]
        subprocess.run(command, check=True, capture_output=True, timeout=END_WITHIN)


EVERY: tuple[type[Secondary], ...] = (Bind, Knot, Nsd, PowerDns)
