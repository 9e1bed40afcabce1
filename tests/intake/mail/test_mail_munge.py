"""What is shown as evidence shows what was sent, and in no form to whom."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from email.header import Header
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dnsbl.intake.mail import facts, sample
from dnsbl.intake.mail.munge import MAX_VALUE

Mail = Callable[..., bytes]
TRAP = "Victim@Trap.Example"


def token(text: str) -> str:
    """Letters that no recipient of these tests has."""
    return "".join("ÄÖÜß"[byte & 3] for byte in hashlib.sha256(text.encode()).digest()[:12])


def shown(data: bytes, recipients: list[str]) -> dict[str, str]:
    return sample(data, facts(data, recipients), token)


def test_what_a_sample_shows(mail: Mail) -> None:
    data = (
        mail(
            "http://u:p@evil.example/unsubscribe/victim@trap.example http://192.0.2.7/",
            From="Shop <shop@sender.example>",
            To=TRAP,
            Received="from h (r [192.0.2.1]) by mx.trap.example for <victim@trap.example>; Mon, 1 Jan",
            Reply_To="Other <other@else.example>",
            Subject="Hello victim, =?utf-8?B?ZsO8ciB2aWN0aW0=?=\x01",
            Message_ID="<1@sender.example>",
            List_Unsubscribe="<http://evil.example/u?a=victim%40trap.example>, <mailto:out-7@evil.example>",
            X_Other="secret",
        )
        + b"\r\nReceived: below\r\n"
    )
    local = f"<{token('victim')}>"
    assert shown(data, [TRAP]) == {
        "From": "Shop <shop@sender.example>",
        "Reply-To": f"Other <<{token('other')}>@else.example>",
        "Subject": f"Hello {local}, für {local}\\x01",
        "Message-ID": "<1@sender.example>",
        "List-Unsubscribe": f"<http://evil.example>, <mailto:<{token('out-7')}>@evil.example>",
        "Links": "http://evil.example http://192.0.2.7",
    }


def test_no_received_line_and_no_more_than_is_shown(mail: Mail) -> None:
    """Received lines name the machines that the trap stands behind."""
    data = b"Received: first\nReceived: second\n" + mail(Subject="x" * 1000)
    found = shown(data, [TRAP])
    assert "Received" not in found
    assert found["Subject"] == "x" * MAX_VALUE
    many = b"".join(b"List-%s: x\n" % (b"abcdefghijklmnop"[n : n + 1] * 3) for n in range(16)) + mail()
    assert sum(name.startswith("List-") for name in shown(many, [])) == 10


def test_the_same_recipient_is_the_same_token(mail: Mail) -> None:
    """So that a receiver of samples can tell that two mails went to one address (RFC 6590)."""
    one, two = (shown(mail(Subject=subject), [TRAP])["Subject"] for subject in ("x victim", "y VICTIM"))
    assert one.split()[1] == two.split()[1]


@pytest.mark.parametrize(
    ("recipient", "secret"),
    [
        ("victim+tag@trap.example", "victim"),
        ("victim@mail.trap.co.uk", "trap.co.uk"),
        ("victim@bücher.example", "xn--bcher-kva.example"),
        ("victim@xn--bcher-kva.example", "bücher.example"),
        ("victim@localhost", "localhost"),
        ("victim@[192.0.2.55]", "[192.0.2.55]"),
        ("victim", "victim"),
        ("al@trap.example", "al=trap.example"),
    ],
)
def test_other_ways_to_write_a_recipient(mail: Mail, recipient: str, secret: str) -> None:
    subject = shown(mail(Subject=f"to {secret.upper()} and X{secret}X"), [recipient])["Subject"]
    assert secret.lower() not in subject.lower()
    assert subject.startswith("to <")


def test_a_short_local_part_stands_in_every_word(mail: Mail) -> None:
    found = shown(mail(Subject="also: al, al@trap.example"), ["al@trap.example"])
    assert found["Subject"] == f"also: al, <{token('al@trap.example')}>"


LOCAL = st.text("abcdefgh0123._-", min_size=3, max_size=12).filter(lambda text: text.strip("._-") == text)
NAME = st.text("ijklmnop", min_size=3, max_size=10)


def hex_of(text: str, mark: str) -> str:
    return "".join(f"{mark}{byte:02X}" for byte in text.encode())


FORMS: list[Callable[[str], str]] = [
    str,
    str.upper,
    str.title,
    quote,
    lambda text: quote(text, safe="").replace(".", "%2e"),
    lambda text: hex_of(text, "%"),
    lambda text: hex_of(text, "%25"),
    lambda text: hex_of(text, "="),
    lambda text: text[:1] + hex_of(text[1:2], "=") + text[2:],
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    lambda text: base64.urlsafe_b64encode(b"x:" + text.encode() + b"\xff\xfe").decode(),
    lambda text: base64.b64encode(b"u" + text.upper().encode() + b"more").decode(),
    lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    lambda text: Header(text, "utf-8").encode(),
    lambda text: f"=?utf-8?Q?{hex_of(text, '=')}?=",
    lambda text: f"=?utf-8?Q?{hex_of(text, '=')}",
]


FIELDS = ["From", "Reply-To", "Subject", "Message-ID", "List-Unsubscribe", "Received", "Date"]


def hidden_in(text: str, secret: str) -> bool:
    """Whether a text holds a secret in a form that this test knows, found in another way than the program's."""
    return any(form(secret).lower() in text.lower() for form in FORMS[:11])


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40)
@given(LOCAL, NAME, st.integers(0, 4), st.text("qrstuvwxyz /:?=&<>.,%", max_size=12), st.sampled_from(FIELDS))
def test_no_form_of_a_recipient_survives(form, local, name, which, around, field) -> None:  # type: ignore[no-untyped-def]
    domain = f"{name}.example"
    address = f"{local}@{domain}"
    text = [local, domain, address, f"{local}={domain}", address.replace("@", "%40")][which]
    value = f"{around} {form(text)} {around}{form(text)}"
    mail = (
        f"{field}: {value}\r\nX: y\r\n\r\nhttp://{domain}/{form(text)} http://evil.example/?{form(text)}\r\n".encode()
    )
    found = " ".join(shown(mail, [address]).values())
    for secret in (local, domain):
        assert not hidden_in(found, secret), found


@given(
    st.text(max_size=400),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs"]), min_size=3, max_size=8),
)
def test_whatever_a_field_says_is_shown_in_one_printable_line(value: str, local: str) -> None:
    assume("@" not in local and local.strip("<> \t\r\n") == local)
    data = b"Subject: " + value.encode("utf-8", "surrogatepass") + b"\nX: y\n\n"
    found = sample(data, facts(data, [f"{local}@trap.example"]), lambda text: "_")
    for line in found.values():
        assert line.isprintable()
        assert len(line) <= MAX_VALUE
