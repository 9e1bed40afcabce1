"""What comes a stretch at a time, from files in memory or on the disk, is what the zone holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_contents import NAMES, NETWORKS, apply, changes
from worlds import EXAMPLES, World, bucketed, thresholds, world

from dnsbl.errors import SnapshotError
from dnsbl.zones import snapshot, stretches
from dnsbl.zones.contents import contents
from dnsbl.zones.ondisk import SnapshotOnDisk
from dnsbl.zones.served import ServedZone, over, read_pointer, zone_directory
from dnsbl.zones.snapshot import Snapshot
from dnsbl.zones.stretches import MANY, deep_pieces, in_step, names_of, pieces4, pieces6
from dnsbl.zones.table import Pieces, pieces
from dnsbl.zones.tree import Names
from dnsbl.zones.wire import zone_sections

few = st.sampled_from([1, 2, 3, 7, MANY])


@contextmanager
def on_disk(view: ServedZone) -> Iterator[ServedZone]:
    """The same zone, its files left on the disk."""
    with ExitStack() as held:
        files = [held.enter_context(closing(SnapshotOnDisk(file.path))) for file in (view.base, view.delta) if file]
        yield over(files[0], files[1] if len(files) > 1 else None)


@contextmanager
def small(many: int, chunk: int) -> Iterator[None]:
    with (
        mock.patch.object(stretches, "MANY", many),
        mock.patch.object(stretches, "CHUNK", chunk),
        mock.patch.object(stretches, "BUCKET_BITS", 0),
    ):
        yield


def rows(table: Pieces) -> list[tuple[int, int, int]]:
    return list(zip(table.first.tolist(), table.last.tolist(), table.mask.tolist(), strict=True))


def all_rows(tables: Iterable[Pieces], many: int) -> list[tuple[int, int, int]]:
    """Of all tables; each but the last has as many as it may."""
    found = [rows(table) for table in tables]
    assert all(len(some) == many for some in found[:-1])
    return [row for some in found for row in some]


def names(held: Names) -> list[tuple[bytes, int]]:
    places = np.arange(len(held.values))
    return list(zip(held.rows(places), held.values.tolist(), strict=True))


def compare(view: ServedZone, many: int) -> None:
    held = contents(view)
    assert all_rows(pieces4(view), many) == rows(held.ip4)
    assert all_rows(pieces6(view), many) == rows(held.ip6)
    assert deep_pieces(view) == held.deep
    windows = [names(some) for some in names_of(view)]
    assert sorted(row for some in windows for row in some) == sorted(names(held.names))
    for some in windows:
        assert [name for name, _ in some] == sorted((name for name, _ in some), key=lambda name: name.split(b"."))


@settings(max_examples=25 * EXAMPLES, deadline=None)
@given(changes, changes, few, few, thresholds)
def test_stretches_together_are_the_contents(
    first: list[tuple[str, str]], second: list[tuple[str, str]], many: int, chunk: int, threshold: int
) -> None:
    with bucketed(threshold), world() as made, small(many, chunk):
        for steps in (first, second):
            apply(made, steps)
            for name in ("ip", "domain"):
                view = made.served(name)
                compare(view, many)
                with on_disk(view) as resting:
                    assert list(zone_sections(resting)) == list(zone_sections(view))


def test_addresses_come_alike_however_they_are_layered() -> None:
    with world() as made, small(3, 2):
        apply(made, [("list", "9.1.2.3"), ("list", "2a00:1::/32")])
        apply(made, [("list", "9.1.2.4"), ("dynamic", "9.1.2.0/24"), ("exempt", "2a00:1:2:3::7")])
        layered, whole = made.served("ip"), made.fresh("ip")
        assert layered.delta and not whole.delta
        assert list(map(rows, pieces4(layered))) == list(map(rows, pieces4(whole)))
        assert list(map(rows, pieces6(layered))) == list(map(rows, pieces6(whole)))


def test_names_come_alike_however_they_are_layered_and_their_answers_numbered() -> None:
    with world() as made:
        apply(made, [("list", "a.com"), ("dynamic", "d.net")])
        apply(made, [("list", "d.net"), ("dynamic", "x.y.a.com"), ("dynamic", "a-b.com"), ("list", "e.com")])
        layered, whole = made.served("domain"), made.fresh("domain")
        assert layered.delta and layered.answers != whole.answers
        assert list(zone_sections(layered)) == list(zone_sections(whole))


@given(st.lists(st.lists(st.integers(0, 60), max_size=12, unique=True), max_size=4), st.integers(1, 5))
def test_sources_in_step_give_all_they_have_up_to_the_same_number(found: list[list[int]], chunk: int) -> None:
    tables = [[(number * 4, number * 4 + 3, 1) for number in sorted(numbers)] for numbers in found]
    parts = [[pieces(table[at : at + chunk]) for at in range(0, len(table), chunk)] for table in tables]
    told = list(in_step([iter(some) for some in parts]))
    for number, table in enumerate(tables):
        said = {value for step in told for first, last, _ in rows(step[number]) for value in range(first, last + 1)}
        assert said == {value for first, last, _ in table for value in range(first, last + 1)}
    ends = [max((last for table in step for _, last, _ in rows(table)), default=-1) for step in told]
    starts = [min((first for table in step for first, _, _ in rows(table)), default=0) for step in told]
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))


# files on the disk


@pytest.fixture
def made() -> Iterator[World]:
    with world() as found:
        apply(found, [("list", "9.1.2.3"), ("list", "a.com")])
        yield found


def altered(content: bytearray) -> None:
    content[-1] ^= 1


def cut(content: bytearray) -> None:
    del content[-64:]


def longer(content: bytearray) -> None:
    content += bytes(64)


def beheaded(content: bytearray) -> None:
    del content[20:]


def another(content: bytearray) -> None:
    content[0] ^= 1


@pytest.mark.parametrize("harm", [altered, cut, longer, beheaded, another])
def test_a_harmed_file_is_refused_on_the_disk_as_it_is_in_memory(
    made: World, harm: Callable[[bytearray], None]
) -> None:
    path = made.served("ip").base.path
    content = bytearray(path.read_bytes())
    harm(content)
    path.write_bytes(content)
    said = []
    for kind in (Snapshot, SnapshotOnDisk):
        with pytest.raises(SnapshotError, match=str(path)) as caught:
            kind(path)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("name", ["current", "base"])
def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(made: World, name: str) -> None:
    directory = zone_directory(made.directory, "ip")
    path = directory / "current" if name == "current" else made.served("ip").base.path
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SnapshotError, match=str(path)):
        read_pointer(directory) if name == "current" else SnapshotOnDisk(path)


def test_a_device_in_the_place_of_the_pointer_is_not_read_to_its_end(made: World) -> None:
    directory = zone_directory(made.directory, "ip")
    (directory / "current").unlink()
    (directory / "current").symlink_to("/dev/zero")
    with pytest.raises(SnapshotError, match="not readable as a pointer"):
        read_pointer(directory)


def test_what_a_file_says_of_itself_is_not_read_into_memory_where_it_is_too_long(made: World) -> None:
    path = made.served("ip").base.path
    with mock.patch.object(snapshot, "MAX_META", 100):
        for kind in (Snapshot, SnapshotOnDisk):
            with pytest.raises(SnapshotError, match="section meta does not fit"):
                kind(path)


def test_a_file_for_which_there_is_no_memory_is_said_to_be_that(made: World) -> None:
    path = made.served("ip").base.path
    with mock.patch("os.pread", side_effect=MemoryError), pytest.raises(SnapshotError, match="no memory for it"):
        SnapshotOnDisk(path)


def test_a_file_altered_in_place_after_it_was_opened_does_not_pass(made: World) -> None:
    path = made.served("ip").base.path
    with closing(SnapshotOnDisk(path)) as file:
        file.check()
        with path.open("r+b") as content:
            content.seek(-1, 2)
            content.write(b"x")
        with pytest.raises(SnapshotError, match="altered while it was read"):
            file.check()


def test_an_altered_file_whose_time_was_put_back_does_not_pass(made: World) -> None:
    path = made.served("ip").base.path
    status, content = path.stat(), path.read_bytes()
    with closing(SnapshotOnDisk(path)) as file:
        known = file.seen
        path.chmod(0o640)  # changes its time of change too, and nothing in it
        file.check()
        with path.open("r+b") as altered:
            altered.seek(-1, 2)
            altered.write(bytes((content[-1] ^ 1,)))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        with pytest.raises(SnapshotError, match="checksum does not match"):
            file.check()
    with pytest.raises(SnapshotError, match="checksum does not match"):
        SnapshotOnDisk(path, known)


def test_a_file_cut_after_it_was_opened_is_said_to_be(made: World) -> None:
    path = made.served("ip").base.path
    with closing(SnapshotOnDisk(path)) as file:
        with path.open("r+b") as content:
            content.truncate(100)
        with pytest.raises(SnapshotError, match="cut while it was read"):
            list(pieces4(over(file, None)))


def test_a_section_on_the_disk_is_what_it_is_in_memory(made: World) -> None:
    held = made.served("domain").base
    with closing(SnapshotOnDisk(held.path)) as file:
        assert list(file.nidx) == list(held.nidx)
        for some in (slice(None), slice(1, 3), slice(-2, None), slice(3, 1), slice(0, 1 << 40)):
            assert file.names[some] == held.names[some]
        with pytest.raises(ValueError, match="next to one another"):  # not all of them instead
            file.names[::2]


def backwards(count: int, width: int) -> bytes:
    return b"".join((count - number).to_bytes(width, "little") for number in range(count))


def zeros(count: int, width: int) -> bytes:
    return bytes(count * width)


def highest(count: int, width: int) -> bytes:
    return b"\xff" * (count * width)


@pytest.mark.parametrize(
    ("zone", "section", "made_of"),
    [
        ("ip", "v4idx", backwards), ("ip", "v4idx", highest), ("ip", "v4one", backwards), ("ip", "v4onea", highest),
        ("ip", "v4low", highest), ("ip", "v4a", highest), ("ip", "v6low", highest), ("ip", "v6one", highest),
        ("ip", "v6d", highest), ("ip", "v6da", highest), ("domain", "names", highest), ("domain", "names", zeros),
        ("domain", "nidx", backwards), ("domain", "nidx", highest),
    ],
)  # fmt: skip
def test_what_is_put_into_a_file_while_it_is_read_ends_in_a_sentence(
    zone: str, section: str, made_of: Callable[[int, int], bytes]
) -> None:
    with bucketed(1), world() as made:
        made.exempt("2a00:1:2:3::7")
        made.report("2a00:1:2:9::/64", "9.1.3.0/25", category="dynamic")
        apply(made, [("list", subject) for subject in (*NETWORKS, *NAMES)])
        path = made.served(zone).base.path
        with closing(SnapshotOnDisk(path)) as file, path.open("r+b") as content:
            view, column = over(file, None), getattr(file, section)
            content.seek(column.offset)
            content.write(made_of(len(column), column.itemsize))
            content.flush()
            with pytest.raises(SnapshotError, match=str(path.parent)):
                list(zone_sections(view))
                file.check()


def test_a_file_that_was_removed_is_read_to_its_end(made: World) -> None:
    view = made.served("ip")
    with on_disk(view) as resting:
        view.base.path.unlink()
        assert list(zone_sections(resting)) == list(zone_sections(view))
        for file in (resting.base, resting.delta):
            if file:
                file.check()


def test_what_was_verified_before_is_not_read_whole_again(made: World) -> None:
    path = made.served("ip").base.path
    with closing(SnapshotOnDisk(path)) as file:
        known = file.seen
    with mock.patch.object(SnapshotOnDisk, "verify") as verify:
        SnapshotOnDisk(path, known).close()
        assert not verify.called
        SnapshotOnDisk(path, (known[0], 0)).close()
        assert verify.called
