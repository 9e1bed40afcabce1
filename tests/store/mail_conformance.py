"""What any store must do with mail that is to be sent (`dnsbl.store.contract.mail`); part of `Conformance`'s kind: a
store's test file derives it and says how to open one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnsbl.store import Store
from dnsbl.store import mailing as mailing_module

NOW = 1_790_000_000
HOUR, DAY = 3600, 86_400


def queued(store: Store, challenge: int = 1, recipient: str = "abuse@firm.com", at: int = NOW) -> bool:
    """Queue a mail whose recipient stands for itself."""
    return store.queue_mail(challenge, recipient, f"token of {recipient}", "en", at)


class MailConformance:
    opener: Callable[[Path], Store]

    @pytest.fixture
    def store(self, tmp_path: Path):  # type: ignore[no-untyped-def]
        made = type(self).opener(tmp_path)
        yield made
        made.close()

    def test_what_is_queued_is_due_at_once(self, store: Store) -> None:
        assert queued(store)
        (mail,) = store.mail_due(NOW, 10)
        assert (mail.challenge, mail.recipient, mail.language, mail.at, mail.state) == (
            1, "abuse@firm.com", "en", NOW, "waiting",
        )  # fmt: skip
        assert (mail.tries, mail.next) == (1, NOW + 60)
        assert store.mail_of(1) == [mail]

    def test_what_was_taken_is_due_again_after_longer_and_longer_pauses(self, store: Store) -> None:
        """Whoever took it may have died."""
        queued(store)
        now, pauses = NOW, []
        for _ in range(7):
            (mail,) = store.mail_due(now, 10)
            assert store.mail_due(mail.next - 1, 10) == []
            pauses.append(mail.next - now)
            now = mail.next
        assert pauses == [60, 300, 900, HOUR, HOUR, HOUR, HOUR]

    def test_a_try_that_failed_waits_with_its_words(self, store: Store) -> None:
        queued(store)
        (mail,) = store.mail_due(NOW, 10)
        store.mail_done(mail.id, "waiting", "451 later")
        assert store.mail_due(NOW + 59, 10) == []
        (again,) = store.mail_due(NOW + 60, 10)
        assert (again.id, again.said, again.recipient, again.tries) == (mail.id, "451 later", "abuse@firm.com", 2)

    @pytest.mark.parametrize("state", ["sent", "failed", "dropped"])
    def test_when_it_is_over_the_recipient_is_forgotten(self, store: Store, state: str) -> None:
        queued(store)
        (mail,) = store.mail_due(NOW, 10)
        store.mail_done(mail.id, state, "words")
        (kept,) = store.mail_of(1)
        assert (kept.state, kept.said, kept.recipient) == (state, "words", "")
        assert store.mail_due(NOW + DAY, 10) == []
        store.mail_done(mail.id, "waiting", "too late")
        assert store.mail_of(1) == [kept], "what is over stays over"

    def test_the_longest_due_come_first_and_not_all_at_once(self, store: Store) -> None:
        for number in (3, 2, 1):
            queued(store, number, f"a{number}@firm.com", NOW + number)
        assert [mail.challenge for mail in store.mail_due(NOW + 2, 1)] == [1]
        assert [mail.challenge for mail in store.mail_due(NOW + 2, 10)] == [2]
        assert [mail.challenge for mail in store.mail_due(NOW + 62, 10)] == [3, 2, 1]

    def test_one_recipient_gets_little_mail_whoever_asks(self, store: Store) -> None:
        """Sent or not: counts do not depend on what became of it."""
        assert queued(store, 1)
        assert not queued(store, 2, at=NOW + 599)
        assert queued(store, 2, "other@firm.com", NOW + 599)
        store.mail_done(store.mail_due(NOW, 1)[0].id, "sent", "250 ok")
        assert not queued(store, 2, at=NOW + 599)
        for number in range(1, 5):
            assert queued(store, 2, at=NOW + 600 * number)
        assert not queued(store, 3, at=NOW + DAY - 1)
        assert queued(store, 3, at=NOW + DAY)
        assert not queued(store, 3, at=NOW + DAY + 599), "the day goes along"

    def test_what_was_refused_is_not_there(self, store: Store) -> None:
        queued(store, 1)
        assert not queued(store, 2)
        assert store.mail_of(2) == []

    def test_the_queue_is_bounded(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mailing_module, "MAX_WAITING", 3)
        assert [queued(store, n, f"a{n}@firm.com") for n in range(4)] == [True, True, True, False]
        store.mail_done(store.mail_due(NOW, 1)[0].id, "sent", "")
        assert queued(store, 4, "a4@firm.com")

    def test_what_is_still_to_be_sent_is_counted(self, store: Store) -> None:
        assert store.mail_waiting() == 0
        for number in range(3):
            queued(store, number, f"a{number}@firm.com")
        assert not queued(store, 3, "a0@firm.com")
        assert store.mail_waiting() == 3
        one, two, three = store.mail_due(NOW, 9)
        assert store.mail_waiting() == 3, "in somebody's hands it is not sent yet"
        for mail, state in ((one, "sent"), (two, "waiting"), (three, "failed")):
            store.mail_done(mail.id, state, "")
        assert store.mail_waiting() == 1

    def test_an_unfinished_transaction_queues_none(self, store: Store) -> None:
        with pytest.raises(RuntimeError), store.transaction():
            assert queued(store)
            raise RuntimeError
        assert (store.mail_waiting(), store.mail_of(1)) == (0, [])
        assert queued(store), "nor was it counted"

    def test_what_is_old_is_forgotten(self, store: Store) -> None:
        queued(store, 1)
        queued(store, 2, "other@firm.com", NOW + 1)
        assert store.forget_mail(NOW + 1) == 1
        assert (store.mail_of(1), len(store.mail_of(2))) == ([], 1)

    def test_it_outlives_the_store_object(self, store: Store, tmp_path: Path) -> None:
        queued(store)
        store.mail_due(NOW, 10)
        store.close()
        again = type(self).opener(tmp_path)
        try:
            assert again.mail_due(NOW + 59, 10) == []
            assert [mail.recipient for mail in again.mail_due(NOW + 60, 10)] == ["abuse@firm.com"]
            assert not queued(again, 2, at=NOW + 60)
        finally:
            again.close()

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
    @given(st.lists(st.integers(0, 2 * DAY), max_size=60))
    def test_no_day_has_more_than_it_may(self, store: Store, times: list[int]) -> None:
        store.forget_mail(NOW + 10 * DAY)
        kept = [at for at in sorted(times) if queued(store, at=NOW + at)]
        assert all(later - earlier >= 600 for earlier, later in pairwise(kept))
        assert all(len([at for at in kept if first <= at < first + DAY]) <= 5 for first in kept)
