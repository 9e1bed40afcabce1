"""People at the desk: what lets somebody in, what does not, and what ends a session."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyotp
import pytest
from argon2 import PasswordHasher, Type
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl import clock
from dnsbl.errors import IntakeError
from dnsbl.keyed import Keyed
from dnsbl.people import People, Visit, passwords, signin, totp
from dnsbl.people.passkeys import Site, credential_id, registered, site
from dnsbl.people.sessions import DESK, ENROL, IDLE, LASTS, MAX_SESSIONS, PASSWORD, csrf_of, digest_of
from dnsbl.store.sqlite import SqliteStore

REAL, REAL_NOBODYS = passwords.HASHER, passwords.NOBODYS
GOOD = "correct horse battery"
OTHER = "staple of another kind"
SECRET = "JBSWY3DPEHPK3PXP" * 2


class Time:
    """A clock that goes when told to."""

    def __init__(self) -> None:
        self.now = 1_790_000_010

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(clock, "now", made)
    return made


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hash costs is not what these tests are about."""
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    monkeypatch.setattr(passwords, "NOBODYS", passwords.nobodys())


@pytest.fixture
def people(tmp_path: Path, time: Time) -> Iterator[People]:
    store, keyed = SqliteStore(tmp_path / "store.sqlite"), Keyed(tmp_path)
    yield People(store, lambda: keyed, "https://bl.example")
    store.close()


def app_of(people: People, name: str = "alice") -> pyotp.TOTP:
    account = people.known(name)
    return pyotp.TOTP(totp.secret_of(people.signin.keyed(), account.totp_nonce))


def found(people: People, token: str | None) -> Visit:
    assert token is not None
    visit = people.sessions.find(token)
    assert visit is not None
    return visit


def enrol(people: People, token: str | None) -> str:
    """Set up an app and be in."""
    people.accounts.draft(found(people, token))
    visit = found(people, token)
    secret = people.accounts.draft(visit)
    inside = people.accounts.confirm(visit, pyotp.TOTP(secret).at(clock.now()))
    assert inside is not None
    return inside


def add(people: People, name: str = "alice", role: str = "admin") -> str:
    """A person with password and app; the token of the first session."""
    made = people.add(name, role)
    return enrol(people, people.signin.set_up(name, made["code"], GOOD))


def sign_in(people: People, time: Time, name: str = "alice", password: str = GOOD) -> str:
    time.now += 60  # the code of the step before was used
    visit = found(people, people.signin.password(name, password))
    token = people.signin.code(visit, app_of(people, name).at(time.now))
    assert token is not None
    return token


def deeds(people: People) -> list[str]:
    return [row["what"] for row in reversed(people.store.audit_rows())]


# in


def test_the_first_time_needs_a_code_a_password_and_a_second_factor(people: People) -> None:
    made = people.add("alice", "admin")
    assert made["page"] == "https://bl.example/admin/setup"
    token = people.signin.set_up(" Alice ", made["code"].lower().replace("-", " "), GOOD)
    visit = found(people, token)
    assert visit.session.stage == ENROL
    inside = found(people, enrol(people, token))
    assert (inside.session.stage, inside.person.name, inside.person.roles) == (DESK, "alice", ("admin",))
    assert people.sessions.find(visit.token) is None, "each step has an identifier of its own"
    assert deeds(people) == ["person add", "password", "authenticator app", "sign in"]


def test_a_set_up_code_works_once_and_for_a_day(people: People, time: Time) -> None:
    code = people.add("alice", "admin")["code"]
    people.add("bob", "reviewer")
    assert people.signin.set_up("bob", code, GOOD) is None
    assert people.signin.set_up("alice", "AAAA" * 5, GOOD) is None
    assert people.signin.set_up("nobody", code, GOOD) is None
    assert people.signin.set_up("alice", code, GOOD) is not None
    assert people.signin.set_up("alice", code, OTHER) is None
    late = people.new_password("alice")["code"]
    time.now += clock.DAY
    assert people.signin.set_up("alice", late, OTHER) is None
    assert people.signin.password("alice", GOOD) is not None


def test_a_set_up_code_used_twice_at_once_is_used_once(people: People) -> None:
    code = people.add("alice", "admin")["code"]
    barrier = threading.Barrier(2)

    def use(password: str) -> str | None:
        barrier.wait()
        return people.signin.set_up("alice", code, password)

    with ThreadPoolExecutor(2) as both:
        tokens = list(both.map(use, (GOOD, OTHER)))
    assert sum(token is not None for token in tokens) == 1


def test_another_password_by_a_code_does_not_pass_by_the_second_factor(people: People) -> None:
    inside = add(people)
    token = people.signin.set_up("alice", people.new_password("alice")["code"], OTHER)
    assert people.sessions.find(inside) is None
    visit = found(people, token)
    assert visit.session.stage == PASSWORD
    with pytest.raises(IntakeError):
        people.accounts.confirm(visit, "000000")
    assert people.signin.password("alice", GOOD) is None


def test_password_and_code_let_in(people: People, time: Time) -> None:
    add(people)
    visit = found(people, sign_in(people, time))
    assert visit.session.stage == DESK
    assert people.sessions.due(visit) is False


@pytest.mark.parametrize("password", [OTHER, "", GOOD + " ", GOOD.upper(), "x" * 10_000, "\ud800" * 20])
def test_a_wrong_password_is_wrong(people: People, password: str) -> None:
    add(people)
    assert people.signin.password("alice", password) is None


@pytest.mark.parametrize("name", ["nobody", "", "alice\0", "x" * 10_000, "' OR 1=1 --", "\ud800"])
def test_a_name_that_is_not_there_costs_a_hash_like_any(
    people: People, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(people)
    asked: list[str] = []
    right = passwords.HASHER.verify
    monkeypatch.setattr(
        passwords, "HASHER", type("Hasher", (), {"verify": staticmethod(lambda h, p: asked.append(h) or right(h, p))})
    )
    assert people.signin.password(name, GOOD) is None
    assert len(asked) == 1
    costs = people.known("alice").password.split("$")[:4]
    assert asked[0].split("$")[:4] == costs, "the same parameters, so the same cost"


def test_who_has_no_password_yet_has_no_empty_one(people: People) -> None:
    people.add("alice", "admin")
    assert people.signin.password("alice", "") is None
    assert people.signin.password("alice", passwords.NOBODYS) is None


# codes


def test_a_code_is_good_once(people: People, time: Time) -> None:
    add(people)
    time.now += 60
    code = app_of(people).at(time.now)
    first, second = (found(people, people.signin.password("alice", GOOD)) for _ in range(2))
    assert people.signin.code(first, code) is not None
    assert people.signin.code(second, code) is None, "replayed"
    earlier = app_of(people).at(time.now - 30)
    assert people.signin.code(second, earlier) is None, "one from before it, too"


def test_the_code_that_confirmed_the_app_is_used(people: People, time: Time) -> None:
    add(people)
    visit = found(people, people.signin.password("alice", GOOD))
    assert people.signin.code(visit, app_of(people).at(time.now)) is None


def test_five_wrong_codes_end_the_sign_in_and_lock(people: People, time: Time) -> None:
    add(people)
    time.now += 60
    token = people.signin.password("alice", GOOD)
    for _ in range(signin.MAX_TRIES):
        assert people.signin.code(found(people, token), "000000") is None
    assert people.sessions.find(token or "") is None
    assert people.signin.password("alice", GOOD) is None, "locked"
    time.now += 60
    assert found(people, people.signin.password("alice", GOOD)).session.stage == PASSWORD


def test_the_right_password_does_not_forget_failures(people: People, time: Time) -> None:
    """Or whoever knows it could try codes for ever, four of each sign-in."""
    add(people)
    time.now += 60
    for _ in range(signin.LOCK_AFTER):
        people.signin.code(found(people, people.signin.password("alice", GOOD)), "000000")
    assert people.signin.password("alice", GOOD) is None


def test_the_right_code_is_wrong_while_locked(people: People, time: Time) -> None:
    add(people)
    time.now += 60
    visit = found(people, people.signin.password("alice", GOOD))
    for _ in range(signin.LOCK_AFTER):
        people.signin.password("alice", OTHER)
    assert people.signin.code(visit, app_of(people).at(time.now)) is None
    assert people.sessions.find(visit.token) is None


@given(code=st.text(max_size=20))
def test_what_is_no_code_is_none(code: str) -> None:
    now = 1_790_000_010
    near = {pyotp.TOTP(SECRET).at(now + 30 * step) for step in (-1, 0, 1)}
    step = totp.step_of(SECRET, code, now)
    assert (step is not None) == ("".join(code.split()) in near)


@given(at=st.integers(300, 2**33), steps=st.integers(-4, 4))
def test_codes_count_one_step_around(at: int, steps: int) -> None:
    step = at // 30
    code = pyotp.TOTP(SECRET).at((step + steps) * 30)
    near = [step + s for s in (-1, 0, 1) if pyotp.TOTP(SECRET).at((step + s) * 30) == code]
    assert totp.step_of(SECRET, code, at) == max(near, default=None)


def test_a_code_of_rfc_6238() -> None:
    """Appendix B, SHA-1: the last six digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for at, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert totp.step_of(secret, code, at) == at // 30


def test_the_store_has_no_secret(people: People, tmp_path: Path) -> None:
    token = add(people)
    secret = app_of(people).secret
    code = people.new_password("alice")["code"]
    people.store.backup(tmp_path / "copy")
    kept = (tmp_path / "copy").read_bytes()
    for what in (secret, token, GOOD, code, code.replace("-", ""), csrf_of(token)):
        assert what.encode() not in kept
    assert digest_of(token) in kept


# locks


def test_locks_double_up_to_an_hour(people: People, time: Time) -> None:
    add(people)
    until: list[int] = []
    for _ in range(14):
        assert people.signin.password("alice", OTHER, "192.0.2.1") is None
        locked = people.known("alice").locked
        until.append(locked - time.now if locked else 0)
        time.now = locked or time.now
    assert until == [0, 0, 0, 0, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    locks = [row for row in people.store.audit_rows() if row["what"] == "lock"]
    assert len(locks) == 10
    assert "192.0.2.1" in locks[0]["why"]


def test_a_lock_is_not_made_longer_by_tries_while_it_lasts(people: People, time: Time) -> None:
    add(people)
    for _ in range(20):
        people.signin.password("alice", OTHER)
    assert people.signin.password("alice", GOOD) is None
    time.now += 60
    assert people.signin.password("alice", GOOD) is not None


def test_being_in_forgets_failures_and_so_does_the_operator(people: People, time: Time) -> None:
    add(people)
    for _ in range(4):
        people.signin.password("alice", OTHER)
    sign_in(people, time)
    assert people.known("alice").failures == 0
    for _ in range(5):
        people.signin.password("alice", OTHER)
    people.enable("alice")
    assert people.signin.password("alice", GOOD) is not None


def test_many_guesses_at_once_are_counted(people: People) -> None:
    add(people)
    with ThreadPoolExecutor(4) as many:
        assert not any(many.map(lambda _: people.signin.password("alice", OTHER), range(12)))
    account = people.known("alice")
    assert 5 <= account.failures <= 8, "as many as were under way when the lock came"
    assert account.locked


# sessions


def test_sessions_end_when_idle_and_after_half_a_day(people: People, time: Time) -> None:
    token = add(people)
    began = time.now
    while time.now + IDLE - 1 < began + LASTS[DESK]:
        time.now += IDLE - 1
        visit = found(people, token)
        assert people.sessions.due(visit)
        people.sessions.saw(visit)
    time.now = began + LASTS[DESK] - 1
    assert people.sessions.find(token) is not None
    time.now += 1
    assert people.sessions.find(token) is None, "used all the time, it lasts so long and no longer"
    other = sign_in(people, time)
    time.now += IDLE
    assert people.sessions.find(other) is None


@pytest.mark.parametrize("token", ["", "x" * 43, "x" * 42, "../../etc/passwd", "\ud800" * 43, "a" * 100_000])
def test_an_identifier_that_we_did_not_make_is_none(people: People, token: str) -> None:
    add(people)
    assert people.sessions.find(token) is None
    people.sessions.end(token)


def test_a_sign_in_ends_the_session_before_it_and_adopts_none(people: People, time: Time) -> None:
    old = add(people)
    time.now += 60
    token = people.signin.password("alice", GOOD, before=old)
    assert token != old
    assert people.sessions.find(old) is None
    chosen = "A" * 43
    token = people.signin.password("alice", GOOD, before=chosen)
    assert people.sessions.find(chosen) is None
    assert token != chosen


def test_so_many_sessions_and_no_more(people: People, time: Time) -> None:
    oldest = add(people)
    for _ in range(MAX_SESSIONS):
        time.now += 1
        assert people.signin.password("alice", GOOD)
    account = people.known("alice")
    assert len(people.store.sessions(account.id)) == MAX_SESSIONS
    assert people.sessions.find(oldest) is None


@pytest.mark.parametrize(
    "deed",
    [
        lambda p: p.disable("alice"), lambda p: p.set_role("alice", "reviewer"), lambda p: p.reset_second("alice"),
        lambda p: p.sign_out("alice"),
        lambda p: p.signin.set_up("alice", p.new_password("alice")["code"], OTHER),
    ],
)  # fmt: skip
def test_what_is_done_to_a_person_ends_the_sessions(people: People, deed: object) -> None:
    token = add(people)
    bystander = add(people, "bob")
    deed(people)  # type: ignore[operator]
    assert people.sessions.find(token) is None
    assert people.sessions.find(bystander) is not None


def test_who_is_disabled_stays_out_until_enabled(people: People, time: Time) -> None:
    add(people)
    code = people.new_password("alice")["code"]
    visit = found(people, people.signin.password("alice", GOOD))
    people.disable("alice")
    time.now += 60
    assert people.signin.code(visit, app_of(people).at(time.now)) is None
    assert people.signin.password("alice", GOOD) is None
    assert people.signin.set_up("alice", code, OTHER) is None
    late = people.new_password("alice")["code"]
    assert people.signin.set_up("alice", late, OTHER) is None
    people.enable("alice")
    assert people.signin.password("alice", GOOD) is not None


def test_a_session_that_was_ended_is_not_renewed(people: People) -> None:
    """The operator signs somebody out while that one's form is under way."""
    visit = found(people, add(people))
    people.sign_out("alice")
    assert people.sessions.find(people.accounts.end_others(visit)) is None
    assert people.sessions.find(people.accounts.prove(visit, GOOD) or "") is None


# one's own account


def test_a_new_password_ends_the_other_sessions_and_changes_this_one(people: People, time: Time) -> None:
    here, there = add(people), sign_in(people, time)
    token = people.accounts.change_password(found(people, here), GOOD, OTHER)
    assert found(people, token).session.stage == DESK
    assert people.sessions.find(here) is None
    assert people.sessions.find(there) is None
    assert people.signin.password("alice", GOOD) is None
    assert people.signin.password("alice", OTHER) is not None


def test_a_thief_of_a_session_gets_five_guesses_at_the_password(people: People) -> None:
    visit = found(people, add(people))
    for _ in range(5):
        assert people.accounts.prove(visit, OTHER) is None
    assert people.accounts.prove(visit, GOOD) is None
    assert people.accounts.change_password(visit, GOOD, OTHER) is None


def test_a_second_factor_is_changed_after_the_password_only(people: People, time: Time) -> None:
    token = add(people)
    old = app_of(people).secret
    time.now += 11 * 60
    visit = found(people, token)
    secret = people.accounts.draft(visit)
    assert secret != old
    visit = found(people, token)
    with pytest.raises(IntakeError, match="password"):
        people.accounts.confirm(visit, pyotp.TOTP(secret).at(time.now))
    assert app_of(people).secret == old
    proven = people.accounts.prove(visit, GOOD)
    changed = enrol(people, proven)
    assert app_of(people).secret != old
    assert found(people, changed).session.stage == DESK


def test_of_two_who_set_up_the_first_factor_one_does(people: People) -> None:
    """Both know the password; the slower one must not put an app of his own in place of the faster one's."""
    code = people.add("alice", "admin")["code"]
    slow = people.signin.set_up("alice", code, GOOD)
    fast = people.signin.password("alice", GOOD)
    visit = found(people, slow)
    secret = people.accounts.draft(visit)
    enrol(people, fast)
    with pytest.raises(IntakeError, match="meanwhile"):
        people.accounts.may_change(visit_as_it_was(people, visit))
    assert app_of(people).secret != secret


def visit_as_it_was(people: People, visit: Visit) -> Visit:
    """A request that was under way while its session ended: put back, as if it had not."""
    people.store.add_session(visit.session)
    return visit


def test_after_a_reset_the_password_leads_to_a_new_second_factor(people: People) -> None:
    add(people)
    people.reset_second("alice")
    assert found(people, people.signin.password("alice", GOOD)).session.stage == ENROL


# passwords


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "10 to 200"), ("x" * 201, "10 to 200"), ("christophe", "name"), ("ChristopheChristophe", "name"),
        ("aaaaaaaaaaaa", "different"), ("abababababab", "different"), ("", "10 to 200"),
    ],
)  # fmt: skip
def test_passwords_that_will_not_do(password: str, why: str) -> None:
    with pytest.raises(IntakeError, match=why):
        passwords.need_good(password, "christophe")


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=10, max_size=200))
def test_a_password_is_right_however_its_letters_are_composed(password: str) -> None:

    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    kept = cheap.hash(passwords.normal(password))
    if len(unicodedata.normalize("NFD", password)) <= passwords.MAX_PASSWORD:
        assert passwords.is_right(unicodedata.normalize("NFD", password), kept)


def test_the_real_hash_is_argon2id_of_64_mib() -> None:
    """RFC 9106 section 4, the second recommended option; nobody's costs as much as any."""
    assert (REAL.type, REAL.memory_cost, REAL.time_cost, REAL.parallelism) == (Type.ID, 64 * 1024, 3, 4)
    assert REAL_NOBODYS.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


# people


def test_names_that_are_none(people: People) -> None:
    for name in ("", "Alice", "1a", "a b", "a/b", "operator", "dnsbl", "é", "a" * 33, "<b>", "a\n"):
        with pytest.raises(IntakeError):
            people.add(name, "admin")
    assert people.rows() == []


def test_what_is_not_there_is_said_so(people: People) -> None:
    for deed in (people.disable, people.enable, people.sign_out, people.reset_second, people.new_password):
        with pytest.raises(IntakeError, match="no person 'bob'"):
            deed("bob")
    with pytest.raises(IntakeError, match="there are reviewer, admin"):
        people.add("bob", "king")
    add(people)
    with pytest.raises(IntakeError, match="taken"):
        people.add("alice", "admin")


def test_roles(people: People) -> None:
    reviewer, admin = found(people, add(people, "rita", "reviewer")).person, found(people, add(people)).person
    assert (reviewer.may("reviewer"), reviewer.may("admin")) == (True, False)
    assert (admin.may("reviewer"), admin.may("admin")) == (True, True)


# passkeys


@pytest.mark.parametrize(
    ("public_url", "host", "expected"),
    [
        ("https://bl.example", "bl.example", Site("bl.example", "https://bl.example")),
        ("https://bl.example:8443/", "x", Site("bl.example", "https://bl.example:8443")),
        ("http://bl.example", "bl.example", None), ("https://192.0.2.1", "192.0.2.1", None),
        ("", "localhost:8053", Site("localhost", "http://localhost:8053")),
        ("", "bl.example", None), ("", "127.0.0.1:8053", None), ("", "localhost:8053@evil.example", None),
        ("", "localhost.evil.example", None), ("", "", None),
    ],
)  # fmt: skip
def test_where_passkeys_can_be_had(public_url: str, host: str, expected: Site | None) -> None:
    assert site(public_url, host) == expected


@given(st.one_of(st.text(), st.sampled_from(["[" * 20_000, "{}", '{"rawId": 1}', '{"rawId": "*"}', "null"])))
def test_what_is_no_passkey_is_none(credential: str) -> None:
    credential_id(credential)
    assert registered(Site("localhost", "http://localhost"), b"x" * 64, credential) is None
