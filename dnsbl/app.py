"""The one place that joins the parts: a store, its zones and feeds, and what is done with them in turn.

    change the store (import, pull, report, allow, delist)  ->  settle: sweep what was touched, publish what changed

The command line and the server both work through an `App`; several may be open on one data directory at once, in
several processes: the store takes one writer at a time, and a zone one publisher.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import orjson

from . import clock, documents
from .config import FeedDef, Settings, ZoneDef
from .config.base import Network
from .desk import Desk
from .desk.base import person_of
from .desk.removals import RemovalDesk
from .errors import DnsblError, IntakeError, PublishRefused, SnapshotError, SubjectError
from .geo import Networks
from .hashing import parse_query
from .importing import Importer
from .intake import feeds as pulling
from .intake import partners
from .intake.gate import REPORT_WIDEST, Gate
from .keyed import Keyed
from .model import Report
from .people import People
from .protected import ORIGIN, REASON, protected
from .removal.proving import Proving
from .removal.rdap import Rdap
from .removal.requests import Removals
from .removal.resolving import Resolving
from .reputation.explain import explain
from .reputation.guard import Guard
from .reputation.sweep import ExemptionCache, sweep
from .special import refused
from .store import Exemption, FeedState, KeyLimits, QueryUse, SqliteStore, open_store
from .subjects import is_ip, kind, listing_key, text
from .web.dnscounts import read_counts
from .zones.followed import Followed, force, read_followed
from .zones.loaded import Snapshots
from .zones.publish import Published, Publisher
from .zones.served import ServedZone, read_pointer, zone_directory

__all__ = ["App", "Progress"]

log = logging.getLogger("dnsbl")

IDEMPOTENCY_LIFETIME = 7 * clock.DAY  # a retry comes sooner
IMPORT_LIFETIME = 90 * clock.DAY  # as a feed's, where nothing else is said
QUERY_DAYS = 30  # of what was asked with keys in DNS that are shown
OPERATOR = "operator"
OPERATOR_WIDEST = (8, 19)  # an operator may report wide networks
CLOCK_SLACK = 300  # seconds that a clock may be put back without anything having been decided wrongly
NO_LIMITS = KeyLimits()
Progress = Callable[..., None]  # (what is being done, how much of it more, of how much in all where that is known)


def quiet(_what: str, _more: int, _total: int | None = None) -> None:
    """No progress is shown."""


class App:
    """Everything but the servers. A constructor stores; `open` acts; `close` undoes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.settling = threading.Lock()
        self.looking = threading.Lock()
        self.snapshots = Snapshots(settings.config.data_dir)
        self.unpublished: dict[str, DnsblError] = {}
        self.settled_at = 0
        self.trouble = ""  # why the last settling failed; empty: it did not

    def open(self) -> App:
        self.store: SqliteStore = open_store(self.settings.config)
        self.exemptions = ExemptionCache(self.store)
        self.guard = Guard(self.settings.config.guard, self.networks)
        self.removals = self.make_removals()
        self.removal_desk = RemovalDesk(self.removals, self.check, lambda: self.networks)
        proof = self.settings.config.proof
        self.proving = Proving(self.removals, Resolving(proof.resolver), Rdap(proof.rdap, self.public_url))
        self.desk = Desk(
            self.store,
            lambda: dict(self.zones),
            self.exemptions,
            self.guard,
            lambda: self.feeds,
            self.data_dir / "quarantine",
            self.networks_of,
        )
        self.publishers = self.make_publishers()
        self.protect()
        return self

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> App:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def zones(self) -> Mapping[str, ZoneDef]:
        return self.settings.zones

    @property
    def feeds(self) -> Mapping[str, FeedDef]:
        return self.settings.feeds

    @property
    def data_dir(self) -> Path:
        return self.settings.config.data_dir

    @cached_property
    def keyed(self) -> Keyed:
        """Made when first needed: a verb that only looks makes no key. A key that was lost is not replaced unsaid."""
        keyed = Keyed(self.data_dir)
        before, now = self.store.meta("key"), keyed.fingerprint()
        if before is None:
            self.store.set_meta("key", now)
        elif before != now:
            log.error(
                "data_dir/secret is not the key that was used before (fingerprint %s, now %s): codes of authenticator "
                "apps and signatures of webhooks and exports are wrong, traps and reporters of before and after count "
                "as others; stop, restore the file from a backup; without one: `dnsbl person reset-second`, new hooks",
                before,
                now,
            )
        return keyed

    @cached_property
    def networks(self) -> Networks:
        """What is known of networks and countries; the tables are read when first asked."""
        directory = self.settings.config.geo.directory
        return Networks.load(directory) if directory else Networks.none()

    @property
    def networks_of(self) -> Callable[[int], list[bytes]] | None:
        """An autonomous system's networks, where there are tables of them."""
        return self.networks.networks_of if self.settings.config.geo.directory else None

    @property
    def proxies(self) -> Sequence[Network]:
        return self.settings.config.web.proxies

    @property
    def public_url(self) -> str:
        return self.settings.config.web.public_url

    def make_removals(self) -> Removals:
        config = self.settings.config
        return Removals(
            self.store,
            lambda: self.zones,
            lambda subject, now: explain(self.store, self.zones, self.exemptions.get(now), subject, now, self.guard),
            lambda subject: self.networks.asn(subject) if is_ip(subject) else None,
            lambda zone, subject: bool(self.dns_codes(zone, subject)),
            lambda: self.keyed,
            mail=config.mail.relay is not None,
            dns=config.proof.resolver != "off",
            rdap=bool(config.proof.rdap),
        )

    def make_publishers(self) -> dict[str, Publisher]:
        followed = {follow.zone for follow in self.settings.config.follow}
        ours = {name: zone for name, zone in self.zones.items() if name not in followed}
        return {name: Publisher(self.store, zone, self.data_dir) for name, zone in ours.items()}

    def replace(self, settings: Settings) -> None:
        """Other zones and feeds from now on; the data directory stays, and all else that was opened with it."""
        with self.settling:
            self.settings = settings.model_copy(update={"config": self.settings.config})
            self.publishers = self.make_publishers()
        self.reconcile()

    @cached_property
    def people(self) -> People:
        """Who may sign in at the desk. The key of their authenticator apps is read when first needed."""
        return People(self.store, lambda: self.keyed, self.public_url)

    def protect(self) -> None:
        """The exemptions that come with the program, as this program has them."""
        builtin = protected()
        if self.store.meta("protected") == builtin.digest:
            return
        now = clock.now()
        with self.store.transaction():
            self.store.replace_exemptions(ORIGIN, builtin.networks, REASON, now)
            self.store.replace_exemptions(ORIGIN, builtin.names, REASON, now, exact=True)
            self.store.set_meta("protected", builtin.digest)

    # settling

    def reconcile(self) -> None:
        """Decide everything anew where the rules are others than those the listings were decided by; and let go what
        feeds that are off or gone still hold. What feeds may be trusted, and given away, is as their files say now."""
        enabled = {feed.name: feed for feed in self.feeds_on()}
        for source in self.store.sources().values():
            if source.kind == "feed" and source.name in enabled:
                pulling.feed_source(self.store, enabled[source.name])
            elif source.kind == "feed":
                entry = self.store.replace_entries(source.id, {}, {}, "other", clock.now())
                freed = self.store.replace_exemptions(source.name, [], "", clock.now())
                if entry.left:
                    log.warning("feed %s is off: its %d entries decay from now on", source.name, entry.left)
                if freed.left:
                    log.warning("feed %s is off: its %d subjects are exempt no more", source.name, freed.left)
                if entry.left or freed.left:  # what it had is not known any more: once on again, it is all new
                    self.store.put_feed_state(FeedState(source.name, "off"))
        rules = {name: zone.rules for name, zone in self.zones.items()}
        digest = sha256(orjson.dumps(rules, option=orjson.OPT_SORT_KEYS)).hexdigest()
        if digest != self.store.meta("rules"):
            self.store.touch_all()
            self.store.set_meta("rules", digest)

    def settle(
        self, progress: Progress = quiet, force: Iterable[str] = (), only: Collection[str] = ()
    ) -> list[Published]:
        """Sweep, and publish every zone that changed (or of those named in `only`). A zone that cannot be published
        does not stop the others; why it could not is in `unpublished` then. Raises StoreError."""
        forced = set(force)
        unpublished: dict[str, DnsblError] = {}
        done = []
        with self.settling:
            now = clock.now()
            if now < self.settled_at - CLOCK_SLACK:
                log.warning("the clock was ahead and went back: everything is decided anew")
                self.store.touch_all()
            self.settled_at = now
            sweep(self.store, self.zones, self.exemptions, now, lambda more: progress("deciding", more), self.guard)
            exempt = self.exemptions.get(now)
            for name, publisher in self.publishers.items():
                if only and name not in only:
                    continue
                try:
                    published = publisher.publish(exempt, now, force=name in forced)
                except (PublishRefused, SnapshotError) as error:
                    unpublished[name] = error
                    if isinstance(error, SnapshotError):  # the files may be damaged: look at them afresh next time
                        self.publishers[name] = Publisher(self.store, publisher.zone, self.data_dir)
                    continue
                if published:
                    done.append(published)
                    progress(f"zone {name} published", 1)
            self.removals.advance(now)
        self.unpublished = unpublished
        return done

    def need_published(self) -> None:
        """Raise why a zone could not be published: for verbs that promise its answers."""
        for error in self.unpublished.values():
            raise error

    def settle_after(self) -> None:
        """Settle what a verb has done; that a zone could not be published is said, and does not undo it."""
        self.settle()
        for error in self.unpublished.values():
            log.warning("%s; it is kept, and DNS answers from what was published before", error)

    # in

    def exempt_reason(self) -> Callable[[bytes], str | None]:
        """The gate's question, answered from the exemptions as they are now. Removals do not keep reports out."""
        exempt = self.exemptions.get(clock.now())

        def reason(subject: bytes) -> str | None:
            if not exempt.covers(subject):
                return refused(subject) if subject[:1] in (b"d", b"e") else None
            if why := refused(subject):
                return why
            found = [e for e in exempt.why(subject) if e.origin != "removal" and not e.zone]
            return f"exempt: {found[0].reason}" if found else None

        return reason

    def gate(
        self, words: Mapping[str, str] | None = None, category: str = "spam", widest: tuple[int, int] = REPORT_WIDEST
    ) -> Gate:
        return Gate(self.exempt_reason(), clock.now(), words, category, widest, token=self.token)

    def token(self, text: str) -> str:
        """The keyed hash of a mail address."""
        return self.keyed.token(text)

    def import_file(
        self,
        file: IO[bytes],
        name: str,
        format: str | None,
        category: str,
        trust: float | None,
        words: Mapping[str, str],
        accept: bool = False,
        progress: Progress = quiet,
        path: Path | None = None,
    ) -> dict[str, Any]:
        """A file into a source of its own, and settled. Raises IntakeError, Quarantined, StoreError."""
        self.reconcile()
        importer = Importer(self.store, self.gate, self.token, self.settings.config.trap)
        where = path or Path(str(getattr(file, "name", "-")))
        try:
            result = importer.take(where, file, name, format, category, trust, words, accept, progress)
        except IntakeError:
            self.settle()  # of what broke off, the part before that was taken
            raise
        self.settle(progress)
        self.need_published()
        return result

    def feeds_on(self) -> list[FeedDef]:
        """Feeds that are pulled and believed now: as a person switched them, else as their files say."""
        states = self.store.feed_states()
        return [feed for name, feed in self.feeds.items() if pulling.is_on(feed, states.get(name))]

    def switch_feed(self, name: str, on: bool, who: str = OPERATOR, why: str = "") -> dict[str, Any]:
        """Switch a feed, settled; a server that runs follows within seconds. Raises IntakeError."""
        self.desk.switch_feed(name, on, who, why)
        self.reconcile()
        self.settle_after()
        return self.desk.show_feed(name)

    async def pull(self, feed: FeedDef, accept: bool = False) -> pulling.Pulled:
        """Pull one feed into the store. The caller settles."""
        contact = self.settings.config.web.public_url
        return await pulling.pull(
            self.store, feed, self.data_dir / "quarantine", clock.now(), accept, contact, self.networks_of
        )

    def report(self, subject: str, category: str, source: str, who: str = OPERATOR) -> Report:
        """One report by an operator, settled. Raises SubjectError, IntakeError where it is refused."""
        made = self.gate(category=category, widest=OPERATOR_WIDEST).report(text(parsed(subject)))
        if isinstance(made, str):
            raise IntakeError(f"{subject[:100]!r}: {made}")
        where = self.store.source(source, OPERATOR, trust=1.0, keep=True)
        self.store.take_reports(where.id, [made])
        self.store.audit(clock.now(), who, "report", text(made.subject), category)
        self.settle_after()
        return made

    def forget(self) -> None:
        """Forget what is older than it is kept: what lists dropped, answers, evidence, reports; and let mistakes grow
        old."""
        now = clock.now()
        keep = self.settings.config.retention
        for source in self.store.sources().values():
            feed = self.feeds.get(source.name)
            self.store.forget_entries(source.id, now - (feed.lifetime if feed else IMPORT_LIFETIME))
        self.store.forget_idempotency(now - IDEMPOTENCY_LIFETIME)
        self.store.forget_reports(now - keep.reports)
        for kind_, age in (
            ("samples", keep.samples),
            ("purges", keep.purged),
            ("journal", keep.journal),
            ("audit", keep.audit),
            ("guards", keep.reports),
        ):
            self.store.forget_kept(kind_, now - age)
        self.store.forget_removals(now - keep.removals)
        self.store.forget_mail(now - keep.removals)
        self.desk.judge(now)

    # exemptions

    def allow(self, subject: str, reason: str, until: int | None, zone: str = "", who: str = OPERATOR) -> None:
        """Put a subject on the allow-list, settled. `desk.agreed_exemption` says whether a page may. Raises
        SubjectError, and IntakeError where there is no such zone."""
        key = parsed(subject)
        if zone:
            self.zone(zone)
        now = clock.now()
        with self.store.transaction():
            self.store.add_exemption(Exemption(key, reason, OPERATOR, zone, now, until))
            self.store.audit(now, who, "allow", text(key), reason)
        self.settle_after()

    def disallow(self, subject: str, who: str = OPERATOR, why: str = "") -> int:
        """Take a subject off the allow-list in all zones, settled; of how many. Raises SubjectError, IntakeError."""
        key = parsed(subject)
        now = clock.now()
        with self.store.transaction():
            count = self.store.remove_exemption(key, at=now)
            if not count:
                raise IntakeError(f"{text(key)} is not on the allow-list; `dnsbl allow list` shows what is")
            self.store.audit(now, who, "disallow", text(key), why)
        self.settle_after()
        return count

    def delist(
        self, subject: str, zone: str, reason: str, wrong: bool = False, who: str = OPERATOR
    ) -> tuple[list[str], int]:
        """Take a subject off: exempt for the zone's grace, and what was reported before does not count again. `wrong`:
        it should never have been listed, which costs those who claimed it their trust."""
        key = listing_key(parsed(subject))
        named = [self.zone(zone)] if zone else [z for z in self.zones.values() if z.policy.exempt]
        if white := [z.name for z in named if not z.policy.exempt]:
            raise IntakeError(f"zone {white[0]} is a white list: nobody is taken off it by a removal")
        zones = [z for z in named if z.kind == kind(key)]
        if not zones:
            what = f"zone {zone} is not" if zone else "no zone is"
            raise IntakeError(f"{text(key)}: {what} about subjects of this kind")
        now = clock.now()
        removal = self.removals.by_operator(key, zones, reason, who, now)
        if wrong:
            self.desk.overturn(key, reason, who)
        self.settle_after()
        return [each.name for each in zones], removal.until or now

    # out

    def zone(self, name: str) -> ZoneDef:
        zone = self.zones.get(name)
        if zone is None:
            raise IntakeError(f"no zone {name!r}; there are {', '.join(self.zones)}")
        return zone

    def served(self, name: str) -> ServedZone:
        """A zone as it was last published. Raises SnapshotError."""
        with self.looking:
            self.snapshots.look(list(self.zones))
            view = self.snapshots.views.get(name)
        if view is None:
            pointer = read_pointer(zone_directory(self.data_dir, name))
            if pointer is None:
                raise SnapshotError(f"zone {name} was never built; run `dnsbl zone build {name}`")
            view = pointer.open()  # which says what is wrong with it
        return view

    def check(self, subject: str) -> dict[str, Any]:
        """Everything about one subject, read at one moment. Raises SubjectError."""
        key = parsed(subject)
        now = clock.now()
        with self.store.moment():
            exempt = self.exemptions.get(now)
            views = explain(self.store, self.zones, exempt, key, now, self.guard)
            evidence = self.desk.evidence_of(key)
        dns = self.answers(key)
        return {
            "subject": text(key),
            "kind": kind(key),
            "zones": [documents.zone(view, key, dns.get(view.zone.name)) for view in views],
            "exemptions": [documents.exemption(e) for e in exempt.why(key)],
            "evidence": evidence,
        }

    def answers(self, subject: bytes) -> dict[str, list[str]]:
        """What each published zone of its kind answers for a subject now."""
        with self.looking:
            self.snapshots.look(list(self.zones))
            views = dict(self.snapshots.views)
        return {
            name: documents.answered(view, subject) for name, view in views.items() if view.zone.kind == kind(subject)
        }

    def dns_codes(self, zone: str, subject: bytes) -> list[str] | None:
        """What the published zone answers for a subject now; None: it is not published."""
        return self.answers(subject).get(zone)

    def unprotected(self) -> int:
        """Warning lists that are on and were never fetched: whom they name is not exempt yet."""
        states = self.store.feed_states()
        return sum(1 for f in self.feeds_on() if f.exempt and not (f.name in states and states[f.name].good_at))

    def followed(self, name: str) -> dict[str, Any] | None:
        """From whom a zone is taken and how that goes; None: it is made here."""
        if name in self.publishers:
            return None
        state = read_followed(zone_directory(self.data_dir, name)) or Followed()
        expires = state.refreshed + self.zones[name].soa.expire if state.refreshed else None
        return {
            "from": state.source,
            "refreshed": clock.rfc3339(state.refreshed or None),
            "expires": clock.rfc3339(expires),
            "error": state.error,
        }

    def accept(self, name: str) -> None:
        """Have a followed zone taken as its primary has it, though checks hold it back. Raises SnapshotError."""
        directory = zone_directory(self.data_dir, name)
        try:
            force(directory)
        except OSError as error:
            raise SnapshotError(f"{directory}: cannot be written ({error.strerror})") from error

    def listing_count(self, name: str) -> int:
        """How much a zone lists: what is decided where it is made here, else what is held of it. Raises StoreError."""
        zone = self.zones.get(name)
        if zone is not None and zone.shutdown:
            return 0
        if name in self.publishers:
            return self.store.listing_count(name)
        try:
            return self.served(name).listings
        except SnapshotError:
            return 0

    def zone_status(self) -> list[dict[str, Any]]:
        """Every zone with its size and, once published, its serial; where it is from, or who takes it from here."""
        rows = []
        told = read_counts(self.data_dir / "run").secondaries
        for zone in self.zones.values():
            try:
                view = self.served(zone.name)
            except SnapshotError:
                view = None
            made_here = zone.name in self.publishers
            rows.append(
                {
                    "zone": zone.name,
                    "origin": zone.origin,
                    "kind": zone.kind,
                    "about": zone.about,
                    "listings": self.listing_count(zone.name),
                    "serial": view.serial if view else None,
                    "withheld": self.store.withheld_count(zone.name) if made_here else 0,
                    "followed": self.followed(zone.name),
                    "secondaries": [row.document() for row in told if row.zone == zone.name],
                }
            )
        return rows

    def exemption_rows(self, everything: bool) -> list[dict[str, Any]]:
        """The allow-list; with `everything` warning lists and removals too."""
        return [documents.exemption(e) for e in self.store.exemptions() if everything or e.origin == OPERATOR]

    def exemption_page(self, limit: int, before: int | None = None, everything: bool = False) -> list[dict[str, Any]]:
        """The newest of the allow-list; the next page is those `before` the last one's "id"."""
        found = self.store.exemption_page(limit, before, "" if everything else OPERATOR)
        return [{"id": each.id, **documents.exemption(each)} for each in found]

    # keys

    def create_key(
        self,
        name: str,
        trust: float,
        scopes: list[str],
        lifetime: int | None,
        limits: KeyLimits = NO_LIMITS,
        simulated: bool = True,
        zones: Sequence[str] = (),
        daily: int | None = None,
        who: str = OPERATOR,
    ) -> dict[str, Any]:
        """A key for a partner, whose source is simulated at first unless said otherwise."""
        now = clock.now()
        for zone in (*zones, *limits.query_zones):
            self.zone(zone)
        expires = now + lifetime if lifetime is not None else None
        with self.store.transaction():
            key, secret = partners.create_key(
                self.store, name, trust, scopes, now, expires, limits, simulated, tuple(zones), daily, person_of(who)
            )
            self.store.audit(now, who, "key create", name, " ".join(scopes))
        if partners.QUERY in scopes:
            self.warn_untaken(name, limits.query_zones)
        return {**documents.key(key, self.store.sources()[key.source]), "secret": secret}

    def warn_untaken(self, name: str, asked: Sequence[str]) -> None:
        """Say where a key for DNS is good for nothing yet."""
        zones = asked or list(self.zones)
        if all(self.zones[zone].access.keys == "off" for zone in zones):
            log.warning(
                'key %s cannot be used yet: none of its zones (%s) takes keys; set keys = "optional" or "required" '
                "below [access] in a zone's file, and reload",
                name,
                ", ".join(zones),
            )

    def key_rows(self) -> list[dict[str, Any]]:
        sources = self.store.sources()
        asked: dict[int, list[QueryUse]] = {}
        for use in self.store.query_usage(clock.now() // clock.DAY - QUERY_DAYS + 1):
            asked.setdefault(use.key, []).append(use)
        return [documents.key(key, sources[key.source], asked.get(key.id, ())) for key in self.store.all_keys()]

    def revoke_key(self, name: str, who: str = OPERATOR, why: str = "") -> None:
        """End a key now. Raises IntakeError."""
        now = clock.now()
        with self.store.transaction():
            if not self.store.revoke_key(name, now):
                raise IntakeError(f"no key {name!r} that is not revoked; `dnsbl key list` shows what there is")
            self.store.audit(now, who, "key revoke", name, why)

    def feed_status(self) -> list[dict[str, Any]]:
        """Every feed that is declared, and every list that was imported, with its health."""
        states = self.store.feed_states()
        names = sorted({*self.feeds, *states})
        return [documents.feed(name, self.feeds.get(name), states.get(name) or FeedState(name)) for name in names]

    def rebuild(self, progress: Progress = quiet) -> None:
        """Derived tables from the primary ones: evidence from reports, listings from that, snapshots from listings."""
        self.store.rebuild_evidence()
        progress("evidence", 1)
        self.store.touch_all()
        self.settle(progress, force=self.zones)
        self.need_published()


def parsed(subject: str) -> bytes:
    """The key of a subject. Raises SubjectError with the text in it."""
    try:
        return parse_query(subject)
    except SubjectError as error:
        raise SubjectError(f"{subject[:100]!r}: {error}") from None
