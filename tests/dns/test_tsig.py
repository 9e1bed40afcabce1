"""TSIG against dnspython, both ways, and against whatever a stranger sends."""

from __future__ import annotations

import struct

import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from dnsbl.config import DnsConfig
from dnsbl.config.distribution import TsigKeyConfig
from dnsbl.dns import tsig, tsigrecord
from dnsbl.dns.tsig import Key, Signer, StreamChecker, check, keys_of, reply_to, sign_query
from dnsbl.errors import TsigError

NOW = 1_790_000_000
SECRET = bytes(range(32))
ALGORITHMS = ["hmac-sha256", "hmac-sha384", "hmac-sha512"]
NAME = "Mirror-1.bl.example"


def key(algorithm: str = "hmac-sha256", secret: bytes = SECRET) -> Key:
    return Key(tsig.wire_name(NAME), algorithm, secret)


def theirs(algorithm: str = "hmac-sha256", secret: bytes = SECRET, name: str = NAME) -> dns.tsig.Key:
    return dns.tsig.Key(dns.name.from_text(name), secret, algorithm)


def keys(algorithm: str = "hmac-sha256") -> dict[bytes, Key]:
    return {key().name: key(algorithm)}


def query(name: str = "ip.dnsbl.test", rtype: str = "AXFR", edns: int = -1) -> dns.message.Message:
    return dns.message.make_query(name, rtype, use_edns=edns, id=0x1234)


@pytest.fixture(autouse=True)
def their_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """dnspython signs and checks by the clock; here it is always NOW."""
    monkeypatch.setattr("time.time", lambda: float(NOW))


def signed(algorithm: str = "hmac-sha256", edns: int = -1) -> tuple[dns.message.Message, bytes]:
    asked = query(edns=edns)
    asked.use_tsig(theirs(algorithm))
    return asked, asked.to_wire()


def reply(asked: dns.message.Message) -> bytes:
    made = dns.message.make_response(dns.message.from_wire(query().to_wire()))
    made.id = asked.id
    return made.to_wire()


def test_configured_keys_are_found_by_their_names_on_the_wire() -> None:
    configured = TsigKeyConfig(name=NAME, algorithm="hmac-sha512", secret=SecretStr("AAECAwQFBgcICQoLDA0ODw=="))
    found = keys_of(DnsConfig(keys=[configured]))
    assert found == {b"\x08mirror-1\x02bl\x07example\0": Key(tsig.wire_name(NAME), "hmac-sha512", bytes(range(16)))}
    assert "AAEC" not in repr(found) and r"\x0" not in repr(found).replace(r"\x08mirror-1\x02bl\x07example\x00", "")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("edns", [-1, 0])
def test_a_query_of_dnspython_is_believed_and_it_believes_the_reply(algorithm: str, edns: int) -> None:
    asked, wire = signed(algorithm, edns)
    checked = check(wire, keys(algorithm), NOW)
    assert (checked.error, checked.key) == (0, key(algorithm))
    plain = query(edns=edns).to_wire()
    assert checked.message == plain, "as it was before it was signed"
    answered = dns.message.from_wire(
        reply_to(checked, reply(asked), NOW), keyring=theirs(algorithm), request_mac=asked.mac
    )
    assert answered.had_tsig


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_dnspython_follows_a_stream_of_signed_messages(algorithm: str) -> None:
    asked, wire = signed(algorithm)
    signer = Signer(key(algorithm), check(wire, keys(algorithm), NOW).mac)
    context = None
    for number in range(4):
        read = dns.message.from_wire(
            signer.sign(reply(asked), NOW + number), keyring=theirs(algorithm), request_mac=asked.mac,
            tsig_ctx=context, multi=True,
        )  # fmt: skip
        assert read.had_tsig
        context = read.tsig_ctx


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_our_query_is_believed_by_dnspython_and_its_reply_by_us(algorithm: str) -> None:
    wire, mac = sign_query(query().to_wire(), key(algorithm), NOW)
    asked = dns.message.from_wire(wire, keyring=theirs(algorithm))
    assert asked.had_tsig and asked.mac == mac
    answered = dns.message.make_response(asked)
    checker = StreamChecker(key(algorithm), mac)
    assert checker.check(answered.to_wire(), NOW) == dns.message.make_response(query()).to_wire()
    assert checker.complete


def test_up_to_99_messages_between_two_signed_ones_are_believed_once_the_next_is() -> None:
    asked, wire = signed()
    signer = Signer(key(), check(wire, keys(), NOW).mac)
    plain = reply(asked)
    messages = [signer.sign(plain, NOW), *[plain] * 99, later(signer, [plain] * 99, plain)]
    checker = StreamChecker(key(), asked.mac)
    ends = []
    for message in messages:
        assert checker.check(message, NOW) == plain
        ends.append(checker.complete)
    assert ends == [True, *[False] * 99, True]
    with pytest.raises(TsigError, match="not signed"):
        for _ in range(100):
            checker.check(plain, NOW)


def later(signer: Signer, held: list[bytes], message: bytes) -> bytes:
    """A signed message that vouches for unsigned ones before it, as RFC 8945 section 5.3.1 lays it out."""
    mac = tsigrecord.mac_of(
        signer.key, signer.before, b"".join([*held, message]), tsigrecord.timers(NOW, tsigrecord.FUDGE)
    )
    signer.before = mac
    return tsigrecord.with_record(message, signer.key.name, signer.algorithm, NOW, tsigrecord.FUDGE, mac, 0)


def test_a_message_left_out_of_a_stream_or_put_in_another_place_is_noticed() -> None:
    asked, wire = signed()
    signer = Signer(key(), check(wire, keys(), NOW).mac)
    first, second, third = (signer.sign(reply(asked), NOW) for _ in range(3))
    for stream in ([first, third], [second], [first, first], [third, second]):
        checker = StreamChecker(key(), asked.mac)
        with pytest.raises(TsigError, match="signature is wrong"):
            for message in stream:
                checker.check(message, NOW)
    assert second != third


def test_the_first_message_of_a_reply_must_be_signed() -> None:
    asked, _ = signed()
    with pytest.raises(TsigError, match="not signed"):
        StreamChecker(key(), asked.mac).check(reply(asked), NOW)


# what is refused, and how


def test_an_unsigned_query_has_no_key_and_no_error() -> None:
    wire = query().to_wire()
    assert check(wire, keys(), NOW) == (wire, None, b"", 0, None)


def test_an_unknown_key_is_badkey_unsigned() -> None:
    asked = query()
    asked.use_tsig(theirs(name="other.example"))
    assert_unsigned(asked, asked.to_wire(), tsig.BADKEY, "other.example")


def test_another_algorithm_under_the_name_of_a_key_is_badkey() -> None:
    asked, wire = signed("hmac-sha512")
    assert_unsigned(asked, wire, tsig.BADKEY)


def test_another_secret_is_badsig_unsigned() -> None:
    asked = query()
    asked.use_tsig(theirs(secret=SECRET[::-1]))
    assert_unsigned(asked, asked.to_wire(), tsig.BADSIG)


def assert_unsigned(asked: dns.message.Message, wire: bytes, error: int, name: str = NAME) -> None:
    checked = check(wire, keys(), NOW)
    assert (checked.error, checked.key) == (error, None)
    made = tsigrecord.find(reply_to(checked, reply(asked), NOW))
    assert made is not None
    assert (made.mac, made.error, made.name) == (b"", error, tsig.wire_name(name))


def test_a_changed_message_is_badsig() -> None:
    _, wire = signed()
    changed = wire.replace(b"\x02ip\x05dnsbl", b"\x02iq\x05dnsbl")
    assert check(changed, keys(), NOW).error == tsig.BADSIG


@pytest.mark.parametrize("skew", [-301, 301, 86_400])
def test_a_late_query_is_badtime_signed_with_both_times(skew: int) -> None:
    asked, wire = signed()
    checked = check(wire, keys(), NOW + skew)
    assert (checked.error, checked.key) == (tsig.BADTIME, key())
    made = reply_to(checked, reply(asked), NOW + skew)
    record = tsigrecord.find(made)
    assert record is not None and record.time == NOW
    assert int.from_bytes(record.other, "big") == NOW + skew
    with pytest.raises(dns.tsig.PeerBadTime):  # it says so only once the MAC is right
        dns.message.from_wire(made, keyring=theirs(), request_mac=asked.mac)
    with pytest.raises(TsigError, match="clocks"):
        StreamChecker(key(), asked.mac).check(made, NOW)


@pytest.mark.parametrize("skew", [-300, 0, 300])
def test_within_the_fudge_the_time_is_good(skew: int) -> None:
    assert check(signed()[1], keys(), NOW + skew).error == 0


def test_the_mac_is_looked_at_before_the_time() -> None:
    """RFC 8945 section 5.2: key, MAC, time. Or a stranger would learn that the time of his forgery was wrong."""
    asked = query()
    asked.use_tsig(theirs(secret=SECRET[::-1]))
    assert check(asked.to_wire(), keys(), NOW + 9999).error == tsig.BADSIG


def shortened(wire: bytes, size: int) -> bytes:
    record = tsigrecord.find(wire)
    assert record is not None
    message = tsigrecord.without(wire, record)
    mac = (record.mac + bytes(64))[:size]
    return tsigrecord.with_record(message, record.name, record.algorithm, record.time, record.fudge, mac, 0)


@pytest.mark.parametrize(
    ("size", "error"), [(0, 1), (9, 1), (15, 1), (16, 0), (31, 0), (32, 0), (33, 1), (64, 1)]
)  # fmt: skip
def test_a_truncated_mac_is_taken_down_to_half_of_it(size: int, error: int) -> None:
    """RFC 8945 section 5.2.2.1."""
    assert check(shortened(signed()[1], size), keys(), NOW).error == error


def test_two_signatures_or_one_that_is_not_last_are_formerr() -> None:
    _, wire = signed()
    record = tsigrecord.find(wire)
    assert record is not None
    own = wire[record.start :]
    twice = wire[:10] + b"\0\2" + wire[12:] + own
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
    before_opt = wire[:10] + b"\0\2" + wire[12:] + opt
    in_answer = wire[:6] + b"\0\1\0\0\0\0" + wire[12:]
    for wrong in (twice, before_opt, in_answer, wire[:-1]):
        assert check(wrong, keys(), NOW).error == tsig.FORMERR


@pytest.mark.parametrize(("name", "at"), [(NAME, b"\xc0\x0c"), ("abc.bl.example", b"\x08Mirror-1\xc0\x10")])
def test_the_name_of_a_key_may_be_compressed(name: str, at: bytes) -> None:
    """As BIND and dnspython do."""
    asked = query(name)
    asked.use_tsig(theirs())
    wire = asked.to_wire()
    record = tsigrecord.find(wire)
    assert record is not None and wire[record.start :].startswith(at)
    assert check(wire, keys(), NOW).error == 0


@given(st.binary(max_size=200))
def test_whatever_comes_ends_in_a_verdict(wire: bytes) -> None:
    assert check(wire, keys(), NOW).error in (0, tsig.FORMERR, tsig.BADKEY)


@given(st.integers(0, 200), st.integers(0, 255))
def test_one_octet_changed_is_never_believed(place: int, octet: int) -> None:
    """But for those that a signature does not cover: the id, which the record has again, and where the name of the
    key has its case."""
    asked = query()
    asked.use_tsig(theirs())
    wire = asked.to_wire()
    if place < len(wire) and wire[place] != octet:
        changed = wire[:place] + bytes((octet,)) + wire[place + 1 :]
        checked = check(changed, keys(), NOW)
        if checked.key is not None and not checked.error:
            assert checked.message[2:] == query().to_wire()[2:]
