"""Clients that others wrote: smtplib, swaks; and real mail."""

from __future__ import annotations

import asyncio
import shutil
import smtplib
import ssl
import subprocess
import tarfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sink import SECONDS, sink

THREADS = 20
EACH = 15


async def test_each_of_many_threads_has_each_mail_taken_once() -> None:
    """Twenty smtplib clients, a connection for a few mails each; what was acknowledged is what was handed over."""

    def send(thread: int, port: int) -> list[str]:
        sent = []
        for first in range(0, EACH, 5):
            with smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as client:
                for number in range(first, first + 5):
                    name = f"{thread}-{number}"
                    text = f"Subject: {name}\n\n.dot\n..\n{'x' * (number * 1000)}\n"
                    assert client.sendmail("a@b.example", [f"{name}@trap.example", "x@no.example"], text).keys() == {
                        "x@no.example"
                    }
                    sent.append(name)
        return sent

    async with sink() as receiver:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(THREADS) as pool:
            jobs = [loop.run_in_executor(pool, send, thread, receiver.smtp) for thread in range(THREADS)]
            sent = [name for names in await asyncio.gather(*jobs) for name in names]
    names = Counter(mail.recipients[0].address.partition("@")[0] for mail in receiver.taker.mails)
    assert names == Counter(sent) and len(sent) == THREADS * EACH
    for mail in receiver.taker.mails:
        name = mail.recipients[0].address.partition("@")[0]
        number = name.partition("-")[2]
        assert mail.data == f"Subject: {name}\r\n\r\n.dot\r\n..\r\n{'x' * (int(number) * 1000)}\r\n".encode()


async def test_smtplib_with_tls_and_utf8(certificate: dict[str, Path]) -> None:
    def send(port: int) -> None:
        context = ssl.create_default_context(cafile=certificate["tls_cert"])
        context.check_hostname = False
        with smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as client:
            client.starttls(context=context)
            client.sendmail("ä@b.example", ["ü@trap.example"], "Subject: ü\n".encode(), ["SMTPUTF8", "BODY=8BITMIME"])
            assert client.docmd("NOOP")[0] == 250

    async with sink(**certificate) as receiver:
        await asyncio.to_thread(send, receiver.smtp)
    mail = receiver.taker.mails[0]
    assert (mail.mail_from, mail.recipients[0].address, mail.smtputf8) == ("ä@b.example", "ü@trap.example", True)
    assert mail.tls.startswith("TLSv1.")


async def test_lmtp_by_smtplib() -> None:
    def send(port: int) -> None:
        with smtplib.LMTP("127.0.0.1", port, timeout=SECONDS) as client:
            assert client.sendmail("", ["x@trap.example"], "Subject: a\n") == {}
            assert client.sendmail("", ["x@trap.example"], "Subject: b\n") == {}

    async with sink(lmtp="127.0.0.1:0") as receiver:
        await asyncio.to_thread(send, receiver.lmtp)
    assert [mail.data for mail in receiver.taker.mails] == [b"Subject: a\r\n", b"Subject: b\r\n"]


@pytest.mark.peer
@pytest.mark.parametrize(
    "how", [["--tls"], ["--pipeline"], ["--proxy-version", "1"], ["--proxy-version", "2"], ["--protocol", "LMTP"]]
)
async def test_swaks(how: list[str], certificate: dict[str, Path]) -> None:
    swaks = shutil.which("swaks")
    if swaks is None:
        pytest.skip("swaks is not installed")
    proxied = how[0] == "--proxy-version"
    behind = ["--proxy-family", "TCP4", "--proxy-source", "192.0.2.7", "--proxy-source-port", "4000",
              "--proxy-dest", "192.0.2.1", "--proxy-dest-port", "25"] if proxied else []  # fmt: skip
    if how == ["--proxy-version", "2"]:
        behind += ["--proxy-protocol", "STREAM", "--proxy-command", "PROXY"]
        behind[behind.index("TCP4")] = "AF_INET"
    async with sink(**certificate, lmtp="127.0.0.1:0", proxy=["127.0.0.1"] if proxied else []) as receiver:
        port = receiver.lmtp if "LMTP" in how else receiver.smtp
        command = [
            swaks,
            "--server",
            "127.0.0.1",
            "--port",
            str(port),
            "--to",
            "x@trap.example",
            "--from",
            "a@b.example",
        ]
        ran = await asyncio.to_thread(
            subprocess.run, [*command, "--helo", "swaks.example", *how, *behind], capture_output=True, timeout=SECONDS
        )
        assert ran.returncode == 0, ran.stdout.decode()
    mail = receiver.taker.mails[0]
    assert mail.helo == "swaks.example" and b"Subject: test" in mail.data
    assert (bool(mail.tls), mail.peer) == ("--tls" in how, "192.0.2.7" if proxied else "127.0.0.1")


@pytest.mark.data
async def test_real_spam_comes_through_octet_by_octet(real_input: Path) -> None:
    with tarfile.open(real_input / "mail" / "spamassassin-spam-1.tar.gz") as tar:
        files = filter(None, (tar.extractfile(member) for member in tar))
        mails = [b"\r\n".join(file.read().splitlines()) + b"\r\n" for file, _ in zip(files, range(200), strict=False)]

    def send(port: int) -> None:
        for start in range(0, len(mails), 50):
            with smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as client:
                for mail in mails[start : start + 50]:
                    client.sendmail("a@b.example", ["x@trap.example"], mail)

    async with sink() as receiver:
        await asyncio.to_thread(send, receiver.smtp)
    assert [mail.data for mail in receiver.taker.mails] == mails
