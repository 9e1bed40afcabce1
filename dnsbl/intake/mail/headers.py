"""The head of a mail: its fields, and the few structures in them that are asked for. Untrusted bytes.

The scanner is our own: the one of the standard library takes milliseconds a mail and keeps everything. Every pattern
here takes time linear in its input; what is looked at is bounded before.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from encodings.aliases import aliases
from urllib.parse import unquote

from ...errors import IntakeError

__all__ = [
    "ADDRESS",
    "Fields",
    "addresses",
    "comments",
    "decode_text",
    "decode_words",
    "is_mail",
    "parameters",
    "read_head",
    "unbase64",
]

MAX_HEAD = 64 * 1024  # bytes of a head that are looked at; real ones have 2 to 20 KiB
HOSTILE_HEAD = 2**20  # bytes without a blank line: no head of a mail is so long
MAX_VALUE = 2048  # characters of one field that structures are sought in
FIELD = re.compile(rb"^([!-9;-~]{1,76})[ \t]*+:((?:[^\r\n]|\r\n?[ \t]|\n[ \t]|\r(?!\n))*+)", re.MULTILINE)
FIRST = re.compile(rb"(?:>?From [^\n]*\n)?[!-9;-~]{1,76}[ \t]*+:")
BLANK = re.compile(rb"\r?\n\r?\n")
FOLD = re.compile(r"\r?\n[ \t]*|\r")
WORD = re.compile(r"=\?([\w.:+-]{1,40})(?:\*[\w-]{0,20})?\?([bqBQ])\?([^?\s]{0,2000})\?=(?:\s+(?==\?))?")
PARAMETER = re.compile(r';\s*+([\w.*-]{1,40})\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^\s;]*+))', re.DOTALL)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # closed or not: then to the end
PARENTHESIS = re.compile(r"[()]")
ANGLE = re.compile(r"<([^<>]*+)>")
ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@]{1,64}@(?:[\w-]{1,63}+\.)*+[\w-]{1,63}+")
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
NOT_BASE64 = bytes(set(range(256)) - set(BASE64))
# Codecs that are no character sets, or take more than linear time.
NO_CHARSETS = {
    *("base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"),
    *("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"),
}
CHARSETS = {name: codec for name, codec in aliases.items() if codec not in NO_CHARSETS}
CHARSETS |= {codec: codec for codec in CHARSETS.values()}
CHARSETS |= {
    "x_gbk": "gbk",
    "x_sjis": "shift_jis",
    "ks_c_5601_1987": "cp949",
    "gb2312": "gb18030",
    "iso_8859_8_i": "iso8859_8",
    "koi8_u": "koi8_u",
    "windows_874": "cp874",
}


@dataclass(slots=True)
class Fields:
    """The fields of a head, in order, names in lower case, values unfolded. `cut`: more than MAX_HEAD was there."""

    all: list[tuple[str, str]] = field(default_factory=list)
    cut: bool = False

    def first(self, name: str) -> str:
        """The topmost field of this name, or ""."""
        return next((value for found, value in self.all if found == name), "")

    def every(self, name: str) -> list[str]:
        return [value for found, value in self.all if found == name]


def read_head(data: bytes, start: int = 0, end: int | None = None) -> tuple[Fields, int]:
    """The fields of the head that begins at `start`, and where the body begins. Raises IntakeError where no end of the
    head is within HOSTILE_HEAD bytes."""
    end = len(data) if end is None else end
    if data.startswith((b"\n", b"\r\n"), start):
        return Fields(), data.index(b"\n", start) + 1
    blank = BLANK.search(data, start, min(end, start + HOSTILE_HEAD))
    if blank is None and end - start > HOSTILE_HEAD:
        raise IntakeError(f"no mail: no end of its header within {HOSTILE_HEAD // 2**20} MiB")
    stop, body = (blank.start(), blank.end()) if blank else (end, end)
    fields = Fields(cut=stop - start > MAX_HEAD)
    for match in FIELD.finditer(data[start : min(stop, start + MAX_HEAD)]):
        fields.all.append((match[1].decode("ascii").lower(), FOLD.sub(" ", decode_text(match[2], "utf-8")).strip()))
    return fields, body


def is_mail(data: bytes) -> bool:
    """Whether it begins with a header field, or the From_ line of a mailbox and one."""
    return FIRST.match(data) is not None


def decode_text(data: bytes, charset: str) -> str:
    """Text of a character set as a stranger names it. A name that is not known is UTF-8, else Latin-1: the codec
    machinery is not asked, as it remembers every name that it is ever asked for."""
    codec = CHARSETS.get(charset.lower().replace("-", "_").replace(" ", "_"), "utf_8")
    try:
        text = data.decode(codec)
        # UTF-7 gives halves of surrogate pairs, which no hash, store or JSON takes.
        return text.encode("utf-8", "replace").decode("utf-8") if codec == "utf_7" else text
    except UnicodeError:
        return data.decode("latin-1") if codec in ("utf_8", "ascii") else data.decode(codec, "replace")


def decode_words(value: str) -> str:
    """A value with its encoded words (RFC 2047) decoded."""
    return WORD.sub(decoded_word, value) if "=?" in value else value


def decoded_word(match: re.Match[str]) -> str:
    text = match[3].encode("utf-8")
    data = unbase64(text) if match[2] in "bB" else binascii.a2b_qp(text, header=True)
    return decode_text(data, match[1])


def unbase64(data: bytes) -> bytes:
    """Base64 as mail readers take it: what is not of the alphabet is passed over, the first = is
    the end (a list may have put its footer below), what is cut is used so far."""
    data = data.partition(b"=")[0].translate(None, NOT_BASE64)
    try:
        return binascii.a2b_base64(data + b"=" * (-len(data) % 4) if len(data) % 4 != 1 else data[:-1])
    except binascii.Error:
        return b""


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """A value such as `text/plain; charset="x"`: what it says in lower case, and its parameters. Continued and
    encoded ones (RFC 2231) are put together."""
    main, _, rest = value[:MAX_VALUE].partition(";")
    found: dict[str, str] = {}
    for match in PARAMETER.finditer(";" + rest):
        name, star, _ = match[1].lower().partition("*")
        text = match[2] if match[2] is not None else match[3]
        if not star:
            found.setdefault(name, text)
        else:
            text = text.split("'", 2)[-1] if text.count("'") > 1 else text  # without charset'language'
            found[name] = found.get(name, "") + unquote(text)
    return main.strip().lower(), found


def addresses(value: str) -> list[str]:
    """The mail addresses of a From or Reply-To: in angle brackets where there are some, each part between commas on
    its own. What is quoted or a comment may look like one and is none. Lower case; none where parentheses do not
    match."""
    try:
        plain, _ = comments(QUOTED.sub("_", value[:MAX_VALUE]))
    except IntakeError:
        return []
    found = []
    for part in plain.split(","):
        angle = ANGLE.search(part)
        match = ADDRESS.search(angle[1] if angle else part)
        if match:
            found.append(match[0].lower())
    return found


def comments(text: str, mark: str = " ") -> tuple[str, list[str]]:
    """A structured value with `mark` for each comment, and what stands in the outermost ones. They may nest (RFC 5322
    section 3.2.2). A quoted parenthesis counts too: whoever quotes wrongly must not move the others. Raises
    IntakeError where parentheses do not match."""
    outside: list[str] = []
    found: list[str] = []
    depth = start = 0
    for match in PARENTHESIS.finditer(text):
        if match[0] == "(":
            if depth == 0:
                outside.append(text[start : match.start()])
                start = match.end()
            depth += 1
            continue
        depth -= 1
        if depth < 0:
            raise IntakeError("parentheses that do not match")
        if depth == 0:
            found.append(text[start : match.start()])
            start = match.end()
    if depth:
        raise IntakeError("parentheses that do not match")
    return f" {mark} ".join([*outside, text[start:]]), found
