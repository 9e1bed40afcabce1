"""Mail that goes out: to a real server that is away, hangs, refuses, or is told lies about; none is lost."""

from __future__ import annotations

import asyncio
import email
import logging
import ssl
from collections.abc import Callable, Iterator
from email import policy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from removal_peers import MailServer

from dnsbl.config import MailConfig
from dnsbl.errors import StoreError
from dnsbl.removal import relay as relay_module
from dnsbl.removal.letters import Letter, wire
from dnsbl.removal.mailer import Mailer
from dnsbl.store import SqliteStore
from dnsbl.store.contract.mail import Outgoing

NOW = 1_790_000_000
HOUR, DAY = 3600, 86_400
TEXT = "Open this link: https://bl.example/delist/confirm?token=abc\n"


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> int:
        return self.at


class Post:
    """A queue and what sends it: to the mail server of the test."""

    def __init__(self, store: SqliteStore, **settings: Any) -> None:
        self.store, self.clock = store, Clock()
        self.config = MailConfig(sender="removals@bl.example", **settings)
        self.letters: Callable[[Outgoing], Letter | None] = lambda mail: Letter(f"Removal {mail.challenge}", TEXT)
        self.mailer = self.sender(store)

    def sender(self, store: Any) -> Mailer:
        return Mailer(self.config, store, lambda mail: self.letters(mail), self.clock, seconds=5)

    def queue(self, challenge: int = 1, recipient: str = "abuse@firm.com") -> None:
        assert self.store.queue_mail(challenge, recipient, recipient, "en", self.clock.at)

    def state(self, challenge: int = 1) -> tuple[str, str]:
        (mail,) = self.store.mail_of(challenge)
        return mail.state, mail.said


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store.sqlite")
    yield made
    made.close()


@pytest.fixture
async def post(store: SqliteStore, relay: MailServer) -> Post:
    return Post(store, relay=relay.address)


async def test_a_mail_goes_out(post: Post, relay: MailServer) -> None:
    post.queue()
    assert await post.mailer.send_due() == 1
    ((sender, recipients, data),) = relay.taken
    assert (sender, recipients) == ("removals@bl.example", ["abuse@firm.com"])
    mail = email.message_from_bytes(data, policy=policy.default)
    assert (mail["From"], mail["To"], mail["Subject"]) == ("removals@bl.example", "abuse@firm.com", "Removal 1")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.timestamp() == NOW
    assert mail["Message-ID"].endswith("@bl.example>")
    assert mail.get_content().splitlines() == TEXT.splitlines()
    assert post.state()[0] == "sent"
    assert await post.mailer.send_due() == 0


async def test_many_go_over_one_connection(post: Post, relay: MailServer) -> None:
    for number in range(12):
        post.queue(number, f"a{number}@firm.com")
    assert await post.mailer.send_due() == 12
    assert (len(relay.taken), relay.connections) == (12, 1)


async def test_the_loop_sends_when_it_is_woken_and_ends_when_it_is_cancelled(post: Post, relay: MailServer) -> None:
    arrived = asyncio.Event()
    relay.data = lambda: arrived.set() or "250 ok"  # type: ignore[func-returns-value]
    running = asyncio.create_task(post.mailer.run())
    for number in range(3):
        arrived.clear()
        post.queue(number, f"a{number}@firm.com")
        post.mailer.wake()
        async with asyncio.timeout(20):
            await arrived.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_without_a_relay_nothing_is_sent_and_nothing_lost(store: SqliteStore) -> None:
    post = Post(store)
    post.queue()
    await post.mailer.run()
    assert post.state() == ("waiting", "")


async def test_the_mail_server_is_away_for_an_hour(post: Post, relay: MailServer) -> None:
    """And the process is started anew meanwhile."""
    await relay.stop()
    post.queue()
    tries = 0
    for minute in range(60):
        post.clock.at = NOW + 60 * minute
        tries += await post.mailer.send_due()
    assert tries == 4, "at once, and after 1, 5 and 15 minutes"
    assert post.state()[0] == "waiting"
    post.store.close()
    post.store = SqliteStore(post.store.path)
    post.mailer = post.sender(post.store)
    await relay.start()
    post.clock.at = NOW + 2 * HOUR
    assert await post.mailer.send_due() == 1
    assert (len(relay.taken), post.state()[0]) == (1, "sent")
    post.store.close()


async def test_after_a_day_nobody_waits_any_more(post: Post, relay: MailServer) -> None:
    await relay.stop()
    post.queue()
    while post.state()[0] == "waiting":
        (mail,) = post.store.mail_of(1)
        post.clock.at = mail.next
        assert await post.mailer.send_due() == 1
    assert NOW + 22 * HOUR < post.clock.at < NOW + DAY
    assert post.state()[0] == "failed"


async def test_a_no_for_good_is_kept_with_its_words(post: Post, relay: MailServer) -> None:
    """But not whom it was about."""
    relay.rcpt = lambda recipient: f"550-5.1.1 <{recipient.upper()}>\r\n550 no such user \x1b[31m" + "x" * 300
    post.queue()
    await post.mailer.send_due()
    state, said = post.state()
    assert state == "failed"
    assert said.startswith("550 5.1.1 <(recipient)> no such user ")
    assert len(said) == 200 and said.isprintable()
    post.clock.at += 2 * DAY
    assert await post.mailer.send_due() == 0


async def test_one_refused_recipient_does_not_hold_up_the_others(post: Post, relay: MailServer) -> None:
    relay.rcpt = lambda recipient: "550 no" if recipient == "a1@firm.com" else "250 ok"
    for number in range(3):
        post.queue(number, f"a{number}@firm.com")
    await post.mailer.send_due()
    assert [post.state(number)[0] for number in range(3)] == ["sent", "failed", "sent"]


async def test_a_no_to_the_text_is_for_good_and_a_not_now_is_not(post: Post, relay: MailServer) -> None:
    replies = ["554 spam", "451 greylisted", "452 full"]
    relay.data = lambda: replies.pop(0) if replies else "250 ok"
    for number in range(3):
        post.queue(number, f"a{number}@firm.com")
    await post.mailer.send_due()
    assert [post.state(number) for number in range(3)] == [
        ("failed", "554 spam"), ("waiting", "451 greylisted"), ("waiting", "452 full"),
    ]  # fmt: skip
    post.clock.at += 60
    await post.mailer.send_due()
    assert [post.state(number)[0] for number in range(3)] == ["failed", "sent", "sent"]


async def test_a_server_that_closes_in_the_middle(post: Post, relay: MailServer) -> None:
    """421 and gone; the rest goes over a new connection."""
    replies = ["421 going down"]
    relay.rcpt = lambda recipient: replies.pop() if replies else "250 ok"
    for number in range(3):
        post.queue(number, f"a{number}@firm.com")
    await post.mailer.send_due()
    states = [post.state(number)[0] for number in range(3)]
    assert states.count("sent") == len(relay.taken) >= 1
    post.clock.at += 60
    await post.mailer.send_due()
    assert [post.state(number)[0] for number in range(3)] == ["sent"] * 3


async def test_a_server_that_does_not_greet_is_left(store: SqliteStore, silence: str) -> None:
    post = Post(store, relay=silence)
    post.mailer.seconds = 0.1
    post.queue()
    await post.mailer.send_due()
    assert post.state() == ("waiting", "no answer in time")


async def test_a_server_that_hangs_is_not_waited_for_once_for_each_mail(post: Post, relay: MailServer) -> None:
    held = asyncio.Event()

    async def hang(*_: object) -> str:
        await held.wait()
        return "250 too late"

    relay.handle_RCPT = hang  # type: ignore[method-assign]
    post.mailer.seconds = 0.2
    for number in range(20):
        post.queue(number, f"a{number}@firm.com")
    assert await post.mailer.send_due() == 20
    assert {post.state(number) for number in range(20)} == {("waiting", "no answer in time")}
    assert relay.connections == 3
    held.set()


async def test_a_server_that_hangs_over_the_text_is_left(post: Post, relay: MailServer) -> None:
    """What happened to the mail is not known: it is sent again."""
    held = asyncio.Event()

    async def hang(server: Any, session: Any, envelope: Any) -> str:
        await held.wait()
        return "250 too late"

    relay.handle_DATA, taking = hang, relay.handle_DATA  # type: ignore[method-assign]
    post.mailer.seconds = 0.3
    post.queue()
    await post.mailer.send_due()
    assert post.state() == ("waiting", "no answer in time")
    held.set()
    relay.handle_DATA = taking  # type: ignore[method-assign]
    post.mailer.seconds, post.clock.at = 5, NOW + 60
    await post.mailer.send_due()
    assert post.state()[0] == "sent"


async def test_what_cannot_be_written_down_is_not_sent_over_and_over(post: Post, relay: MailServer) -> None:
    """The disk fills up between the sending and its record: the mail goes out again after the pause, not before."""

    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(post.store, name)

        def mail_done(self, *args: object) -> None:
            raise StoreError("the disk is full")

    mailer = post.sender(Full())
    post.queue()
    assert await mailer.round() is False
    for second in range(60):
        post.clock.at = NOW + second
        await mailer.round()
    assert len(relay.taken) == 1
    post.clock.at = NOW + 60
    await post.mailer.send_due()
    ids = {email.message_from_bytes(message)["Message-ID"] for *_, message in relay.taken}
    assert (len(relay.taken), len(ids), post.state()[0]) == (2, 1, "sent"), "both copies have one identity"


async def test_a_store_that_cannot_be_read_stops_nothing(
    post: Post, relay: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def mail_due(self, *args: object) -> list[Outgoing]:
            raise StoreError("the store is damaged")

    assert await post.sender(Broken()).round() is False
    assert "the store is damaged" in caplog.text


async def test_what_there_is_nothing_left_to_ask_for_is_dropped(post: Post, relay: MailServer) -> None:
    post.letters = lambda mail: None
    post.queue()
    await post.mailer.send_due()
    assert (post.state()[0], relay.taken) == ("dropped", [])
    assert post.store.mail_of(1)[0].recipient == ""


async def test_a_text_that_cannot_be_made_holds_up_no_other(post: Post, relay: MailServer) -> None:
    def letters(mail: Outgoing) -> Letter:
        if mail.challenge == 1:
            raise StoreError("cannot be read")
        return Letter("subject", TEXT if mail.challenge == 3 else "\ud800")

    post.letters = letters
    for number in (1, 2, 3):
        post.queue(number, f"a{number}@firm.com")
    await post.mailer.send_due()
    assert [post.state(number)[0] for number in (1, 2, 3)] == ["waiting", "waiting", "sent"]
    post.letters = lambda mail: Letter("subject", TEXT)
    post.clock.at += 60
    await post.mailer.send_due()
    assert [post.state(number)[0] for number in (1, 2)] == ["sent", "sent"]


@pytest.mark.parametrize(
    "recipient", ["a@b.com\r\nRCPT TO:<x@y.com>", "a@b.com>,<x@y.com", "x", "a@[5.6.7.8]", "-x@y.com"]
)
async def test_who_is_no_mailbox_is_never_told_to_the_server(post: Post, relay: MailServer, recipient: str) -> None:
    post.queue(1, recipient)
    await post.mailer.send_due()
    assert post.state() == ("failed", "the recipient is no mailbox")
    assert relay.connections == 0


async def test_starttls_is_used_where_it_is_offered(post: Post, relay: MailServer, tls: ssl.SSLContext) -> None:
    relay.options = {"tls_context": tls}
    post.queue()
    await post.mailer.send_due()
    assert relay.encrypted == [True]


async def test_a_login_goes_over_tls(store: SqliteStore, relay: MailServer, tls: ssl.SSLContext) -> None:
    relay.options = {"tls_context": tls, "authenticator": relay.login, "auth_required": True}
    post = Post(store, relay=relay.address, username="we", password="right")
    post.queue()
    await post.mailer.send_due()
    assert (relay.logins, relay.encrypted, post.state()[0]) == ([(b"we", b"right")], [True], "sent")


async def test_a_login_that_is_refused_is_the_operators_to_mend(
    store: SqliteStore, relay: MailServer, tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    relay.options = {"tls_context": tls, "authenticator": relay.login, "auth_required": True}
    post = Post(store, relay=relay.address, username="we", password="secret-of-ours")
    post.queue()
    await post.mailer.send_due()
    assert post.state()[0] == "waiting"
    assert post.state()[1].startswith("535")
    assert "535" in caplog.text
    assert "secret-of-ours" not in caplog.text


async def test_mail_leaves_this_host_encrypted_or_not_at_all(
    post: Post, relay: MailServer, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a server elsewhere, which this one is taken for: with STARTTLS, and a certificate that can be verified."""
    monkeypatch.setattr(relay_module, "local", lambda host: False)
    post.queue()
    await post.mailer.send_due()
    assert post.state()[0] == "waiting"
    assert "STARTTLS" in post.state()[1]
    relay.options = {"tls_context": tls}
    post.clock.at += 60
    await post.mailer.send_due()
    assert "certificate" in post.state()[1].lower()
    assert relay.taken == []


async def test_no_recipient_is_in_the_log(post: Post, relay: MailServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dnsbl")
    relay.rcpt = lambda recipient: f"{'450' if recipient.startswith('a1') else '550'} <{recipient}> no"
    for number in range(3):
        post.queue(number, f"a{number}@firm.com")
    await post.mailer.send_due()
    assert "failed after 1 tries" in caplog.text
    assert "@firm.com" not in caplog.text


@given(st.text(max_size=300), st.text(st.characters(codec="utf-8"), max_size=300))
def test_no_field_can_be_put_in(subject: str, body: str) -> None:
    """Whatever stands in what is said: the names of listed domains and mail of strangers among it."""
    mail = Outgoing(1, 1, "abuse@firm.com", "en", NOW, NOW, 1, "waiting", "")
    try:
        data = wire(Letter(subject, body), mail, "removals@bl.example", NOW)
    except UnicodeEncodeError:  # half a character: the mail waits
        assert any("\ud800" <= letter <= "\udfff" for letter in subject + body)
        return
    assert data.isascii()
    assert max(map(len, data.split(b"\r\n"))) <= 998
    read = email.message_from_bytes(data, policy=policy.default)
    assert set(read.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding",
    }  # fmt: skip
    assert (read["To"], len(read.keys())) == ("abuse@firm.com", 9)
