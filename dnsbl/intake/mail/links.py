"""Links and mail addresses in what a reader sees: from plain text and from HTML. Untrusted text of bounded length.

Taken are whole links (`http://...`, whatever the slashes, in scripts too), attributes that a reader follows or
fetches, names that begin with www., and bare names with a path if they end as names on the Internet do. Not taken are
the names of document types and namespaces, and other schemes. A redirector stays what it is: the host in the link.

Every pattern takes time linear in the text: what repeats gives nothing back, and cannot begin within itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from urllib.parse import quote, unquote

from .hosts import known_suffix, read_host, registrable

__all__ = ["Links"]

MAX_URLS = 100
MAX_DOMAINS = 50
MAX_EMAILS = 50
MAX_LOOKED = 2000  # links and addresses of one mail that are looked at, those that lead nowhere too: bounds the time
MAX_URL = 2048  # characters
MAX_EMAIL = 254  # RFC 5321 section 4.5.3.1.3

END = r"""\s<>"'`{}|^\x00-\x1f\x7f"""
LINK = re.compile(rf"(?:[Hh][Tt][Tt][Pp][Ss]?|[Ff][Tt][Pp]):[/\\]{{1,10}}[^{END}]{{1,{MAX_URL}}}")
WWW = re.compile(rf"(?<![\w@./\\%=-])[Ww][Ww][Ww]\.[^{END}]{{1,{MAX_URL}}}")
# A name and a path. What stands before it must not make it the end of something else.
BARE = re.compile(rf"(?<![\w@./\\%=&+:-])[\w-]{{1,63}}+(?:\.[\w-]{{1,63}}+){{1,10}}+/[^{END}]{{0,{MAX_URL}}}")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,15}+")
TOP_LEVEL = re.compile(r"\.(?:[a-z]+|xn--[a-z0-9-]+)$")
START = re.compile(r"\s*(?:(https?|ftp):)?[/\\]*", re.IGNORECASE)
AUTHORITY = re.compile(r"[^/\\?#]*")
PORT = re.compile(r":([0-9]{0,5})$")
AFTER_HOST = re.compile(r"[,;()*!$&'=<>]")  # in text, what follows a host without a blank
TRAILING = ".,;:!?*_~'\"\\"
STANDARD_PORTS = {"http": "80", "https": "443", "ftp": "21"}

ATTRIBUTE = re.compile(
    r"(?<=[\s\"';:(/])(?:href|src|action|background|data|poster|url|on[a-z]{3,20}+)\s*+[=(]\s*+"
    r"(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>\"')]++))",
    re.IGNORECASE,
)
FOLLOWED = re.compile(r"(?:https?:|ftp:|[/\\]{2})", re.IGNORECASE)
INLINE = re.compile(r"</?(?:a|abbr|b|big|em|font|i|s|small|span|strong|sub|sup|u|wbr)(?:[\s/][^<>]*+)?>", re.IGNORECASE)
TAG = re.compile(r"<[^<>]*+>")
UNSEEN = re.compile(r"<!--|<style\b|<script\b", re.IGNORECASE)
CLOSES = {
    "<!--": re.compile("-->"),
    "<style": re.compile("</style", re.IGNORECASE),
    "<script": re.compile("</script", re.IGNORECASE),
}
ZEROS = re.compile(r"(&#[xX]?)0++(?=[0-9a-fA-F])")
ENDLESS = re.compile(r"&#[xX]?[0-9a-fA-F]{9,}+;?")
IGNORED = dict.fromkeys(map(ord, "\t\n\r\u00ad\u200b\u200c\u200d\u2060\ufeff"))  # within a link browsers skip them
SAFE = "%/:=&?~+!$,;'@()*[]"


class Links:
    """What was found so far, in the order in which it stands. `cut` says which limits something fell to."""

    def __init__(self) -> None:
        self.urls: dict[str, None] = {}
        self.domains: dict[str, None] = {}
        self.addresses: dict[str, None] = {}
        self.emails: dict[str, None] = {}
        self.cut: set[str] = set()
        self.looked: set[str] = set()

    def plain(self, text: str) -> None:
        """Take what stands in plain text. What is taken is gone for those who look next: a mail address within a link
        is the sender's mark of whom it went to."""
        text = self.taken(LINK, text, lambda found: self.url(trimmed(found)))
        text = self.taken(WWW, text, lambda found: self.url("http://" + trimmed(found), known=True))
        text = self.taken(BARE, text, lambda found: self.url("http://" + trimmed(found), known=True))
        if "@" in text:
            self.taken(EMAIL, text, self.email)

    def html(self, text: str) -> None:
        """Take what HTML links to and fetches, and what its text says."""
        text, scripts = seen(text)
        for match in ATTRIBUTE.finditer(text):
            self.once(match[1] or match[2] or match[3] or "", self.attribute)
        self.plain(unescaped(TAG.sub(" ", INLINE.sub("", text))))
        self.taken(LINK, scripts, lambda found: self.url(trimmed(found)))

    def attribute(self, value: str) -> None:
        """An attribute that names what a reader follows or fetches."""
        value = unescaped(value).translate(IGNORED).strip()
        if FOLLOWED.match(value):
            self.url(value)
        elif value[:7].lower() == "mailto:":
            for match in EMAIL.finditer(unquote(value[7:].partition("?")[0])):
                self.email(match[0])
        else:  # a script, or nothing
            self.taken(LINK, value, lambda found: self.url(trimmed(found)))

    def url(self, text: str, known: bool = False) -> None:
        """Take one link. `known`: only where its name ends as names on the Internet do."""
        read = split(text)
        if read is None:
            return
        url, host, is_address = read
        if known and (is_address or not known_suffix(host)):
            return
        self.keep(self.urls, url, MAX_URLS, "urls")
        if is_address:
            self.keep(self.addresses, host, MAX_DOMAINS, "domains")
        elif domain := registrable(host):
            self.keep(self.domains, domain, MAX_DOMAINS, "domains")

    def email(self, text: str) -> None:
        local, _, domain = text.rpartition("@")
        read = read_host(domain)
        if local and read and not read[1] and TOP_LEVEL.search(read[0]) and len(text) <= MAX_EMAIL:
            self.keep(self.emails, f"{local.lower()}@{read[0]}", MAX_EMAILS, "emails")

    def keep(self, found: dict[str, None], text: str, limit: int, what: str) -> None:
        if text in found:
            return
        if len(found) >= limit:
            self.cut.add(what)
        else:
            found[text] = None

    def taken(self, pattern: re.Pattern[str], text: str, take: Callable[[str], None]) -> str:
        """Take every match, and return the text without them."""

        def one(match: re.Match[str]) -> str:
            self.once(match[0], take)
            return " "

        return pattern.sub(one, text)

    def once(self, text: str, take: Callable[[str], None]) -> None:
        """Take what has not been seen before, while there is room."""
        if text in self.looked or len(text) > MAX_URL:
            return
        if len(self.looked) >= MAX_LOOKED:
            self.cut.add("links")
            return
        self.looked.add(text)
        take(text)


def split(text: str) -> tuple[str, str, bool] | None:
    """(link in its plain form, host, whether that is an address) the way browsers split one: slashes may be
    backslashes, what stands before @ is no host. None where there is no host."""
    start = START.match(text)
    authority = AUTHORITY.match(text, start.end() if start else 0)
    if start is None or authority is None:
        return None
    scheme = (start[1] or "http").lower()
    host = authority[0].rpartition("@")[2]
    port = PORT.search(host)
    host = host[: port.start()] if port else host
    read = read_host(host)
    if read is None:
        return None
    rest = text[authority.end() :].partition("#")[0].replace("\\", "/")
    shown = f"[{read[0]}]" if ":" in read[0] else read[0]
    if port and port[1] and port[1] != STANDARD_PORTS[scheme]:
        shown += port[0]
    path = rest if rest.startswith("/") else "/" + rest
    return f"{scheme}://{shown}{quote(path, SAFE)}"[:MAX_URL], *read


def trimmed(text: str) -> str:
    """A link in running text, without the punctuation that ends the sentence or bracket it stands in."""
    spare = {close: text.count(close) - text.count(open_) for open_, close in ("()", "[]")}
    end = len(text)
    while end and (text[end - 1] in TRAILING or spare.get(text[end - 1], 0) > 0):
        if text[end - 1] in spare:
            spare[text[end - 1]] -= 1
        end -= 1
    text = text[:end]
    start = START.match(text)
    begin = start.end() if start else 0
    authority = AUTHORITY.match(text, begin)
    if authority and "@" not in authority[0] and (after := AFTER_HOST.search(text, begin, authority.end())):
        return text[: after.start()]
    return text


def seen(text: str) -> tuple[str, str]:
    """HTML without comments, styles and scripts; and the scripts. What is not closed goes to the end, as in
    browsers."""
    kept, scripts, place = [], [], 0
    while match := UNSEEN.search(text, place):
        kept.append(text[place : match.start()])
        what = match[0].lower()
        # A comment may be closed by the dashes that open it: <!-->
        closed = CLOSES[what].search(text, match.start())
        place = closed.end() if closed else len(text)
        if what == "<script":
            scripts.append(text[match.start() : place])
    return "".join([*kept, text[place:]]), " ".join(scripts)


def unescaped(text: str) -> str:
    """Text with its character references decoded. Their digits are bounded first: a number without end is an error to
    the library, and takes its time."""
    if "&" not in text:
        return text
    return unescape(ENDLESS.sub("\ufffd", ZEROS.sub(r"\1", text)))
