"""What strangers may send, and what becomes of it."""

import struct

import pytest
from dnslib import EDNS0, RR, A, DNSBuffer, DNSRecord, EDNSOption
from fake import IP_ORIGIN, ask, default_answerer, name_wire, opt, query, rcode

from dnsbl.dns import message
from dnsbl.dns.message import Rcode

HEADER_ONLY = 12


@pytest.fixture(scope="module")
def answerer():
    return default_answerer()


def raw(questions=1, answers=0, authorities=0, additionals=0, flags=0, body=b""):
    return struct.pack("!HHHHHH", 0x1234, flags, questions, answers, authorities, additionals) + body


def record(rtype=1, rdata=b"\x7f\0\0\1", name=b"\0"):
    return name + struct.pack("!HHIH", rtype, 1, 0, len(rdata)) + rdata


SOA_QUESTION = name_wire(IP_ORIGIN) + struct.pack("!HH", 6, 1)


def header_rcode(reply):
    return reply[3] & 0xF


def test_the_question_is_kept_as_received_and_read_in_lower_case():
    wire = query("2.0.0.127.Bl.eXample", "TXT", flags=0x0100)
    parsed = message.parse(wire)
    assert parsed.labels == [b"2", b"0", b"0", b"127", b"bl", b"example"]
    assert parsed.question == wire[12:]
    assert (parsed.qtype, parsed.qclass, parsed.rcode, parsed.edns, parsed.name_size) == (16, 1, 0, False, 22)


def test_a_message_without_a_whole_header_gets_silence(answerer):
    for size in range(HEADER_ONLY):
        assert answerer.reply(query(IP_ORIGIN, "SOA")[:size], "udp") is None


def test_a_reply_is_never_replied_to(answerer):
    assert answerer.reply(query(IP_ORIGIN, "SOA", flags=0x8000), "udp") is None
    assert answerer.reply(answerer.reply(query(IP_ORIGIN, "SOA"), "udp"), "udp") is None


@pytest.mark.parametrize("questions", [0, 2, 3, 65535])
def test_other_than_one_question_is_formerr(answerer, questions):
    reply = answerer.reply(raw(questions, body=SOA_QUESTION * min(questions, 3)), "udp")
    assert (len(reply), header_rcode(reply)) == (HEADER_ONLY, Rcode.FORMERR)


def test_no_question_but_opt_is_formerr_with_opt(answerer):
    reply = DNSRecord.parse(answerer.reply(raw(0, additionals=1, body=opt()), "udp"))
    assert rcode(reply) == Rcode.FORMERR and len(reply.ar) == 1


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"\1",
        b"\x02bl",
        name_wire(IP_ORIGIN),
        name_wire(IP_ORIGIN) + b"\0\1\0",
        b"\xc0\x0c\0\1\0\1",  # a pointer to itself
        b"\2bl\xc0\x00\0\1\0\1",  # into the header
        b"\x40" + b"x" * 64 + b"\0\0\1\0\1",  # a label of 64
        b"\x41\0\0\1\0\1",  # the extended label of RFC 2673
        name_wire([b"x" * 63] * 4) + b"\0\1\0\1",  # a name of 257
    ],
)
def test_a_question_that_is_none_is_formerr_with_nothing_echoed(answerer, question):
    reply = answerer.reply(raw(body=question), "udp")
    assert (len(reply), header_rcode(reply)) == (HEADER_ONLY, Rcode.FORMERR)


def test_a_chain_of_pointers_is_not_followed(answerer):
    questions = [b"\0\0\1\0\1"]
    places = [HEADER_ONLY, *range(HEADER_ONLY + 5, 16_000, 6)]
    questions += [struct.pack("!HHH", 0xC000 | place, 1, 1) for place in places]
    wire = raw(len(questions), body=b"".join(questions))
    with pytest.raises(RecursionError):
        DNSRecord.parse(wire)
    assert header_rcode(answerer.reply(wire, "udp")) == Rcode.FORMERR


def test_the_longest_name_is_a_name():
    wire = query([b"x" * 63] * 3 + [b"y" * 61])
    assert message.parse(wire).name_size == 255
    assert message.parse(wire).rcode == 0
    assert message.parse(query([b"x" * 63] * 3 + [b"y" * 62])).rcode == Rcode.FORMERR


def test_labels_are_bytes_and_not_text(answerer):
    for label in (b"\xff\xfe", b"a.b", b"\0", b"\\", b"A" * 63):
        wire = query([label, *IP_ORIGIN.encode().split(b".")])
        reply = answerer.reply(wire, "udp")
        assert header_rcode(reply) == Rcode.NXDOMAIN
        assert reply[12 : len(wire)] == wire[12:]


@pytest.mark.parametrize(
    "flag", [0x0400, 0x0200, 0x0080, 0x0040, 0x0020, 0x0010, 0x000F], ids=["AA", "TC", "RA", "Z", "AD", "CD", "RCODE"]
)
def test_of_the_header_only_rd_and_opcode_come_back(answerer, flag):
    plain = answerer.reply(query(IP_ORIGIN, "SOA"), "udp")
    assert answerer.reply(query(IP_ORIGIN, "SOA", flags=flag), "udp") == plain
    assert ask(answerer, IP_ORIGIN, "SOA", flags=0x0100 | flag).header.rd == 1


@pytest.mark.parametrize("opcode", range(1, 16))
def test_other_opcodes_are_notimp_and_echoed(answerer, opcode):
    for wire in (raw(0, flags=opcode << 11), raw(1, flags=opcode << 11), raw(7, flags=opcode << 11, body=b"\xff" * 9)):
        reply = answerer.reply(wire, "udp")
        assert (len(reply), header_rcode(reply), reply[2] >> 3 & 15) == (HEADER_ONLY, Rcode.NOTIMP, opcode)
    whole = ask(answerer, IP_ORIGIN, "SOA", flags=opcode << 11, extra=[opt()])
    assert (rcode(whole), whole.header.opcode, len(whole.questions)) == (Rcode.NOTIMP, opcode, 1)
    assert [(option.code, option.data) for option in whole.ar[0].rdata] == [(15, b"\0\x15")]


# EDNS


def test_opt_answers_opt_and_nothing_else_does(answerer):
    [got] = ask(answerer, IP_ORIGIN, "SOA", extra=[opt()]).ar
    assert (got.rtype, got.edns_len, got.edns_ver, got.ttl & 0xFFFF, got.rdata) == (41, 1232, 0, 0, [])
    assert ask(answerer, IP_ORIGIN, "SOA").ar == []


@pytest.mark.parametrize("version", [1, 2, 255])
def test_another_version_is_badvers_with_ours(answerer, version):
    reply = ask(answerer, IP_ORIGIN, "SOA", extra=[opt(version=version, rdata=b"what ever")])
    assert rcode(reply) == Rcode.BADVERS
    assert not reply.rr and not reply.header.aa and reply.ar[0].edns_ver == 0


def test_unknown_flags_and_options_are_ignored_and_not_echoed(answerer):
    plain = answerer.reply(query(IP_ORIGIN, "SOA", extra=[opt()]), "udp")
    for flags, rdata in [(0x7FFF, b""), (0x8000, b""), (0, b"\0\x64\0\3abc"), (0, b"\0\x0b\0\x08" + b"c" * 8)]:
        assert answerer.reply(query(IP_ORIGIN, "SOA", extra=[opt(flags=flags, rdata=rdata)]), "udp") == plain


@pytest.mark.parametrize("rdata", [b"\0", b"\0\3\0", b"\0\3\0\1", b"\0\x64\0\0\0", b"\0\3\xff\xff"])
def test_broken_options_are_formerr_with_opt(answerer, rdata):
    reply = DNSRecord.parse(answerer.reply(query(IP_ORIGIN, "SOA", extra=[opt(rdata=rdata)]), "udp"))
    assert rcode(reply) == Rcode.FORMERR and len(reply.ar) == 1


def test_two_opts_are_formerr(answerer):
    assert rcode(ask(answerer, IP_ORIGIN, "SOA", extra=[opt(), opt()])) == Rcode.FORMERR
    assert rcode(ask(answerer, IP_ORIGIN, "SOA", extra=[opt(version=1), opt()])) == Rcode.FORMERR


def test_opt_has_the_root_as_its_name_and_stands_last(answerer):
    assert rcode(ask(answerer, IP_ORIGIN, "SOA", extra=[b"\1x" + opt()])) == Rcode.FORMERR
    misplaced = answerer.reply(raw(answers=1, body=SOA_QUESTION + opt()), "udp")
    assert header_rcode(misplaced) == Rcode.FORMERR


def test_other_additional_records_do_not_matter(answerer):
    plain = answerer.reply(query(IP_ORIGIN, "SOA", extra=[opt()]), "udp")
    for extra in ([record(), opt()], [opt(), record(name=b"\xc0\x0c")]):
        assert answerer.reply(query(IP_ORIGIN, "SOA", extra=extra), "udp") == plain


@pytest.mark.parametrize("broken", [b"\0", record()[:-1], record(name=b"\x80\0"), record(name=b"\x05ab"), b"\xc0"])
def test_broken_additional_records_are_formerr(answerer, broken):
    reply = answerer.reply(query(IP_ORIGIN, "SOA", extra=[broken]), "udp")
    assert header_rcode(reply) == Rcode.FORMERR


def test_counts_that_promise_more_than_there_is_are_formerr(answerer):
    reply = answerer.reply(raw(1, 65535, 65535, 65535, body=SOA_QUESTION), "udp")
    assert header_rcode(reply) == Rcode.FORMERR


@pytest.mark.parametrize(
    ("size", "limit"), [(0, 512), (511, 512), (512, 512), (900, 900), (1232, 1232), (4096, 1232), (65535, 1232)]
)
def test_udp_takes_the_smaller_of_both_sizes_and_512_at_least(size, limit):
    assert message.udp_limit(message.parse(query(IP_ORIGIN, extra=[opt(size)])), 1232) == limit
    assert message.udp_limit(message.parse(query(IP_ORIGIN)), 1232) == 512


# dnslib is the reference


def test_opt_is_what_dnslib_packs():
    assert message.opt_record(1232) == packed(EDNS0(udp_len=1232))
    assert message.opt_record(512, Rcode.BADVERS) == packed(EDNS0(udp_len=512, ext_rcode=1))
    options = message.option(3, b"site") + message.extended_error(20)
    wanted = EDNS0(udp_len=1232, opts=[EDNSOption(3, b"site"), EDNSOption(15, b"\0\x14")])
    assert message.opt_record(1232, 0, options) == packed(wanted)


def test_a_reply_is_what_dnslib_packs(answerer):
    wire = query("2.0.0.127.bl.example", flags=0x0100, extra=[opt()])
    wanted = DNSRecord.parse(wire).reply(ra=0, aa=1)
    for code in ("127.0.0.2", "127.0.0.4", "127.0.0.10"):
        wanted.add_answer(RR("2.0.0.127.bl.example", 1, ttl=300, rdata=A(code)))
    wanted.add_ar(EDNS0(udp_len=1232))
    assert answerer.reply(wire, "udp") == bytes(wanted.pack())


def packed(rr):
    buffer = DNSBuffer()
    rr.pack(buffer)
    return bytes(buffer.data)
