"""How deeds and their fields look on pages: what is said on a button, in a label, afterwards; and where one goes then.
A deed that cannot be undone at once has `sure`: what is said on the page that asks once more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...phrases import N_

__all__ = ["ANSWERS", "FIELDS", "LOOKS", "FieldLook", "Look"]


@dataclass(slots=True, frozen=True)
class Look:
    """A deed. `fixed`: fields that the page fills in, as what the deed is about. `back` may name fields."""

    title: str
    done: str
    back: str
    fixed: tuple[str, ...] = ()
    sure: str = ""


@dataclass(slots=True, frozen=True)
class FieldLook:
    """A field. `kind`: line, words, number, check, either (yes, no, or as it is), category, scopes, hidden."""

    label: str
    kind: str = "line"
    hint: str = ""


LOOKS: Mapping[str, Look] = {
    "removals/grant": Look(N_("Grant the removal"), N_("Granted; DNS follows within seconds."), "/admin", ("number",)),
    "removals/refuse": Look(N_("Refuse the removal"), N_("Refused; the requester sees why."), "/admin", ("number",)),
    "holds/approve": Look(
        N_("Approve what is held"),
        N_("Approved: the source may list there."),
        "/admin/holds",
        ("number",),
        N_("What this source claims in this place is listed at once, and what it claims there later as well."),
    ),
    "holds/reject": Look(
        N_("Reject what is held"), N_("Rejected: the source is not believed there."), "/admin/holds", ("number",)
    ),
    "listings/remove": Look(
        N_("Take off the list"),
        N_("Taken off; DNS follows within seconds."),
        "/admin/search?q={subject}",
        (),
        N_("It leaves the list for the grace of each zone, and what was reported before does not count again."),
    ),
    "listings/report": Look(N_("Report by hand"), N_("Reported."), "/admin/search?q={subject}"),
    "exemptions/add": Look(N_("Exempt"), N_("Exempt; DNS follows within seconds."), "/admin/exemptions"),
    "exemptions/remove": Look(
        N_("Take off the allow-list"), N_("Not exempt any more."), "/admin/exemptions", ("subject",)
    ),
    "feeds/pull": Look(N_("Pull now"), N_("It is pulled within seconds."), "/admin/feeds/{name}", ("name",)),
    "feeds/enable": Look(
        N_("Switch on"), N_("Switched on; it is pulled within seconds."), "/admin/feeds/{name}", ("name",)
    ),
    "feeds/disable": Look(
        N_("Switch off"),
        N_("Switched off; what it had decays."),
        "/admin/feeds/{name}",
        ("name",),
        N_("What the feed lists begins to decay, and whom it exempts is exempt no more."),
    ),
    "feeds/release": Look(
        N_("Release the content"),
        N_("Released: the content was taken."),
        "/admin/feeds/{name}",
        ("name", "digest"),
        N_("The content that was held back becomes what the feed says, at once."),
    ),
    "sources/set": Look(
        N_("Change how far it is believed"), N_("Changed."), "/admin/sources/show?name={name}", ("name",)
    ),
    "sources/purge": Look(
        N_("Purge the source"),
        N_("Taken away; it can be put back."),
        "/admin/sources/show?name={name}",
        ("name",),
        N_("What the source claimed is taken away, and it counts for nothing until it is let live again."),
    ),
    "purges/undo": Look(N_("Undo the purge"), N_("Put back."), "/admin/sources", ("number",)),
    "keys/create": Look(N_("Make a key"), N_("Made."), "/admin/keys"),
    "keys/revoke": Look(
        N_("Revoke the key"),
        N_("Revoked."),
        "/admin/keys",
        ("name",),
        N_("Nobody can use the key any more, from now on. This cannot be undone: a partner needs another one."),
    ),
}

FIELDS: Mapping[str, FieldLook] = {
    "subject": FieldLook(N_("Address, network, domain name, mail address, URL or telephone number")),
    "zone": FieldLook(N_("Zone, by name"), hint=N_("Empty: all zones.")),
    "reason": FieldLook(N_("Why"), "words", N_("Kept in the audit trail.")),
    "note": FieldLook(N_("Note"), "words", N_("Kept in the audit trail.")),
    "answer": FieldLook(N_("What is said to the requester"), "words"),
    "firm": FieldLook(N_("Off for the whole grace, even if it is reported again"), "check"),
    "wrong": FieldLook(N_("It should never have been listed: hold it against those who claimed it"), "check"),
    "category": FieldLook(N_("Category"), "category"),
    "lifetime": FieldLook(N_("For how long"), hint=N_("Such as 12h, 30d or 2w; empty: for ever.")),
    "name": FieldLook(N_("Name")),
    "number": FieldLook(N_("Number"), "number"),
    "digest": FieldLook(N_("Digest"), "hidden"),
    "trust": FieldLook(N_("Trust"), "number", N_("From 0 to 1.")),
    "simulated": FieldLook(N_("Simulated: watched, and counts for nothing"), "either"),
    "daily": FieldLook(N_("Listings a day at most"), "number"),
    "since": FieldLook(N_("From"), hint=N_("Such as 2026-01-02T03:04:05Z; empty: ever since.")),
    "until": FieldLook(N_("Until"), hint=N_("Such as 2026-01-02T03:04:05Z; empty: until now.")),
    "scopes": FieldLook(N_("What the key is for"), "scopes"),
    "queries": FieldLook(N_("Queries a day at most"), "number", N_("Only for a key that asks zones by DNS.")),
    "query_zones": FieldLook(
        N_("Zones that it may ask, by name"),
        hint=N_("With blanks between them; empty: all zones. Only for such a key."),
    ),
    "live": FieldLook(N_("Believed from the first report on, not simulated at first"), "check"),
}

# What is often said to a requester: chosen by number, and may be changed before it is sent.
ANSWERS: tuple[str, ...] = (
    N_("Thank you for mending it. If it is reported again, it may be listed again."),
    N_(
        "We still receive reports about it. Please look for an infected machine or a stolen account, end what it "
        "sends, and ask again when it has been quiet for two days."
    ),
    N_(
        "It is an open relay or proxy. Please close it or restrict who may use it, then ask again: the test can be "
        "made from outside with any common tool."
    ),
    N_(
        "The network is declared as one for end users, where no mail server is expected. Please send by your "
        "provider's mail server, or ask your provider to have the address taken out."
    ),
    N_("The whole network is listed. Please have its owner ask, who can end what is going on in all of it."),
    N_(
        "The mail went to addresses that never asked for any. Please send only to people who have confirmed that "
        "they want it, and remove the others from your lists before you ask again."
    ),
    N_("It was listed by mistake. We are sorry; it has been taken off, and whoever claimed it is believed less."),
    N_("What you wrote does not tell us what was mended. Please ask again and say what you found and did."),
)
