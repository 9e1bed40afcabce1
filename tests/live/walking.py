"""The world that visitors walk through: the real program, a mail server that takes its mail, a DNS server that it looks
proofs up in, and a browser that minds every complaint."""

from __future__ import annotations

import email
import email.policy
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from dnslib import RCODE, RR, DNSRecord
from dnslib.server import DNSLogger, DNSServer
from server import ROOT, SECONDS, Server, configure, free_port

playwright = pytest.importorskip("playwright.sync_api", reason="no browser is driven: pip install playwright")
axe = pytest.importorskip("axe_playwright_python", reason="no axe-core: pip install axe-playwright-python")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = (Path(axe.__file__).parent / "axe.min.js").read_text()  # Deque's axe-core, as it is
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
# Real sums and the real wait are tried in tests/web/test_web_admission_browser.py. Here each form would cost seconds of
# every core, and so would not what is looked at. Read at the start of each process of the server.
MOST_TRIES, WAIT = 40, 15  # of a sum; seconds, longer than it takes to be too early
EASIER = f"from dnsbl.web.admission import tickets, work\n\nwork.MOST, tickets.WAIT = {MOST_TRIES}, {WAIT}\n"
WHERE_FROM = ("127.0.0.0/8", "::1/128")  # the browser is beside the server, and plays the proxy


class Postbox:
    """A mail server on the loopback, and all that it took."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, EmailMessage]] = []
        self.came = threading.Condition()
        self.port = free_port()
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        message = email.message_from_bytes(bytes(envelope.content), _class=EmailMessage, policy=email.policy.default)
        with self.came:
            self.mails += [(recipient, message) for recipient in envelope.rcpt_tos]
            self.came.notify_all()
        return "250 taken"

    def to(self, recipient: str) -> list[EmailMessage]:
        return [message for to, message in self.mails if to == recipient]

    def wait(self, recipient: str) -> EmailMessage:
        """The mail to somebody, once it is there."""
        with self.came:
            assert self.came.wait_for(lambda: self.to(recipient), SECONDS), f"no mail to {recipient} came"
            return self.to(recipient)[-1]


class Names:
    """A DNS server on the loopback with the records that it is told; everything else is NXDOMAIN."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], str] = {}
        self.port = free_port()
        self.server = DNSServer(self, port=self.port, address="127.0.0.1", logger=DNSLogger("error"))

    def resolve(self, request: DNSRecord, _: object) -> DNSRecord:
        reply, name, kind = request.reply(), str(request.q.qname).lower(), request.q.qtype
        found = [RR.fromZone(f"{at} 60 IN {t} {data}")[0] for (at, t), data in self.records.items() if at == name]
        reply.add_answer(*(record for record in found if record.rtype == kind))
        reply.header.rcode = RCODE.NOERROR if found else RCODE.NXDOMAIN
        return reply

    def host(self, address: str, name: str) -> None:
        """A host whose reverse name is confirmed."""
        self.records[f"{'.'.join(reversed(address.split('.')))}.in-addr.arpa.", "PTR"] = f"{name}."
        self.records[f"{name}.", "A"] = address


@contextmanager
def served(names: Names, postbox: Postbox) -> Iterator[None]:
    names.server.start_thread()
    postbox.controller.start()
    try:
        yield
    finally:
        postbox.controller.stop()
        names.server.stop()
        names.server.server.server_close()
        names.server.thread.join(SECONDS)


def configured(directory: Path, names: Names, postbox: Postbox) -> tuple[Path, str]:
    """A configuration, and the address of the pages. `localhost`: passkeys are bound to a name."""
    web = free_port()
    path, site = configure(directory, feeds="feeds", web=web), f"http://localhost:{web}"
    lines = [f"proxies = {list(WHERE_FROM)}".replace("'", '"'), f'public_url = "{site}"']
    lines += ["[mail]", f'relay = "127.0.0.1:{postbox.port}"', 'sender = "bl@bl-example.com"', 'tls = "off"']
    lines += ["[proof]", f'resolver = "127.0.0.1:{names.port}"', 'rdap = ""']
    with path.open("a") as file:
        file.write("\n".join(lines) + "\n")
    return path, site


def easier(directory: Path) -> dict[str, str]:
    """The environment of a server whose sums and waits are short."""
    here = directory / "easier"
    here.mkdir()
    (here / "sitecustomize.py").write_text(EASIER)
    return {"PYTHONPATH": f"{here}:{ROOT}"}


class World:
    """All of it. Visitors come each from a network of their own, and each tab's complaints are kept."""

    def __init__(self, server: Server, site: str, names: Names, postbox: Postbox, browser: Any) -> None:
        self.server, self.site, self.names, self.postbox, self.browser = server, site, names, postbox, browser
        self.networks = count(1)
        self.complaints: list[str] = []

    def address(self) -> str:
        """Of somebody from somewhere else."""
        return f"45.140.{next(self.networks)}.9"

    def visitor(self, address: str = "", script: bool = True, **options: Any) -> Any:
        """A tab of a browser of its own."""
        context = self.browser.new_context(
            base_url=self.site,
            java_script_enabled=script,
            extra_http_headers={"X-Forwarded-For": address or self.address()},
            locale="en-GB",
            **options,
        )
        context.set_default_timeout(SECONDS * 1000)
        context.on("console", self.complained)
        context.on("weberror", lambda error: self.complaints.append(f"{error.page and error.page.url}: {error.error}"))
        context.on("request", self.requested)
        return context.new_page()

    def complained(self, message: Any) -> None:
        if message.text.startswith("Failed to load resource: the server responded with a status of 4"):
            return  # a page that says no: what its status is, its test says
        if message.text.startswith("Failed to load resource: the server responded with a status of 503"):
            return
        self.complaints.append(f"{message.page and message.page.url}: {message.text}")

    def requested(self, request: Any) -> None:
        if not request.url.startswith((self.site + "/", "data:")):
            self.complaints.append(f"a request to {request.url}")

    def answers(self, subject: str, zone: str) -> str:
        return self.server.rcode(f"{subject}.{zone}.dnsbl.test")


@contextmanager
def world_in(directory: Path, before: Callable[[Path], None]) -> Iterator[World]:
    """`before` lays down what there is when the program starts; it gets the configuration."""
    names, postbox = Names(), Postbox()
    path, site = configured(directory, names, postbox)
    before(path)
    with ExitStack() as stack:
        stack.enter_context(served(names, postbox))
        server = stack.enter_context(Server(directory, config=path, env=easier(directory)))
        driver = stack.enter_context(playwright.sync_playwright())
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.callback(browser.close)
        yield World(server, site, names, postbox, browser)
