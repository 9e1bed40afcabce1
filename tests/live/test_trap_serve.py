"""The trap as it is served: real spam by many real clients at once, hostile mail, and nothing that is lost or kept too
long."""

from __future__ import annotations

import smtplib
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from real_corpus import RELAYS
from server import SECONDS, Server, configure, free_port, until

from dnsbl.keyed import Keyed
from dnsbl.store.sqlite import SqliteStore
from dnsbl.subjects import text

CLIENTS = 20
MEMORY = 300 * 1024  # KiB that the process may ever have had
UNREAD = 3  # mails of the 500 whose lines do not say who handed them over


class Trap:
    """A server with traps, and what a test asks of it."""

    def __init__(self, directory: Path, *more: str) -> None:
        self.port, self.lmtp = free_port(), free_port()
        path = configure(directory)
        relays = ", ".join(f'"{network}"' for network in ["127.0.0.0/8", *RELAYS])
        with path.open("a") as file:
            file.write(
                f'[trap]\nlisten="127.0.0.1:{self.port}"\nlmtp="127.0.0.1:{self.lmtp}"\nresolver = "off"\n'
                f"relays = [{relays}]\n" + "\n".join(more) + "\n"
                '[[trap.addresses]]\ndomain = "trap.example"\nclass = "pristine"\n'
                '[[trap.addresses]]\ndomain = "typo.example"\nclass = "typo"\n'
                '[[trap.addresses]]\naddress = "fbl@trap.example"\nclass = "feedback"\n'
            )
        self.server = Server(directory, config=path, role="dns,trap")

    def send(self, data: bytes, to: str, sender: str = "someone@sender.example") -> None:
        with smtplib.SMTP("127.0.0.1", self.port, timeout=SECONDS) as smtp:
            smtp.sendmail(sender, [to], data)

    def send_all(self, mails: list[tuple[str, bytes]]) -> None:
        """CLIENTS connections at once, each with its share of the mails."""

        def client(share: list[tuple[str, bytes]]) -> None:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=SECONDS) as smtp:
                for to, data in share:
                    assert smtp.sendmail("someone@sender.example", [to], data) == {}

        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(client, [mails[n::CLIENTS] for n in range(CLIENTS)]))

    def store(self) -> SqliteStore:
        return SqliteStore(self.server.data / "store.sqlite")

    def memory(self) -> int:
        """KiB of the process that takes mail, at most so far."""
        status = Path(f"/proc/{self.server.back()}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    made = Trap(tmp_path)
    with made.server:
        yield made


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trap]:
    """One for all hostile mail: what it has ever had is bounded over all of it."""
    made = Trap(tmp_path_factory.mktemp("hardened"))
    with made.server:
        yield made


def real_mails(real_input: Path, name: str) -> list[bytes]:
    with tarfile.open(real_input / "mail" / f"spamassassin-{name}.tar.gz") as archive:
        files = [archive.extractfile(member) for member in archive if member.name.endswith(".eml")]
        return [file.read() for file in files if file]


def claims(store: SqliteStore, source: str) -> dict[str, set[str]]:
    """Who was claimed by whom: reporter -> subjects."""
    found: dict[str, set[str]] = {}
    query = (
        "SELECT reporter.name, report.subject FROM report JOIN reporter ON reporter.id = report.reporter "
        "JOIN source ON source.id = report.source WHERE source.name = ?"
    )
    for reporter, subject in store.rows(query, source):
        found.setdefault(reporter, set()).add(text(subject))
    return found


@pytest.mark.data
def test_real_spam_by_twenty_clients_at_once(trap: Trap, real_input: Path) -> None:
    """Every mail is acknowledged once and ends in a report about who handed it to the receiving side."""
    mails = real_mails(real_input, "spam-1")
    assert len(mails) == 500
    trap.send_all([(f"t{number:03}@trap.example", data) for number, data in enumerate(mails)])
    token = Keyed(trap.server.data).token
    store = trap.store()

    def accused_by_each() -> dict[int, set[str]]:
        found = claims(store, "trap-pristine")
        return {number: found.get(token(f"t{number:03}@trap.example"), set()) for number in range(len(mails))}

    # List mail waits for its verdict, after it was acknowledged.
    until(lambda: sum(not subjects for subjects in accused_by_each().values()) == UNREAD, "each mail claims its sender")
    accused = accused_by_each()
    assert all(len(subjects) <= 1 for subjects in accused.values()), "one mail has one sender"
    for subjects in accused.values():
        for subject in subjects:
            address = ip_address(subject)
            assert address.is_global
            assert not any(address in network for network in RELAYS if network.version == address.version)
    names = {text(subject) for (subject,) in store.rows("SELECT DISTINCT subject FROM report WHERE subject > x'64'")}
    assert {"site-personals.com", "cheapsmoking.com", "directwebstore.com"} <= names
    store.close()
    plain = next(subject for number, data in enumerate(mails) if b"List-" not in data for subject in accused[number])
    until(lambda: trap.server.listed(plain), "the sender is listed")
    assert trap.memory() < MEMORY


@pytest.mark.data
def test_hard_ham_to_a_typo_trap_lists_nothing(trap: Trap, real_input: Path) -> None:
    mails = real_mails(real_input, "hard-ham-1")
    assert len(mails) == 250
    trap.send_all([(f"t{number:03}@typo.example", data) for number, data in enumerate(mails)])
    store = trap.store()
    until(lambda: store.touched_count() == 0, "all is decided")
    assert store.rows("SELECT count(*) FROM report")[0][0] > 250
    assert store.rows("SELECT count(*) FROM listing")[0][0] == 0
    store.close()


GOOD = b"Received: from h (h [46.151.182.230]) by mx (Postfix) with SMTP id 1\r\nFrom: a@b.example\r\n\r\nhi\r\n"


def boundaries(count: int) -> bytes:
    head = b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    return head + b"--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n" * count + b"--x--\r\n"


HOSTILE = {
    "10,000 parts": boundaries(10_000),
    "a header line of 900 kB": b"Subject: " + b"x" * 900_000 + b"\r\n\r\nhi\r\n",
    "100,000 header fields": b"A: b\r\n" * 100_000 + b"\r\nhi\r\n",
    "a line of 900 kB": b"From: a@b.example\r\n\r\n" + b"x" * 900_000 + b"\r\n",
    "too large": b"From: a@b.example\r\n\r\n" + b"x" * 70 * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_costs_its_sender_and_nobody_else(hardened: Trap, name: str) -> None:
    trap, other = hardened, f"46.{151 + list(HOSTILE).index(name)}.182.230"

    def hostile(_: int) -> None:
        with suppress(smtplib.SMTPException, ConnectionError):  # refused, or taken within bounds: both are answers
            trap.send(HOSTILE[name], "x@trap.example")

    with ThreadPoolExecutor(CLIENTS) as pool:
        flood = [pool.submit(hostile, number) for number in range(40)]
        trap.send(GOOD.replace(b"46.151.182.230", other.encode()), "y@trap.example")
        for each in flood:
            each.result()
    until(lambda: trap.server.listed(other), "the other client's mail counts")
    assert trap.memory() < MEMORY


def test_complaints_that_are_bombs_are_taken_and_claim_nothing(trap: Trap) -> None:
    entity = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><feedback>&b;</feedback>'
    mail = (
        b"From: dmarc@provider.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
        b'Content-Type: text/xml; name="r.xml"\r\n\r\n' + entity + b"\r\n--x--\r\n"
    )
    trap.send(mail, "fbl@trap.example")
    store = trap.store()
    assert store.rows("SELECT count(*) FROM report")[0][0] == 0
    store.close()


def test_lmtp_answers_for_each_recipient(trap: Trap) -> None:
    with smtplib.LMTP("127.0.0.1", trap.lmtp) as client:
        refused = client.sendmail("a@b.example", ["x@trap.example", "nobody@elsewhere.example"], GOOD)
    assert set(refused) == {"nobody@elsewhere.example"}
    until(lambda: trap.server.listed("46.151.182.230"), "it counts")


@pytest.mark.peer
def test_swaks_by_a_proxy(tmp_path: Path) -> None:
    """A real client with a PROXY header in front: the proxy's word for its peer is taken, and no Received line."""
    trap = Trap(tmp_path, 'proxy = ["127.0.0.0/8"]')
    with trap.server:
        command = ["swaks", "--server", f"127.0.0.1:{trap.port}", "--to", "x@trap.example", "--from", "a@b.example"]
        command += ["--proxy-version", "1", "--proxy-family", "TCP4", "--proxy-source", "46.151.182.230"]
        command += ["--proxy-source-port", "4711", "--proxy-dest", "127.0.0.1", "--proxy-dest-port", str(trap.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: trap.server.listed("46.151.182.230"), "the proxy's peer is listed")
        with socket.create_connection(("127.0.0.1", trap.port), timeout=SECONDS) as bare:
            bare.sendall(b"EHLO x\r\n")
            assert b"250" not in bare.recv(100), "who must say PROXY first and does not is not served"


def test_without_declared_traps_nobody_listens(tmp_path: Path) -> None:
    with Server(tmp_path, role="dns,trap") as server:
        assert '"trap":[]' in server.out.text.replace(" ", "")
