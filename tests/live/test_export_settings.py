"""Settings that mail programs get from us, in those programs: they are taken, and asked about real mail they say what
our DNS says. What is no listing (127.255.255.x) refuses nobody."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from building import small
from exports import namespace, program, run, write
from peers import end

from dnsbl.hashing import email_hash
from dnsbl.subjects import text as subject_text
from dnsbl.zones.served import ServedZone

SPAMMER, BLOCKED, OTHER = "9.9.9.9", "9.9.9.10", "9.9.9.11"  # listed; answered with an error code; neither
BAD_NAME, BAD_MAIL = "bad-shop.com", "spammer@else.com"
ERROR = "$DATASET ip4set:error @\n:127.255.255.254:over quota\n" + BLOCKED + "\n"
RESOLVER = "127.0.0.1"

pytestmark = [pytest.mark.peer, pytest.mark.heavy]


@dataclass(slots=True)
class World:
    directory: Path
    zones: dict[str, ServedZone]
    inside: list[str]  # what goes in front of a command that is to ask these zones


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A network in which the only name server, rbldnsd, has the zones."""
    rbldnsd = program("rbldnsd", "rbldnsd")
    directory = Path(tempfile.mkdtemp(prefix="dnsbl-settings-"))
    directory.chmod(0o755)
    mail = subject_text(email_hash(BAD_MAIL))
    zones = small(directory, {"spam": [SPAMMER, BAD_NAME, mail]})
    for name in ("ip", "domain", "hash"):
        write(zones[name], "rbldnsd", directory)
    with (directory / "ip.rbldnsd").open("a") as file:
        file.write(ERROR)
    try:
        with namespace("mail") as inside:
            run(*inside, "ip", "link", "set", "lo", "up")
            own = Path("/etc/netns") / inside[-1]  # `ip netns exec` puts its files over those of /etc
            own.mkdir(parents=True)
            (own / "resolv.conf").write_text(f"nameserver {RESOLVER}\n")
            server = started(rbldnsd, directory, zones, inside)
            try:
                wait_for(server, inside)
                yield World(directory, zones, inside)
            finally:
                shutil.rmtree(own)
                end(server)
    finally:
        shutil.rmtree(directory)


def started(rbldnsd: str, directory: Path, zones: dict[str, ServedZone], inside: list[str]) -> subprocess.Popen[bytes]:
    """rbldnsd on port 53 of the namespace."""
    specs = [f"{zones[name].zone.origin}:combined:{name}.rbldnsd" for name in ("ip", "domain", "hash")]
    command = [*inside, rbldnsd, "-n", "-u", "nobody", "-w", directory, "-c", "0"]
    return subprocess.Popen([*command, "-b", f"{RESOLVER}/53", *specs], stdout=subprocess.DEVNULL)


def wait_for(server: subprocess.Popen[bytes], inside: list[str]) -> None:
    asking = [*inside, program("dig", "bind9-dnsutils"), "+short", "+tries=1", "+time=1", f"@{RESOLVER}"]
    deadline = time.monotonic() + 30
    while b"127.0.0.2" not in subprocess.run([*asking, "2.0.0.127.ip.dnsbl.test"], capture_output=True).stdout:
        assert server.poll() is None and time.monotonic() < deadline, "rbldnsd does not answer"
        time.sleep(0.05)


# Exim


def exim() -> str:
    """`$DNSBL_EXIM` where it is not installed: Debian has either Exim or Postfix."""
    return os.environ.get("DNSBL_EXIM") or program("exim4", "exim4-daemon-light (or set DNSBL_EXIM)")


def exim_settings(world: World) -> Path:
    acl = write(world.zones["ip"], "exim", world.directory).read_text()
    acl += write(world.zones["domain"], "exim", world.directory).read_text()
    path = world.directory / "exim.conf"
    path.write_text(
        f"primary_hostname = mx.example\nlog_file_path = {world.directory}/exim-%slog\n"
        f"spool_directory = {world.directory}\n"
        f"domainlist relay_to = for.us\nacl_smtp_rcpt = rcpt\nbegin acl\nrcpt:\n{acl}accept\n"
        "begin routers\nhere:\n  driver = redirect\n  data = :blackhole:\n"
    )
    return path


def test_exim_takes_the_statements(world: World) -> None:
    done = run(exim(), "-C", exim_settings(world), "-bV")
    assert "Configuration file is" in done.stdout


@pytest.mark.parametrize(
    ("address", "sender", "refused"),
    [
        (SPAMMER, "a@free.com", "9.9.9.9 sends spam"),
        (BLOCKED, "a@free.com", ""),
        (OTHER, "a@free.com", ""),
        (OTHER, f"a@www.{BAD_NAME}", f"{BAD_NAME} is advertised by spam"),
    ],
)
def test_exim_refuses_who_is_listed(world: World, address: str, sender: str, refused: str) -> None:
    session = f"HELO free.com\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<me@for.us>\r\nQUIT\r\n"
    done = run(*world.inside, exim(), "-C", exim_settings(world), "-bh", address, input=session)
    answer = " ".join(line[4:] for line in done.stdout.splitlines() if line.startswith(("550", "450", "451")))
    assert (refused in answer) if refused else not answer, done.stdout + done.stderr


# Postfix


@pytest.mark.parametrize("name", ["ip", "domain"])
def test_postfix_takes_the_settings(world: World, name: str) -> None:
    postconf = program("postconf", "postfix")
    written = write(world.zones[name], "postfix", world.directory).read_text()
    directory = world.directory / f"postfix-{name}"
    shutil.copytree("/etc/postfix", directory)
    (directory / "main.cf").write_text(f"compatibility_level = 3.6\n{written}")
    done = run(postconf, "-c", directory, "-n")
    assert not done.stderr
    for word in [word for line in written.splitlines() if line.startswith(" ") for word in line.split()]:
        assert word in done.stdout


# SpamAssassin


def verdict(world: World, address: str, body: str = "Hello", sender: str = "a@free.com") -> set[str]:
    """The rules of ours that hit a message."""
    site = world.directory / "spamassassin"
    site.mkdir(exist_ok=True)
    (site / "rules").mkdir(exist_ok=True)
    (site / "rules" / "any.cf").write_text("header __ANY Subject =~ /./\n")  # with no rules at all it does not start
    shutil.copy("/usr/share/spamassassin/20_aux_tlds.cf", site / "rules")
    for plugins in Path("/etc/spamassassin").glob("*.pre"):
        shutil.copy(plugins, site)
    own = f"dns_available yes\ndns_server {RESOLVER}\nreport_safe 0\n"
    own += "trusted_networks 10.0.0.0/8\ninternal_networks 10.0.0.0/8\n"
    (site / "local.cf").write_text(f"{own}add_header all Hits _TESTS( )_\n")
    for name in ("ip", "domain", "hash"):
        shutil.copy(write(world.zones[name], "spamassassin", world.directory), site / f"{name}.cf")
    command = [program("spamassassin", "spamassassin"), "-C", site / "rules", "--siteconfigpath", site, "-x"]
    run(*command, "--lint")
    message = (
        f"Received: from free.com (free.com [{address}]) by mx.for.us (Postfix) with ESMTP id 1;\n"
        f"\tSun, 22 Nov 2026 06:00:00 +0000\nFrom: {sender}\nTo: me@for.us\nSubject: x\nMessage-ID: <1@free.com>\n"
        f"Date: Sun, 22 Nov 2026 06:00:00 +0000\n\n{body}\n"
    )
    found = run(*world.inside, *command, input=message).stdout
    hits = next(line for line in found.replace("\n\t", " ").splitlines() if line.startswith("X-Spam-Hits:"))
    return {rule for rule in hits.split() if rule.startswith("DNSBL_")}


@pytest.mark.parametrize(
    ("address", "body", "sender", "hits"),
    [
        (SPAMMER, "Hello", "a@free.com", {"DNSBL_IP_127_0_0_2"}),
        (BLOCKED, "Hello", "a@free.com", set()),
        (OTHER, f"See http://www.shop.{BAD_NAME}/now", "a@free.com", {"DNSBL_DOMAIN_127_0_1_2"}),
        (OTHER, "Hello", BAD_MAIL, {"DNSBL_HASH_127_0_3_2"}),
    ],
)
def test_spamassassin_knows_what_is_listed(world: World, address: str, body: str, sender: str, hits: set[str]) -> None:
    assert verdict(world, address, body, sender) == hits


# rspamd


@pytest.mark.parametrize("name", ["ip", "domain", "hash"])
def test_rspamd_takes_the_settings(world: World, name: str) -> None:
    rspamadm = program("rspamadm", "rspamd")
    directory = world.directory / f"rspamd-{name}"
    shutil.copytree("/etc/rspamd", directory)
    shutil.copy(write(world.zones[name], "rspamd", world.directory), directory / "local.d" / "rbl.conf")
    own = [f"--var=CONFDIR={directory}", f"--var=LOCAL_CONFDIR={directory}"]
    done = run(rspamadm, *own, "configtest", "-c", directory / "rspamd.conf")
    assert "syntax OK" in done.stdout
    dumped = run(rspamadm, *own, "configdump", "-c", directory / "rspamd.conf", "rbl").stdout
    symbol = f"DNSBL_{name.upper()}"
    assert symbol in dumped and all(code.code.replace(".", "%.") in dumped for code in world.zones[name].zone.codes)
