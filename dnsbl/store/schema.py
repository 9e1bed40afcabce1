"""The tables, and how an older store becomes a newer one. A migration and its record are one transaction.

Subjects are keys of `dnsbl.subjects` (BLOB); times are seconds. `report`, `evidence`, `entry`, `listing` are
clustered by subject: what belongs to one address stands on one page.
"""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path

from ..errors import StoreError
from ..model import CATEGORIES

__all__ = ["LISTED_SQL", "MIGRATIONS", "migrate"]

# dnsbl.subjects.listing_key in SQL: the /64 of anything narrower in IPv6.
LISTED_SQL = """CASE WHEN substr(subject, 1, 1) = x'36' AND substr(subject, 18, 1) > x'40'
    THEN CAST(substr(subject, 1, 9) || x'000000000000000040' AS BLOB) ELSE subject END"""

FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE source (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    trust REAL NOT NULL CHECK (trust BETWEEN 0 AND 1), family TEXT NOT NULL, redistribute INTEGER NOT NULL
);
CREATE TABLE reporter (
    id INTEGER PRIMARY KEY, source INTEGER NOT NULL, name TEXT NOT NULL,
    UNIQUE (source, name)
);

-- Claims, as they were made. The key is the claim: the same one twice is one.
CREATE TABLE report (
    subject BLOB NOT NULL, source INTEGER NOT NULL, category INTEGER NOT NULL, reporter INTEGER NOT NULL,
    at INTEGER NOT NULL, word TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (subject, source, category, reporter, at, word)
) WITHOUT ROWID;
-- What lists carry (gone IS NULL) or carried until `gone`.
CREATE TABLE entry (
    subject BLOB NOT NULL, source INTEGER NOT NULL, category INTEGER NOT NULL, hits INTEGER NOT NULL,
    since INTEGER NOT NULL, gone INTEGER,
    PRIMARY KEY (subject, source)
) WITHOUT ROWID;
CREATE INDEX entry_by_source ON entry (source);

-- Reports folded: whole numbers only, so that any order of arrival gives the same rows.
CREATE TABLE evidence (
    subject BLOB NOT NULL, source INTEGER NOT NULL, category INTEGER NOT NULL, reporter INTEGER NOT NULL,
    hits INTEGER NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
    PRIMARY KEY (subject, source, category, reporter)
) WITHOUT ROWID;
CREATE TABLE touched (subject BLOB PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE listing (
    zone TEXT NOT NULL, subject BLOB NOT NULL, codes TEXT NOT NULL, since INTEGER NOT NULL,
    until INTEGER, due INTEGER,
    PRIMARY KEY (zone, subject)
) WITHOUT ROWID;
CREATE INDEX listing_due ON listing (due) WHERE due IS NOT NULL;
-- The audit trail of listings, and the journal that deltas are made from. No codes: it left. Numbers only rise, as
-- long as the newest row is kept.
CREATE TABLE listing_change (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, zone TEXT NOT NULL, subject BLOB NOT NULL,
    codes TEXT NOT NULL
);

CREATE TABLE exemption (
    id INTEGER PRIMARY KEY, subject BLOB NOT NULL, zone TEXT NOT NULL, origin TEXT NOT NULL,
    reason TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER,
    ended INTEGER NOT NULL DEFAULT 0, -- 1: its end has been acted upon
    UNIQUE (subject, zone, origin)
);
CREATE INDEX exemption_until ON exemption (until) WHERE until IS NOT NULL;

CREATE TABLE feed (
    name TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL, etag TEXT NOT NULL, last_modified TEXT NOT NULL,
    digest TEXT NOT NULL, entries INTEGER, checked_at INTEGER, good_at INTEGER, changed_at INTEGER,
    failures INTEGER NOT NULL, rejected INTEGER NOT NULL, unmapped TEXT NOT NULL
);
CREATE TABLE key (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, digest BLOB NOT NULL UNIQUE, source INTEGER NOT NULL,
    scopes TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER, last_used INTEGER, revoked INTEGER
);
CREATE UNIQUE INDEX key_in_use ON key (name) WHERE revoked IS NULL;
CREATE TABLE idempotency (key TEXT PRIMARY KEY, answer TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
    subject TEXT NOT NULL, why TEXT NOT NULL
);
"""

SECOND = """
-- Partners and traps. `trust` is what a source is believed now, never more than an operator `granted`.
ALTER TABLE source ADD COLUMN granted REAL NOT NULL DEFAULT 0;
UPDATE source SET granted = trust;
ALTER TABLE source ADD COLUMN simulated INTEGER NOT NULL DEFAULT 0; -- 1: scored and shown, lists nothing
ALTER TABLE source ADD COLUMN daily INTEGER; -- listings a day; NULL: as the configuration says
ALTER TABLE source ADD COLUMN half_weight REAL; -- NULL: as the zone's policy says
ALTER TABLE source ADD COLUMN zones TEXT NOT NULL DEFAULT ''; -- names with blanks between; '': it counts in all
ALTER TABLE source ADD COLUMN network TEXT NOT NULL DEFAULT ''; -- partners of one network are one family
ALTER TABLE exemption ADD COLUMN exact INTEGER NOT NULL DEFAULT 0; -- 1: not what stands below the name
ALTER TABLE key ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
CREATE TABLE key_day (
    key INTEGER NOT NULL, day INTEGER NOT NULL, posts INTEGER NOT NULL, taken INTEGER NOT NULL,
    repeated INTEGER NOT NULL, rejected INTEGER NOT NULL,
    PRIMARY KEY (key, day)
) WITHOUT ROWID;

-- Guards: what each source newly listed, by day and place; places that wait for a person; claims that were wrong.
CREATE TABLE spread (
    source INTEGER NOT NULL, day INTEGER NOT NULL, zone TEXT NOT NULL, place TEXT NOT NULL, listings INTEGER NOT NULL,
    PRIMARY KEY (source, day, zone, place)
) WITHOUT ROWID;
-- Which listings were counted, and when last: what comes back is not counted again.
CREATE TABLE counted (
    zone TEXT NOT NULL, subject BLOB NOT NULL, source INTEGER NOT NULL, day INTEGER NOT NULL,
    PRIMARY KEY (zone, subject, source)
) WITHOUT ROWID;
CREATE TABLE hold (
    id INTEGER PRIMARY KEY, source INTEGER NOT NULL, zone TEXT NOT NULL, place TEXT NOT NULL, at INTEGER NOT NULL,
    listings INTEGER NOT NULL, share REAL, why TEXT NOT NULL, state TEXT NOT NULL, until INTEGER,
    decided INTEGER, note TEXT NOT NULL DEFAULT '',
    UNIQUE (source, zone, place)
);
CREATE TABLE overturned (
    source INTEGER NOT NULL, subject BLOB NOT NULL, at INTEGER NOT NULL, why TEXT NOT NULL,
    PRIMARY KEY (source, subject)
) WITHOUT ROWID;
CREATE TABLE attempt (
    source INTEGER NOT NULL, subject BLOB NOT NULL, why TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (source, subject)
) WITHOUT ROWID;

-- What a purge took away, to be put back.
CREATE TABLE purge (
    id INTEGER PRIMARY KEY, source INTEGER NOT NULL, at INTEGER NOT NULL, since INTEGER, until INTEGER,
    reason TEXT NOT NULL, reports INTEGER NOT NULL, entries INTEGER NOT NULL, simulated INTEGER NOT NULL,
    undone INTEGER
);
CREATE TABLE purged_report (
    purge INTEGER NOT NULL, subject BLOB NOT NULL, source INTEGER NOT NULL, category INTEGER NOT NULL,
    reporter INTEGER NOT NULL, at INTEGER NOT NULL, word TEXT NOT NULL,
    PRIMARY KEY (purge, subject, source, category, reporter, at, word)
) WITHOUT ROWID;
CREATE TABLE purged_entry (
    purge INTEGER NOT NULL, subject BLOB NOT NULL, source INTEGER NOT NULL, category INTEGER NOT NULL,
    hits INTEGER NOT NULL, since INTEGER NOT NULL, gone INTEGER,
    PRIMARY KEY (purge, subject, source)
) WITHOUT ROWID;

-- Touched subjects that are to be decided as if they had not been listed: what a purge took away held them up.
CREATE TABLE afresh (subject BLOB PRIMARY KEY) WITHOUT ROWID;

-- Munged evidence of mails and complaints, and what it is about.
CREATE TABLE sample (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, source INTEGER NOT NULL, kind TEXT NOT NULL, facts TEXT NOT NULL
);
CREATE INDEX sample_at ON sample (at);
CREATE TABLE sample_subject (
    subject BLOB NOT NULL, sample INTEGER NOT NULL,
    PRIMARY KEY (subject, sample)
) WITHOUT ROWID;
CREATE INDEX sample_subject_by_sample ON sample_subject (sample);
"""

THIRD = """
-- Removals: requests to be taken off, and what became of each. Secrets are kept as digests only.
CREATE TABLE removal (
    id INTEGER PRIMARY KEY, link BLOB NOT NULL UNIQUE, -- SHA-256 of its private link
    subject BLOB NOT NULL, zones TEXT NOT NULL, state TEXT NOT NULL, way TEXT NOT NULL,
    requester TEXT NOT NULL, -- the /24 or /64 that it came from
    network BLOB NOT NULL, asn INTEGER, -- the subject's, to count what was granted there
    host TEXT NOT NULL, -- the address of an IPv6 network that was named; its reverse name is asked
    said TEXT NOT NULL, proof TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '[]',
    at INTEGER NOT NULL, changed INTEGER NOT NULL, expires INTEGER, granted INTEGER, until INTEGER,
    decider TEXT NOT NULL DEFAULT '', answer TEXT NOT NULL DEFAULT '', appealed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX removal_by_subject ON removal (subject);
CREATE INDEX removal_by_state ON removal (state, changed);
CREATE INDEX removal_due ON removal (state, expires) WHERE expires IS NOT NULL; -- asked at each settling
CREATE INDEX removal_by_requester ON removal (requester, at);
CREATE INDEX removal_by_network ON removal (network, granted) WHERE granted IS NOT NULL;
CREATE INDEX removal_by_asn ON removal (asn, granted) WHERE granted IS NOT NULL;
CREATE TABLE removal_event (
    id INTEGER PRIMARY KEY, removal INTEGER NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL, who TEXT NOT NULL,
    why TEXT NOT NULL
);
CREATE INDEX removal_event_by_removal ON removal_event (removal);
-- What was asked as proof of control. `target`: a mailbox or a DNS name.
CREATE TABLE challenge (
    id INTEGER PRIMARY KEY, removal INTEGER NOT NULL, proof TEXT NOT NULL, target TEXT NOT NULL,
    nonce TEXT NOT NULL, digest BLOB NOT NULL UNIQUE, at INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER
);
CREATE INDEX challenge_by_removal ON challenge (removal);
-- A removal that yields ends when new reports alone would list its subject.
ALTER TABLE exemption ADD COLUMN yields INTEGER NOT NULL DEFAULT 0;

-- Mail to be sent. What it says is made when it is sent: the secret in it is never kept.
CREATE TABLE outgoing (
    id INTEGER PRIMARY KEY, challenge INTEGER NOT NULL, recipient TEXT NOT NULL, -- '' once it is not waiting
    token TEXT NOT NULL, -- a keyed hash of the recipient: how much mail there was for one
    language TEXT NOT NULL, at INTEGER NOT NULL, next INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'waiting', -- waiting, sent, failed, dropped
    said TEXT NOT NULL DEFAULT '' -- the other side's last words
);
CREATE INDEX outgoing_next ON outgoing (next) WHERE state = 'waiting';
CREATE INDEX outgoing_by_token ON outgoing (token, at);
CREATE INDEX outgoing_by_challenge ON outgoing (challenge);

-- People at the desk. Of passwords, set-up codes and session identifiers only hashes are kept; the secret of an
-- authenticator app is made of its nonce (keyed.derive) and is not here at all.
CREATE TABLE person (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, roles TEXT NOT NULL, password TEXT NOT NULL DEFAULT '',
    setup BLOB, setup_until INTEGER,
    totp_nonce TEXT NOT NULL DEFAULT '', totp_since INTEGER, totp_step INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL, disabled INTEGER, failures INTEGER NOT NULL DEFAULT 0, locked INTEGER
);
-- Where somebody signed in from, and when last: strangers elsewhere cannot lock them out there.
CREATE TABLE person_network (
    person INTEGER NOT NULL, network TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (person, network)
) WITHOUT ROWID;
CREATE TABLE passkey (
    id BLOB PRIMARY KEY, person INTEGER NOT NULL, public_key BLOB NOT NULL, uses INTEGER NOT NULL, name TEXT NOT NULL,
    created INTEGER NOT NULL, last_used INTEGER
) WITHOUT ROWID;
CREATE TABLE session (
    digest BLOB PRIMARY KEY, person INTEGER NOT NULL, stage TEXT NOT NULL, created INTEGER NOT NULL,
    seen INTEGER NOT NULL, expires INTEGER NOT NULL,
    proven INTEGER NOT NULL, -- when the password was last given
    tries INTEGER NOT NULL DEFAULT 0, -- second factors that were wrong
    draft TEXT NOT NULL DEFAULT '', -- nonce of an authenticator app that is not confirmed yet
    challenge BLOB -- that a passkey is to sign
) WITHOUT ROWID;
-- The first of two people that a wide decision needs.
CREATE TABLE seconding (deed TEXT PRIMARY KEY, who TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;

-- What partners own, and who is told when it is listed or freed.
CREATE TABLE owned (
    source INTEGER NOT NULL, subject BLOB NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY (source, subject)
) WITHOUT ROWID;
CREATE TABLE hook (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source INTEGER NOT NULL, url TEXT NOT NULL, nonce TEXT NOT NULL,
    created INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0, -- in a row
    quiet INTEGER NOT NULL DEFAULT 0, -- it is sent nothing before: it failed
    good INTEGER, -- when it last took an event
    said TEXT NOT NULL DEFAULT '', -- why it last did not; '': the last event was taken
    dropped INTEGER NOT NULL DEFAULT 0, -- events that were too many to wait
    UNIQUE (source, url)
);
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY, hook INTEGER NOT NULL, event TEXT NOT NULL, at INTEGER NOT NULL, next INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'waiting', -- waiting, delivered, failed
    said TEXT NOT NULL DEFAULT ''
);
CREATE INDEX delivery_next ON delivery (hook, next) WHERE state = 'waiting';
CREATE INDEX delivery_by_hook ON delivery (hook, state);
CREATE INDEX delivery_at ON delivery (at);

-- Who made a key: at the desk it is that person's hand, and no second one.
ALTER TABLE key ADD COLUMN maker TEXT NOT NULL DEFAULT 'operator';

-- The desk. A feed's switch: NULL is as its file says.
ALTER TABLE feed ADD COLUMN switched INTEGER;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit trail is only ever added to');
END;
-- Each entry's link to the one before it (store/auditing.py); entries of before this have none.
ALTER TABLE audit ADD COLUMN link BLOB NOT NULL DEFAULT x'';
INSERT INTO meta (key, value) SELECT 'audit_forgotten', coalesce(
    (SELECT min(id) - 1 FROM audit), (SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0);
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
WHEN OLD.id > (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'audit_forgotten') BEGIN
    SELECT RAISE(ABORT, 'the audit trail is forgotten by its age alone');
END;
CREATE TRIGGER audit_grows BEFORE INSERT ON audit -- else INSERT OR REPLACE would be a way
WHEN EXISTS (SELECT 1 FROM audit WHERE id >= NEW.id) BEGIN
    SELECT RAISE(ABORT, 'the audit trail is only ever added to');
END;
CREATE INDEX audit_by_subject ON audit (subject);
CREATE INDEX audit_by_who ON audit (who);
CREATE INDEX exemption_by_origin ON exemption (origin);

-- look-up
CREATE INDEX listing_change_by_subject ON listing_change (subject, zone);
"""

FOURTH = """
-- Of listings that stand on feeds whose terms forbid giving them away: the codes that stand without those; '': none.
CREATE TABLE withheld (
    zone TEXT NOT NULL, subject BLOB NOT NULL, codes TEXT NOT NULL,
    PRIMARY KEY (zone, subject)
) WITHOUT ROWID;
-- What may be given away.
CREATE VIEW given AS
SELECT listing.zone, listing.subject, coalesce(withheld.codes, listing.codes) AS codes, since, until, due FROM listing
LEFT JOIN withheld ON withheld.zone = listing.zone AND withheld.subject = listing.subject
WHERE withheld.codes IS NULL OR withheld.codes != '';
-- What stands on such feeds is decided once more.
INSERT OR IGNORE INTO touched SELECT DISTINCT subject FROM entry
WHERE source IN (SELECT id FROM source WHERE NOT redistribute);
INSERT OR IGNORE INTO touched SELECT DISTINCT subject FROM evidence
WHERE source IN (SELECT id FROM source WHERE NOT redistribute);

-- What was asked in DNS with each key.
CREATE TABLE query_usage (
    key INTEGER NOT NULL, day INTEGER NOT NULL, zone TEXT NOT NULL, queries INTEGER NOT NULL, refused INTEGER NOT NULL,
    PRIMARY KEY (key, day, zone)
) WITHOUT ROWID;
"""

MIGRATIONS: list[tuple[str, str]] = [
    ("first tables", FIRST),
    ("traps, partners and guards", SECOND),
    ("removals and the desk", THIRD),
    ("distribution", FOURTH),
]


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a store to the newest version. Raises StoreError where it is newer than this program."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StoreError(
            f"store {path}: it has version {version} and this program knows {len(MIGRATIONS)}: run the newer program, "
            "or restore the backup from before the upgrade"
        )
    if version == len(MIGRATIONS) and categories_known(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]  # another process may have been first
        for _, script in MIGRATIONS[version:]:
            for statement in statements(script):
                connection.execute(statement)
        connection.executemany("INSERT OR IGNORE INTO category (name) VALUES (?)", [(c,) for c in CATEGORIES])
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('identity', ?)", (uuid.uuid4().hex,))
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('exemptions_version', 0)")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def categories_known(connection: sqlite3.Connection) -> bool:
    """Whether every category of this program has its row: a newer program may know more of them."""
    return {name for (name,) in connection.execute("SELECT name FROM category")} >= set(CATEGORIES)


def statements(script: str) -> list[str]:
    """The statements of a script, one by one: executescript would commit in between."""
    found, current = [], ""
    for line in script.splitlines():
        current += line + "\n"
        if sqlite3.complete_statement(current):
            found.append(current)
            current = ""
    return found
