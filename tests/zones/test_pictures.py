"""The courier's pictures of zones: one for all who take a zone away, and for those who come after them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from worlds import World, world

from dnsbl.courier.giving import Pictures
from dnsbl.zones.served import ServedZone


@pytest.fixture
def w() -> Iterator[World]:
    with world() as made:
        yield made


def published(w: World, *subjects: str) -> ServedZone:
    w.listed(subjects)
    w.settle()
    w.publish("ip")
    return w.served("ip")


def test_who_comes_after_another_gets_the_picture_that_is_there(w: World) -> None:
    pictures, view = Pictures(), published(w, "5.5.5.1")
    with pictures.of(view) as one, pictures.of(view) as other:
        assert one is other
    with pictures.of(w.served("ip")) as later:
        assert later is one
    pictures.timer.cancel()


def test_only_the_last_picture_stays(w: World) -> None:
    pictures = Pictures()
    with pictures.of(published(w, "5.5.5.1")) as first, pictures.of(published(w, "5.5.5.2")) as second:
        assert first is not second
    assert [picture.held for picture in pictures.kept.values()] == [first]
    pictures.timer.cancel()


def test_a_picture_does_not_stay_for_ever(w: World) -> None:
    pictures = Pictures(seconds=0)
    with pictures.of(published(w, "5.5.5.1")):
        pass
    pictures.timer.join()
    assert not pictures.kept


def test_what_is_taken_away_stays_whatever_ends_meanwhile(w: World) -> None:
    pictures, view = Pictures(seconds=0), published(w, "5.5.5.1")
    with pictures.of(view) as held:
        with pictures.of(view):
            pass
        pictures.timer.join()
        with pictures.of(view) as again:
            assert again is held
    pictures.timer.join()
