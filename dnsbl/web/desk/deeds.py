"""Everything that can be done at the desk: one table for the API and the pages, so that neither can do more. Each deed
is a call of what the command line calls, with the name of whoever does it.

What concerns so many that it needs two people is done when the second asks (`desk.seconding`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from ... import clock
from ...errors import IntakeError
from ...store.contract import KeyLimits
from ..backend import Parts
from . import models

__all__ = ["ADMIN", "DEEDS", "REVIEWER", "WAITS", "Deed", "carry_out"]

REVIEWER, ADMIN = "reviewer", "admin"
WAITS = {"done": False, "waits": "a second person must ask for the same within a week"}


@dataclass(slots=True, frozen=True)
class Deed:
    """One thing that can be done. `agreed`: whether it may be done now, which notes who asked."""

    summary: str
    role: str
    model: type[BaseModel]
    do: Callable[[Parts, Any, str], Any]
    agreed: Callable[[Parts, Any, str], bool] | None = None


def carry_out(app: Parts, deed: Deed, wanted: BaseModel, who: str) -> dict[str, Any]:
    """Do it, in a thread. `done` is false where it waits for a second person. Raises DnsblError."""
    if deed.agreed and not deed.agreed(app, wanted, who):
        return dict(WAITS)
    return {"done": True, "result": deed.do(app, wanted, who)}


def end_of(lifetime: int | None) -> int | None:
    return None if lifetime is None else clock.now() + lifetime


def time_of(text: str | None) -> int | None:
    """Raises IntakeError."""
    if not text:
        return None
    try:
        return clock.parse_time(text)
    except ValueError:
        raise IntakeError(f"{text[:40]!r} is no time; write 2026-01-02T03:04:05Z") from None


def delist(app: Parts, wanted: models.Delist, who: str) -> dict[str, Any]:
    zones, until = app.delist(wanted.subject, wanted.zone, wanted.reason, wanted.wrong, who)
    return {"subject": wanted.subject, "zones": zones, "until": clock.rfc3339(until)}


def report(app: Parts, wanted: models.ReportByHand, who: str) -> dict[str, Any]:
    app.report(wanted.subject, wanted.category, "operator", who)
    return {"subject": wanted.subject, "category": wanted.category}


def exempt(app: Parts, wanted: models.NewExemption, who: str) -> dict[str, Any]:
    app.allow(wanted.subject, wanted.reason, end_of(wanted.lifetime), wanted.zone, who)
    return {"subject": wanted.subject, "reason": wanted.reason}


def unexempt(app: Parts, wanted: models.Unexempt, who: str) -> dict[str, Any]:
    return {"subject": wanted.subject, "removed": app.disallow(wanted.subject, who, wanted.reason)}


def grant(app: Parts, wanted: models.GrantRemoval, who: str) -> dict[str, Any]:
    return app.removal_desk.decide(wanted.number, True, wanted.answer, who, wanted.firm)


def refuse(app: Parts, wanted: models.RefuseRemoval, who: str) -> dict[str, Any]:
    return app.removal_desk.decide(wanted.number, False, wanted.answer, who)


def grant_agreed(app: Parts, wanted: models.GrantRemoval, who: str) -> bool:
    return app.desk.agreed_removal(wanted.number, app.removal_desk.waiting(wanted.number).subject, who)


def key_made(app: Parts, wanted: models.KeyMade, who: str) -> dict[str, Any]:
    limits = KeyLimits(queries=wanted.queries, query_zones=tuple(wanted.query_zones or ()))
    return app.create_key(
        wanted.name, wanted.trust, wanted.scopes, wanted.lifetime, limits, simulated=not wanted.live, who=who
    )


def key_revoked(app: Parts, wanted: models.Named, who: str) -> dict[str, Any]:
    app.revoke_key(wanted.name, who, wanted.reason)
    return {"name": wanted.name, "revoked": True}


def person(change: Callable[[Any, Any, str], Any]) -> Callable[[Parts, Any, str], dict[str, Any]]:
    """A deed about a person."""

    def do(app: Parts, wanted: Any, who: str) -> dict[str, Any]:
        told = change(app.people, wanted, who)
        return told if isinstance(told, dict) else {"name": wanted.name}

    return do


DEEDS: Mapping[str, Deed] = {
    "removals/grant": Deed("Grant a removal that waits", REVIEWER, models.GrantRemoval, grant, grant_agreed),
    "removals/refuse": Deed("Refuse a removal that waits", REVIEWER, models.RefuseRemoval, refuse),
    "holds/approve": Deed(
        "Let a source list in a place where it was held",
        REVIEWER,
        models.HoldApproved,
        lambda app, wanted, who: app.desk.decide(wanted.number, True, wanted.note, end_of(wanted.lifetime), who),
        lambda app, wanted, who: app.desk.agreed_decision(wanted.number, True, who, wanted.lifetime),
    ),
    "holds/reject": Deed(
        "Do not believe a source in a place where it was held",
        REVIEWER,
        models.Hold,
        lambda app, wanted, who: app.desk.decide(wanted.number, False, wanted.note, who=who),
    ),
    "listings/remove": Deed(
        "Take a subject off",
        REVIEWER,
        models.Delist,
        delist,
        lambda app, wanted, who: app.desk.agreed_delisting(wanted.subject, wanted.zone, who),
    ),
    "listings/report": Deed("Report a subject by hand", REVIEWER, models.ReportByHand, report),
    "exemptions/add": Deed(
        "Exempt a subject",
        REVIEWER,
        models.NewExemption,
        exempt,
        lambda app, wanted, who: app.desk.agreed_exemption(wanted.subject, wanted.zone, who, wanted.lifetime),
    ),
    "exemptions/remove": Deed("Take a subject off the allow-list", REVIEWER, models.Unexempt, unexempt),
    "feeds/pull": Deed(
        "Pull a feed within seconds",
        ADMIN,
        models.FeedNamed,
        lambda app, wanted, who: app.desk.want_pull(wanted.name, who, wanted.reason),
    ),
    "feeds/enable": Deed(
        "Switch a feed on",
        ADMIN,
        models.FeedNamed,
        lambda app, wanted, who: app.switch_feed(wanted.name, True, who, wanted.reason),
    ),
    "feeds/disable": Deed(
        "Switch a feed off: what it had decays",
        ADMIN,
        models.FeedNamed,
        lambda app, wanted, who: app.switch_feed(wanted.name, False, who, wanted.reason),
    ),
    "feeds/release": Deed(
        "Take a feed's content that was held back",
        ADMIN,
        models.Released,
        lambda app, wanted, who: app.desk.release_feed(wanted.name, who, wanted.reason, wanted.digest),
    ),
    "sources/set": Deed(
        "Change how far a source is believed",
        ADMIN,
        models.SetSource,
        lambda app, wanted, who: app.desk.set_source(
            wanted.name, wanted.trust, wanted.simulated, wanted.daily, who=who
        ),
    ),
    "sources/purge": Deed(
        "Take away what a source claimed",
        ADMIN,
        models.Purge,
        lambda app, wanted, who: app.desk.purge(
            wanted.name, wanted.reason, time_of(wanted.since), time_of(wanted.until), who
        ),
        lambda app, wanted, who: app.desk.agreed_purge(wanted.name, time_of(wanted.since), time_of(wanted.until), who),
    ),
    "purges/undo": Deed(
        "Put back what a purge took",
        ADMIN,
        models.Purged,
        lambda app, wanted, who: app.desk.undo_purge(wanted.number, who),
    ),
    "keys/create": Deed("Make a key for a partner; its secret is in the answer, once", ADMIN, models.KeyMade, key_made),
    "keys/revoke": Deed("End a key", ADMIN, models.Named, key_revoked),
    "people/add": Deed(
        "Add a person to the desk; the set-up code is in the answer, once",
        ADMIN,
        models.NewPerson,
        person(lambda people, wanted, who: people.add(wanted.name, wanted.role, who)),
    ),
    "people/role": Deed(
        "Give a person another role",
        ADMIN,
        models.Role,
        person(lambda people, wanted, who: people.set_role(wanted.name, wanted.role, who)),
    ),
    "people/password": Deed(
        "A set-up code for another password",
        ADMIN,
        models.Named,
        person(lambda people, wanted, who: people.new_password(wanted.name, who)),
    ),
    "people/second": Deed(
        "Forget a person's second factors",
        ADMIN,
        models.Named,
        person(lambda people, wanted, who: people.reset_second(wanted.name, who)),
    ),
    "people/disable": Deed(
        "Keep a person out", ADMIN, models.Named, person(lambda people, wanted, who: people.disable(wanted.name, who))
    ),
    "people/enable": Deed(
        "Let a person in again",
        ADMIN,
        models.Named,
        person(lambda people, wanted, who: people.enable(wanted.name, who)),
    ),
    "people/sign-out": Deed(
        "End a person's sessions",
        ADMIN,
        models.Named,
        person(lambda people, wanted, who: people.sign_out(wanted.name, who)),
    ),
}
