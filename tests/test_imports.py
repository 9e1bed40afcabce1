"""Imports go one way (design.md section 4). An arrow that runs back fails here, wherever in a file it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "dnsbl"

# Each may import those before it.
GROUND = [
    "errors", "clock", "phrases", "subjects", "model", "config", "special", "hashing", "protected", "geo", "files",
    "keyed", "sdnotify", "native",
]  # fmt: skip
# From the ground up. A module imports from its own layer's package and from the layers before; those of one line do
# not know one another.
LAYERS: list[set[str]] = [
    set(GROUND),
    {"store"},
    {"intake", "reputation"},
    {"hooks"},
    {"zones", "removal", "people"},
    {"documents", "exporting"},
    {"desk"},
    {"dns", "web"},
    {"importing", "following"},
    {"app", "queries", "querykeys", "courier"},
    {"travel"},
    {"back", "front", "screens", "verbs"},
    {"serving", "screens_desk", "screens_sources"},
    {
        "verbs_audit",
        "verbs_config",
        "verbs_exports",
        "verbs_feeds",
        "verbs_hooks",
        "verbs_people",
        "verbs_removals",
        "verbs_sources",
    },
    {"cli"},
    {"__main__"},
]
DNS_KNOWS = {"zones.view", "zones.served", "zones.snapshot"}  # and the ground floor
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}


def modules() -> dict[str, Path]:
    """Module name within the package -> file."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


MODULES = modules()


def imports(name: str, tree: ast.AST) -> Iterator[str]:
    """The modules of this package that a module imports, relative to the package."""
    package = name.split(".") if MODULES.get(name, Path("x")).name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("dnsbl.") for alias in node.names if alias.name.startswith("dnsbl."))
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - (node.level - 1)]
                target = [*base, *(node.module.split(".") if node.module else [])]
            elif node.module and node.module.split(".")[0] == "dnsbl":
                target = node.module.split(".")[1:]
            else:
                continue
            for alias in node.names:
                whole = ".".join([*target, alias.name])
                yield whole if whole in MODULES else ".".join(target)


def mistakes(name: str, tree: ast.AST) -> list[str]:
    part = name.split(".")[0]
    found = []
    for target in imports(name, tree):
        other = target.split(".")[0]
        if other in ("", part) or target not in MODULES:
            if other not in ("", part) and other not in LEVEL:
                found.append(f"{name} imports {target}, which stands in no layer")
            continue
        if other not in LEVEL:
            found.append(f"{name} imports {target}, which stands in no layer")
        elif LEVEL[part] == 0 and other not in GROUND[: GROUND.index(part)]:
            found.append(f"{name} imports {target}: on the ground floor, but above it")
        elif LEVEL[part] > 0 and LEVEL[other] >= LEVEL[part]:
            found.append(f"{name} imports {target}, which stands above or beside it")
        elif part == "dns" and LEVEL[other] > 0 and target not in DNS_KNOWS:
            found.append(f"{name} imports {target}: dns knows only snapshots")
    return found


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_no_arrow_runs_back(name: str) -> None:
    assert name.split(".")[0] in LEVEL, f"{name} stands in no layer: add it to LAYERS"
    assert mistakes(name, ast.parse(MODULES[name].read_text())) == []


def test_the_package_itself_imports_nothing() -> None:
    """`import dnsbl` is free of work: the version must be known without numpy."""
    assert list(imports("", ast.parse(MODULES[""].read_text()))) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("store.claims", "from ..reputation import score"), ("store.claims", "from ..reputation.score import decide"),
        ("subjects", "from .store import Store"), ("errors", "from .clock import now"),
        ("clock", "import dnsbl.config"),
        ("intake.gate", "from ..reputation.exemptions import Exemptions"),
        ("reputation.score", "from ..zones import table"),
        ("zones.build", "from ..dns.answer import Answerer"), ("zones.build", "from .. import web"),
        ("dns.answer", "from ..store import Store"), ("dns.answer", "from ..zones.build import build_base"),
        ("dns.answer", "from ..zones import publish"), ("dns.answer", "from ..web import app"),
        ("web.pages", "from ..dns.answer import Answerer"), ("web.pages", "def f():\n    from ..app import App"),
        ("web.pages", "from dnsbl.app import App"), ("app", "if True:\n    from .cli import main"),
    ],
)  # fmt: skip
def test_an_arrow_that_runs_back_is_seen(name: str, line: str) -> None:
    """The watchman watched: each of these is a mistake."""
    assert mistakes(name, ast.parse(line))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("dns.answer", "from ..zones.view import ZoneView"), ("dns.answer", "from .message import Message"),
        ("dns.answer", "from ..config import ZoneDef"),
        ("zones.build", "from ..reputation.exemptions import Exemptions"),
        ("app", "from .web import app"), ("cli", "from .app import App"),
        ("web.pages", "from ..zones.served import ServedZone"),
        ("dns.answer", "import asyncio"), ("web.pages", "from .. import __version__"),
    ],
)  # fmt: skip
def test_an_arrow_that_runs_forward_is_not(name: str, line: str) -> None:
    assert mistakes(name, ast.parse(line)) == []
