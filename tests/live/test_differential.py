"""The same zones, from real lists, in this server, in rbldnsd and in BIND: a hundred thousand questions, one answer.

What the others get wrong, or a master file cannot say, is named in `rbldnsd_is_wrong` and `master_file_cannot`; nothing
else may differ.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from asking import NOERROR, NXDOMAIN, name4
from building import DATA, EXEMPT_NAMES, build
from edges import address_names, domain_names
from peers import Question, Reply, parsed, replies, running
from server import free_port

from dnsbl import config
from dnsbl.dns.answer import Answerer
from dnsbl.zones.export import export
from dnsbl.zones.served import ServedZone

QUESTIONS = 100_000

pytestmark = [
    pytest.mark.peer,
    pytest.mark.data,
    pytest.mark.heavy,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real lists at {DATA}: set DNSBL_DATA"),
    pytest.mark.skipif(not shutil.which("rbldnsd"), reason="rbldnsd is not installed"),
    pytest.mark.skipif(not shutil.which("named"), reason="BIND's named is not installed"),
]


# what may differ


def rbldnsd_is_wrong(asked: Question, ours: Reply, theirs: Reply) -> str:
    """Why an answer of rbldnsd's may differ from ours (standards.md); empty where it may not."""
    if ours == (NOERROR, frozenset()) and theirs == (NXDOMAIN, frozenset()):
        return "NXDOMAIN where something is below (RFC 8020)"
    if asked.mapped and ours[0] == NXDOMAIN:
        return "an IPv4 listing also answers as IPv4-mapped IPv6 (RFC 5782 section 2.4 has test points there, no more)"
    return ""


def master_file_cannot(asked: Question, ours: Reply, theirs: Reply) -> str:
    """Why an answer from a master file may differ from ours: what the file's own header says."""
    if asked.origin.startswith("domain"):
        if ours[0] == NXDOMAIN and theirs == (NOERROR, frozenset()) and asked.name in EXEMPT_NAMES:
            return "an exempt name below a listed one exists"
        return ""
    if not is_address(asked):
        if ours == (NOERROR, frozenset()) and theirs[1]:
            return "a wildcard answers for what is above an address too"
        if ours[0] == NXDOMAIN and theirs == (NOERROR, frozenset()) and asked.labels[0] in "abcdef":
            return "a letter beside an IPv4 wildcard exists"
    return ""


def is_address(asked: Question) -> bool:
    labels = asked.address_labels
    return len(labels) == 32 or (len(labels) == 4 and all(label.isdigit() for label in labels))


# the zones


@dataclass(slots=True)
class Built:
    zones: dict[str, ServedZone]
    directory: Path


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    """Bundled zones from real lists. In a directory that any user may read: rbldnsd does not run as root."""
    directory = Path(tempfile.mkdtemp(prefix="dnsbl-differential-"))
    directory.chmod(0o755)
    try:
        yield Built(build(directory), directory)
    finally:
        shutil.rmtree(directory)


# the questions


def questions(zones: dict[str, ServedZone]) -> list[Question]:
    chosen = random.Random(5782)
    asked = {*address_names(zones["ip"], chosen)}
    names = {*domain_names(zones["domain"], chosen)}
    asked.update(name4(chosen.randrange(1 << 32)) for _ in range(QUESTIONS + 100 - len(asked) - len(names)))
    made = [Question(name, zones["ip"].zone.origin) for name in sorted(asked)]
    made += [Question(name, zones["domain"].zone.origin) for name in sorted(names)]
    chosen.shuffle(made)
    return made


# the others


def write_exports(built: Built) -> None:
    for name, view in built.zones.items():
        for format in ("rbldnsd", "bind"):
            with (built.directory / f"{name}.{format}").open("wb") as file:
                file.writelines(export(view, format))


def rbldnsd(built: Built, port: int) -> list[str]:
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    zones = [f"{view.zone.origin}:combined:{name}.rbldnsd" for name, view in built.zones.items()]
    return ["rbldnsd", "-n", *user, "-w", str(built.directory), "-b", f"127.0.0.1/{port}", "-c", "0", *zones]


def named(built: Built, port: int) -> list[str]:
    settings = f"""
        options {{ directory "{built.directory}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
            recursion no; pid-file none; session-keyfile none; minimal-responses yes; dnssec-validation no; }};
        controls {{ }};
    """
    for name, view in built.zones.items():
        settings += f'zone "{view.zone.origin}" {{ type primary; file "{name}.bind"; check-names ignore; }};\n'
    (built.directory / "named.conf").write_text(settings)
    return ["named", "-g", "-c", str(built.directory / "named.conf"), "-n", "2"]


def test_every_server_says_the_same(built: Built) -> None:
    write_exports(built)
    asked = questions(built.zones)
    assert len(asked) >= QUESTIONS
    answerer = Answerer(built.zones, config.DnsConfig())
    tests = [Question("2.0.0.127", built.zones["ip"].zone.origin), Question("test", built.zones["domain"].zone.origin)]
    with ExitStack() as stack:
        ports = [free_port() for _ in range(2)]
        commands = [rbldnsd(built, ports[0]), named(built, ports[1])]
        for command, port in zip(commands, ports, strict=True):
            stack.enter_context(running(command, port, built.directory / f"{command[0]}.log", tests))
        ours = [parsed(answerer.reply(b"\0\0" + question.wire, "udp") or b"") for question in asked]
        theirs = [replies(port, asked) for port in ports]
    seen = Counter[str]()
    differing = []
    for question, said, old, bind in zip(asked, ours, *theirs, strict=True):
        seen["listed" if said[1] else "empty" if said[0] == NOERROR else "absent"] += 1
        for who, other, why in (
            ("rbldnsd", old, rbldnsd_is_wrong(question, said, old)),
            ("named", bind, master_file_cannot(question, said, bind)),
        ):
            if said != other:
                seen[f"{who}: {why}"] += 1
                if not why:
                    differing.append((who, f"{question.name}.{question.origin}", said, other))
    print("\n".join(f"{count:8,} {what}" for what, count in seen.most_common()))
    assert not differing, f"{len(differing)} differ, such as {differing[:5]}"
    assert min(seen["listed"], seen["absent"]) > QUESTIONS // 10 and seen["empty"] > QUESTIONS // 100
