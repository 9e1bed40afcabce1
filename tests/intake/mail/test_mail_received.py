"""Who handed a mail over: read from the lines that our own relays wrote, and from nothing that a sender could write."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.errors import IntakeError
from dnsbl.intake.mail import Hop, last_hop

RELAYS = [ip_network("192.0.2.0/24"), ip_network("2001:db8:1::/48")]
RELAY = Hop("192.0.2.1", "mx.trap.example")
REAL = "203.0.113.9"


def head(*lines: str) -> bytes:
    return "".join(f"Received: {line}\r\n" for line in lines).encode() + b"Subject: x\r\n\r\nbody\r\n"


@pytest.mark.parametrize(
    ("line", "address", "helo"),
    [
        # Postfix
        ("from h.example (r.example [203.0.113.9]) by mx (Postfix) with ESMTP id 1; Mon, 1 Jan", REAL, "h.example"),
        ("from h (unknown [203.0.113.9]) (using TLSv1.3 with cipher X (256/256 bits)) by mx (Postfix)", REAL, "h"),
        ("from h (unknown [IPv6:2001:db8::1])\r\n\tby mx with ESMTP", "2001:db8::1", "h"),
        ("from h (r [203.0.113.9]) (Authenticated sender: x) by mx with ESMTPSA", REAL, "h"),
        # Exim
        ("from [203.0.113.9] (helo=h.example) by mx with smtp (Exim 4.96) id 1", REAL, "h.example"),
        ("from [203.0.113.9]:2525 (helo=h) by mx with esmtp (Exim 4.96)", REAL, "h"),
        ("from r.example ([203.0.113.9] helo=h) by mx with esmtp (Exim 4.96)", REAL, "h"),
        ("from r.example ([203.0.113.9]:4321 helo=h ident=u) by mx with esmtp", REAL, "h"),
        ("from r.example ([203.0.113.9]) by mx with esmtp (Exim 4.96)", REAL, "r.example"),
        ("from [203.0.113.9] by mx with smtp (Exim 3.36 #1 (Debian)) id 1", REAL, ""),
        # Sendmail
        ("from h ([203.0.113.9]) by mx (8.17.1/8.17.1) with ESMTP id 1", REAL, "h"),
        ("from h (r.example [203.0.113.9] (may be forged)) by mx (8.12.11/8.12.11)", REAL, "h"),
        ("from h (root@r.example [203.0.113.9]) by mx (8.9.3/8.9.3)", REAL, "h"),
        ("from h (IDENT:squid@[203.0.113.9]) by mx (8.11.6/8.11.6) with SMTP", REAL, "h"),
        # qmail
        ("from unknown (HELO h) (203.0.113.9) by mx with SMTP; 1 Jan 2024 00:00:00 -0000", REAL, "h"),
        ("from r.example (HELO h) (user@203.0.113.9) by mx with SMTP", REAL, "h"),
        ("from r.example (203.0.113.9) by mx with SMTP", REAL, "r.example"),
        # Exchange, Gmail, CommuniGate, Courier, Yahoo
        ("from h.example (203.0.113.9) by mx.local (10.0.0.2) with Microsoft SMTP Server id 15.1", REAL, "h.example"),
        ("from h (2001:db8::1) by mx (2001:db8::2) with Microsoft SMTP Server", "2001:db8::1", "h"),
        ("from h (r.example. [203.0.113.9]) by mx.google.com with ESMTPS id 1 for <a@b> (version=TLS1_3)", REAL, "h"),
        ("from h ([2001:db8::1]) by mx.google.com with ESMTPS", "2001:db8::1", "h"),
        ("from [203.0.113.9] (HELO h) by mx (CommuniGate Pro SMTP 6.1) with ESMTP id 1", REAL, "h"),
        ("from [203.0.113.9] (account u@x HELO h) by mx (CommuniGate Pro SMTP 6.1)", REAL, "h"),
        ("from h (r [::ffff:203.0.113.9]) by mx with ESMTP", REAL, "h"),
        ("from 203.0.113.9 (EHLO h.example) by mx with SMTPs", REAL, "h.example"),
    ],
)
def test_the_lines_of_the_usual_servers_are_read(line: str, address: str, helo: str) -> None:
    assert last_hop(head(line), RELAY, RELAYS) == Hop(address, helo)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # HELO is an address, in every form, where the server notes the true one.
        ("from [8.8.8.8] (attacker.example [203.0.113.9]) by mx (Postfix)", REAL),
        ("from 8.8.8.8 (unknown [203.0.113.9]) by mx (Postfix)", REAL),
        ("from IPv6:2001:db8::8 (unknown [203.0.113.9]) by mx (Postfix)", REAL),
        ("from [203.0.113.9] (helo=[8.8.8.8]) by mx with smtp (Exim 4.96)", REAL),
        ("from r ([203.0.113.9] helo=[8.8.8.8]) by mx with smtp (Exim 4.96)", REAL),
        ("from unknown (HELO [8.8.8.8]) (203.0.113.9) by mx with SMTP", REAL),
        ("from unknown (HELO 8.8.8.8) (203.0.113.9) by mx with SMTP", REAL),
        ("from [8.8.8.8] (HELO x) (203.0.113.9) by mx with SMTP", REAL),
        ("from [203.0.113.9] (HELO x) by mx (CommuniGate Pro SMTP 6.1) with ESMTP id [8.8.8.8]", REAL),
        # The remote user's name (ident) is the sender's word.
        ("from h (8.8.8.8@r.example [203.0.113.9]) by mx (8.9.3/8.9.3)", REAL),
        ("from r (HELO h) (8.8.8.8@203.0.113.9) by mx with SMTP", REAL),
        # So is the name in reverse DNS, and in a certificate.
        ("from h (8.8.8.8.attacker.example [203.0.113.9]) by mx (Postfix)", REAL),
        ('from h (r [203.0.113.9]) (Client CN "a.example", Issuer "x [8.8.8.8]" (not verified)) by mx (Postfix)', REAL),
        ("from h (r [203.0.113.9]) by mx (Postfix) with ESMTP id 1 for <[8.8.8.8]@x>", REAL),
    ],
)
def test_what_the_sender_says_is_not_taken_for_what_the_relay_saw(line: str, expected: str) -> None:
    assert last_hop(head(line), RELAY, RELAYS).address == expected


@pytest.mark.parametrize(
    "line",
    [
        "from x ([9.9.9.9]) (real [203.0.113.9]) by mx",
        "from x ([9.9.9.9]) by mx.trap.example (real [203.0.113.9]) by mx.trap.example",
        "from x (a [9.9.9.9]) by mx with SMTP id 1; Mon, 1 Jan (real [203.0.113.9]) by mx with SMTP id 2",
        "from x ([9.9.9.9]) by a from b (real [203.0.113.9]) with SMTP",
        "from x ((a [9.9.9.9]) by mx (real [203.0.113.9])",
        "from x) (a [9.9.9.9] (real [203.0.113.9]) by mx",
        "from x (real [203.0.113.9] [9.9.9.9]) by mx",
        "from x ([9.9.9.9] by mx) by mx with SMTP",
        "from x y (r [203.0.113.9]) by mx",
        "from [203.0.113.9] (HELO \t[9.9.9.9]) by mx (CommuniGate Pro SMTP 6.1)",
        "from [203.0.113.9] (account [9.9.9.9]) by mx (CommuniGate Pro SMTP 6.1)",
        "from [9.9.9.9] by mx with SMTP",
        "from 9.9.9.9 by mx with SMTP",
        "from h (unknown [unknown]) by mx (Postfix)",
        "from h (r [1.2.3]) by mx",
        "from h (r [01.2.3.4]) by mx",
        "from h (r [999.2.3.4]) by mx",
        "from mail pickup service by mx with Microsoft SMTPSVC",
        "from mx6.example from [203.0.113.9] by mx",
        "with SMTP from h (r [203.0.113.9]) by mx",
        "from",
        "from h (r [203.0.113.9])",
        "from h (" + "x" * 3000 + ") (r [203.0.113.9]) by mx",
        "from " + "(" * 900,
    ],
)
def test_a_line_in_doubt_names_nobody(line: str) -> None:
    with pytest.raises(IntakeError):
        last_hop(head(line, "from h (r [203.0.113.77]) by below"), RELAY, RELAYS)


def test_the_peer_itself_where_it_is_no_relay_of_ours() -> None:
    """Whatever Received lines a stranger sends along."""
    peer = Hop("203.0.113.5", "stranger")
    assert last_hop(head("from h (r [8.8.8.8]) by mx"), peer, RELAYS) == peer
    assert last_hop(b"", Hop("2001:db8:2::1"), RELAYS) == Hop("2001:db8:2::1")
    with pytest.raises(IntakeError):
        last_hop(b"", Hop("/run/lmtp.sock"), RELAYS)


def test_the_walk_goes_on_while_the_peer_is_ours_and_no_further() -> None:
    lines = (
        "from b (b [192.0.2.2]) by a (Postfix)",
        "from c (c [IPv6:2001:db8:1::7]) by b (Postfix)",
        "from spammer (r [203.0.113.9]) by c (Postfix)",
        "from victim (v [8.8.8.8]) by spammer (Postfix)",
    )
    assert last_hop(head(*lines), RELAY, RELAYS) == Hop(REAL, "spammer")
    assert last_hop(head(*lines), RELAY, RELAYS[:1]) == Hop("2001:db8:1::7", "c")


def test_an_ipv4_relay_is_ours_however_it_is_written() -> None:
    lines = ("from b (b [::ffff:192.0.2.2]) by a", "from s (r [203.0.113.9]) by b")
    assert last_hop(head(*lines), RELAY, RELAYS).address == REAL
    assert last_hop(head(*lines), Hop("::ffff:192.0.2.1"), RELAYS).address == REAL


def test_a_mailbox_was_filled_by_our_side() -> None:
    """Without a peer the topmost line is our own server's, and its loopback is ours."""
    assert last_hop(head("from s (r [203.0.113.9]) by mx (Postfix)"), None, []) == Hop(REAL, "s")
    filtered = (
        "from localhost (localhost [127.0.0.1]) by mx (Postfix) with ESMTP id 1",
        "from s (r [203.0.113.9]) by mx (Postfix)",
    )
    assert last_hop(head(*filtered), None, []) == Hop(REAL, "s")
    with pytest.raises(IntakeError, match="private"):
        last_hop(head(*filtered), RELAY, RELAYS)


@pytest.mark.parametrize(
    "line",
    [
        "from mail.example [198.51.100.1] by localhost with POP3 (fetchmail-6.4.2) for u@localhost (single-drop)",
        "from mail.example [198.51.100.1] by localhost with IMAP (fetchmail-6.4.2) for u@localhost (single-drop)",
        "from mail.example (198.51.100.1) by host with POP3 (getmail)",
        "from mx.example by store.example with LMTP id 1 (envelope-from <a@b>)",
        "by store.example (Postfix, from userid 5) id 1",
        "(qmail 123 invoked from network); 1 Jan 2024 00:00:00 -0000",
        "(qmail 123 invoked by uid 7); 1 Jan 2024 00:00:00 -0000",
    ],
)
def test_what_is_handed_over_within_the_receiving_side_is_passed_by(line: str) -> None:
    assert last_hop(head(line, "from s (r [203.0.113.9]) by mx"), None, []) == Hop(REAL, "s")


def test_what_was_made_on_a_relay_is_believed_where_its_loopback_is_ours() -> None:
    """A script on a relay can write any Received lines below its own."""
    made = ("by mx (Postfix, from userid 33) id 1", "from h (r [203.0.113.9]) by mx")
    with pytest.raises(IntakeError, match="loopback"):
        last_hop(head(*made), RELAY, RELAYS)
    assert last_hop(head(*made), RELAY, [*RELAYS, ip_network("127.0.0.0/8")]).address == REAL
    qmail = ("(qmail 7 invoked from network); 1 Jan", "from unknown (HELO h) (203.0.113.9) by mx with SMTP")
    assert last_hop(head(*qmail), RELAY, RELAYS) == Hop(REAL, "h")


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.1", "127.0.0.1", "169.254.1.1", "fe80::1", "::1"])
def test_a_private_address_is_nobody(address: str) -> None:
    with pytest.raises(IntakeError, match="private"):
        last_hop(head(f"from h (r [{address}]) by mx"), RELAY, RELAYS)


def test_the_end_of_the_lines_is_said() -> None:
    with pytest.raises(IntakeError, match=r"handed the mail to 192\.0\.2\.1"):
        last_hop(head(), RELAY, RELAYS)
    with pytest.raises(IntakeError, match="more than 32"):
        last_hop(head(*["from b (b [192.0.2.2]) by a"] * 100), RELAY, RELAYS)


@given(st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=80))
def test_no_greeting_moves_the_address_in_a_line_of_exim(helo: str) -> None:
    """Whatever HELO a server lets through between its own words: the true address, or none."""
    try:
        hop = last_hop(head(f"from r.example ([203.0.113.9] helo={helo}) by mx with esmtp (Exim 4.96)"), RELAY, RELAYS)
    except IntakeError:
        return
    assert hop.address == REAL


@given(
    st.lists(
        st.sampled_from(
            ["[9.9.9.9]", "(", ")", " ", "x", "helo=", "HELO ", "9.9.9.9", "\\", '"', ";", "@", "(a [9.9.9.9])", " by "]
        ),
        max_size=9,
    )
)
def test_no_greeting_moves_the_address_in_a_line_of_postfix(pieces: list[str]) -> None:
    try:
        hop = last_hop(
            head(f"from {''.join(pieces)} (r.example [203.0.113.9]) by mx (Postfix) with SMTP"), RELAY, RELAYS
        )
    except IntakeError:
        return
    assert hop.address == REAL


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_whatever_the_lines_are_there_is_an_address_or_a_reason(lines: list[bytes]) -> None:
    try:
        hop = last_hop(b"".join(b"Received: " + line + b"\n" for line in lines), None, RELAYS)
    except IntakeError as error:
        assert str(error)
    else:
        assert str(ip_address(hop.address)) == hop.address
