"""Texts and packed records."""

import pytest
from dnslib import TXT, DNSBuffer
from fake import FakeView, domain_zone, ip_zone

from dnsbl.dns.records import MAX_TEXT, fill, template, txt_record
from dnsbl.dns.served import Served, presentation


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("$", "SUBJECT"),
        ("see https://x/?$ or ask", "see https://x/?SUBJECT or ask"),
        ("$$", "$"),
        ("$$$", "$SUBJECT"),
        ("$$$$", "$$"),
        ("a$$b$c$$", "a$bSUBJECTc$"),
        ("$ and $", "SUBJECT and SUBJECT"),
        ("grün: $", "grün: SUBJECT"),
    ],
)
def test_a_dollar_is_the_subject_and_two_are_a_dollar(text, filled):
    assert fill(template(text), b"SUBJECT") == filled.encode()


def test_a_subject_with_dollars_is_not_filled_again():
    assert fill(template("<$>"), b"a$b$$c") == b"<a$b$$c>"


@pytest.mark.parametrize("size", [0, 1, 254, 255, 256, 510, 511, 1000])
def test_text_becomes_strings_of_255_octets_at_most(size):
    record = txt_record(b"x" * size, 300)
    buffer = DNSBuffer(record)
    buffer.offset = 12
    assert b"".join(TXT.parse(buffer, len(record) - 12).data) == b"x" * size


def test_the_longest_text_is_cut_between_characters():
    text = "x" + "é" * MAX_TEXT
    buffer = DNSBuffer(txt_record(text.encode(), 300))
    buffer.offset = 12
    cut = b"".join(TXT.parse(buffer, len(buffer.data) - 12).data).decode()
    assert text.startswith(cut)
    assert len(cut.encode()) == MAX_TEXT - 1


def test_names_are_shown_so_that_their_bytes_can_be_read():
    assert presentation(b"mail-01_x") == b"mail-01_x"
    assert presentation(b'a.b\\c"\0\xe9 ') == b'a\\.b\\\\c\\"\\000\\233\\032'


def test_a_domain_zone_has_no_sublists_and_an_ip_zone_has_one_table_for_each():
    assert Served(FakeView(domain_zone())).sublists == {}
    tables = Served(FakeView(ip_zone(), {"192.0.2.1": [0, 2], "192.0.2.2": [1]})).sublists
    assert set(tables) == {b"ab", b"attacks"}
    assert tables[b"ab"].codes == [(), (0,), ()]
    assert tables[b"ab"].wanted == b"\0\1\0"


def test_an_apex_text_longer_than_a_string_is_one_record():
    count, packed = Served(FakeView(ip_zone(apex={"txt": ["y" * 600]}))).apex[16]
    assert (count, packed.count(b"y")) == (1, 600)
