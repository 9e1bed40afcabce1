"""The route table: every address, its handler, and what `/openapi.json` says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from ..zones.export import FORMATS
from . import (
    account,
    complaints,
    criteria,
    data,
    exports,
    hooks,
    lookup,
    models,
    models_exports,
    models_hooks,
    pages,
    partner,
    people,
    reports,
    signin,
    snapshots,
    stats,
    status,
    subjects,
    zones,
)
from .admission import handlers as admission
from .desk.api import READS, SCOPES, deed_handler, get_audit_export, read_handler
from .desk.deeds import DEEDS
from .desk.pages import PAGES as DESK_PAGES
from .removals import api as removals
from .removals import models as removal_models
from .removals import pages as removal_pages

__all__ = ["ROUTES", "Doc", "Route", "add_routes"]


@dataclass(slots=True, frozen=True)
class Doc:
    """One operation for programs. Contents map a media type to a model, `[model]`, a tuple of those, or None (text)."""

    summary: str
    answers: Mapping[int, Mapping[str, Any]]
    refusals: Sequence[int] = ()
    parameters: Sequence[str] = ()
    bodies: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""
    scope_needed: bool = True
    notes: Mapping[int, str] = field(default_factory=dict)  # what a status means here
    links: Sequence[str] = ()  # operations on what was made, by the `id` of the answer


@dataclass(slots=True, frozen=True)
class Route:
    method: str
    path: str
    handler: Handler
    doc: Doc | None = None  # None: a page


JSON, OCTETS = "application/json", "application/octet-stream"
EXPORTED: Mapping[str, Any] = {each.content_type: None for each in FORMATS.values()}
REMOVAL: Mapping[str, Any] = {JSON: removal_models.Removal}
STEP = (400, 404, 408, 413, 415, 422, 429, 503)  # refusals of a step of a removal
PARTNERS = "report` or `read"  # either, in the backquotes of a description
ROUTES = [
    Route(
        "POST",
        "/v1/reports",
        reports.post_reports,
        Doc(
            "Take reports: one, an array, or a stream of lines; each line is taken or refused by itself",
            {200: {JSON: models.ReportsAnswer}},
            (400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
            ("Idempotency-Key", "dry_run"),
            {
                JSON: (models.Reports, [models.Report], models.Report),
                "application/x-ndjson": models.Report,
            },
            scope="report",
            notes={
                403: "The key lacks the scope, or is not for requests from your address",
                429: "The key's quota or burst is used up. What fitted was taken, and is counted here as in the answer "
                "of 200; send the rest after `Retry-After` seconds. Under an Idempotency-Key nothing is remembered",
            },
        ),
    ),
    Route(
        "POST",
        "/v1/complaints",
        complaints.post_complaint,
        Doc(
            f"Take a complaint (ARF, X-ARF, DMARC) of {complaints.MAX_COMPLAINT // 2**20} MiB at most",
            {200: {JSON: models.ComplaintAnswer}},
            (400, 401, 403, 408, 413, 415, 429, 503),
            bodies=dict.fromkeys(complaints.KINDS),
            scope="report",
            notes={
                413: "Too large, or it makes more claims than the key may ever send at once",
                429: "The key has sent its reports of the minute or day: nothing of the complaint was taken",
            },
        ),
    ),
    Route(
        "GET",
        "/v1/partner",
        partner.get_partner,
        Doc("What your reports came to", {200: {JSON: models.Partner}}, (401, 403, 503), scope="report"),
    ),
    Route(
        "GET",
        "/v1/partner/owned",
        hooks.get_owned,
        Doc("What is yours", {200: {JSON: [models_hooks.OwnedRange]}}, (401, 403, 503), scope=PARTNERS),
    ),
    Route(
        "GET",
        "/v1/partner/hooks",
        hooks.get_hooks,
        Doc("Your hooks, and how they fare", {200: {JSON: [models_hooks.Hook]}}, (401, 403, 503), scope=PARTNERS),
    ),
    Route(
        "PUT",
        "/v1/partner/hooks",
        hooks.put_hook,
        Doc(
            "Make a hook: it is sent an event when something of yours is listed, changes or is freed",
            {200: {JSON: models_hooks.HookMade}, 201: {JSON: models_hooks.HookMade}},
            (400, 401, 403, 408, 413, 415, 422, 429, 503),
            bodies={JSON: models_hooks.HookWanted},
            scope=PARTNERS,
            notes={422: "The URL is not one that events may be sent to, or you have too many hooks"},
        ),
    ),
    Route(
        "DELETE",
        "/v1/partner/hooks/{id}",
        hooks.delete_hook,
        Doc("Remove a hook, with what waits for it", {204: {}}, (401, 403, 404, 429, 503), ("hook",), scope=PARTNERS),
    ),
    Route(
        "POST",
        "/v1/removals",
        removals.post_removal,
        Doc(
            "Ask for a removal; what is granted at once says so",
            {201: REMOVAL},
            (400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
            bodies={JSON: removal_models.RemovalWanted},
            links=("get_removal", "post_mailboxes", "post_mail", "post_look", "post_appeal", "post_withdraw"),
            scope=PARTNERS,
            scope_needed=False,
            notes={
                403: "The proof of work is missing or not good, or the key is not for this",
                409: "There is nothing to remove: it is not listed, or exempt already",
            },
        ),
    ),
    Route(
        "GET",
        "/v1/removals/{id}",
        removals.get_removal,
        Doc("How a request stands", {200: REMOVAL}, (404, 429, 503), ("id",)),
    ),
    Route(
        "POST",
        "/v1/removals/{id}/mailboxes",
        removals.post_mailboxes,
        Doc(
            "Who may be asked to confirm",
            {200: {JSON: removal_models.Mailboxes}},
            STEP,
            ("id",),
            {JSON: removal_models.Which},
        ),
    ),
    Route(
        "POST",
        "/v1/removals/{id}/mail",
        removals.post_mail,
        Doc("Mail a link to one of them", {202: REMOVAL}, STEP, ("id",), {JSON: removal_models.MailWanted}),
    ),
    Route(
        "POST",
        "/v1/removals/{id}/look",
        removals.post_look,
        Doc("Look for the TXT record now", {200: REMOVAL}, (404, 429, 503), ("id",)),
    ),
    Route(
        "POST",
        "/v1/removals/{id}/name",
        removals.post_thing,
        Doc("Say the URL that a hash is of", {200: REMOVAL}, STEP, ("id",), {JSON: removal_models.Thing}),
    ),
    Route(
        "POST",
        "/v1/removals/{id}/appeal",
        removals.post_appeal,
        Doc("Ask for a person", {200: REMOVAL}, (*STEP, 409), ("id",), {JSON: removal_models.Appeal}),
    ),
    Route(
        "POST",
        "/v1/removals/{id}/withdraw",
        removals.post_withdraw,
        Doc("Withdraw the request", {200: REMOVAL}, (404, 409, 429, 503), ("id",)),
    ),
    Route(
        "POST",
        "/v1/confirmations",
        removals.post_confirm,
        Doc(
            "Send the token of a mailed link; the answer is the same for every token",
            {204: {}},
            (400, 408, 413, 415, 422, 429, 503),
            bodies={JSON: removal_models.Token},
        ),
    ),
    Route(
        "GET",
        "/v1/subjects/{subject}",
        subjects.get_subject,
        Doc(
            "Where a subject is listed, and why",
            {200: {JSON: models.Subject}},
            (400, 503),
            ("subject",),
            scope="read",
            scope_needed=False,
        ),
    ),
    Route(
        "GET",
        "/v1/zones",
        zones.list_zones,
        Doc("Every zone with its serial and codes", {200: {JSON: [models.Zone]}}, (503,)),
    ),
    Route(
        "GET",
        "/v1/zones/{name}/export",
        exports.export_zone,
        Doc(
            "A zone as it is published now, to take away; ranges, gzip and zstd",
            {200: EXPORTED, 206: EXPORTED, 304: {}},
            (400, 401, 403, 404, 412, 416, 503),
            ("name", "format", "If-None-Match"),
            scope="read",
        ),
    ),
    Route(
        "GET",
        "/v1/zones/{name}/manifest",
        exports.get_manifest,
        Doc(
            "What an export is: serial, count, size, sha256, signature",
            {200: {JSON: models_exports.ExportManifest}, 304: {}},
            (400, 401, 403, 404, 503),
            ("name", "format", "If-None-Match"),
            scope="read",
        ),
    ),
    Route(
        "GET",
        "/v1/zones/{name}/export.minisig",
        exports.get_signature,
        Doc(
            "The signature of an export, for minisign -V",
            {200: {"text/plain": None}},
            (400, 401, 403, 404, 503),
            ("name", "format"),
            scope="read",
        ),
    ),
    Route(
        "GET",
        "/v1/zones/{name}/delta",
        exports.get_delta,
        Doc(
            "What changed in a zone since a serial",
            {200: {JSON: models_exports.ZoneDelta}, 304: {}},
            (400, 401, 403, 404, 503),
            ("name", "since", "If-None-Match"),
            scope="read",
        ),
    ),
    Route(
        "GET",
        "/v1/zones/{name}/snapshot",
        snapshots.get_snapshot,
        Doc(
            "For mirrors: the files that are a zone now, signed",
            {200: {JSON: models_exports.ZoneSnapshot}, 304: {}},
            (401, 403, 404, 503),
            ("name", "If-None-Match"),
            scope="read",
        ),
    ),
    Route(
        "GET",
        "/v1/zones/{name}/snapshot/{file}",
        snapshots.get_snapshot_file,
        Doc(
            "For mirrors: one of these files, or a range of it",
            {200: {OCTETS: None}, 206: {OCTETS: None}, 304: {}},
            (401, 403, 404, 412, 416, 503),
            ("name", "file", "If-None-Match"),
            scope="read",
        ),
    ),
    Route(
        "GET",
        "/v1/signing-key",
        exports.get_signing_key,
        Doc("The key that checks our signatures, for minisign -p", {200: {"text/plain": None}}, (503,)),
    ),
    Route("GET", "/v1/feeds", status.feeds, Doc("Every feed and its health", {200: {JSON: [models.Feed]}}, (503,))),
    Route(
        "GET",
        "/v1/stats",
        stats.get_stats,
        Doc("Listings by day and code, how lists overlap, what DNS answered", {200: {JSON: models.Stats}}, (503,)),
    ),
    Route(
        "GET",
        "/healthz",
        status.healthz,
        Doc("The process lives and can read its store", {200: {JSON: models.Health}}, (503,)),
    ),
    Route(
        "GET",
        "/readyz",
        status.readyz,
        Doc(
            "Every zone is published and the store takes changes",
            {200: {JSON: models.Readiness}, 503: {JSON: models.Readiness}},
        ),
    ),
    Route("GET", "/metrics", status.metrics, Doc("Figures for Prometheus", {200: {"text/plain": None}}, (503,))),
    Route(
        "GET",
        "/v1/challenge",
        admission.challenge,
        Doc("A sum to solve before something is asked for", {200: {JSON: models.Challenge}}, (429, 503)),
    ),
    Route("GET", "/openapi.json", status.openapi, Doc("This description", {200: {JSON: dict}})),
    Route("GET", "/", pages.index),
    Route("GET", "/lookup", lookup.lookup),
    Route("GET", "/delist", removal_pages.form_page),
    Route("POST", "/delist", removal_pages.ask),
    Route("GET", "/removals/{id}", removal_pages.private_page),
    Route("POST", "/removals/{id}/{step}", removal_pages.step),
    Route("GET", "/confirm/{token}", removal_pages.confirm_page),
    Route("POST", "/confirm", removal_pages.confirm),
    Route("GET", "/criteria", criteria.criteria),
    Route("GET", "/data", data.data),
    Route("GET", "/stats", stats.stats),
    Route("GET", "/status", pages.status),
    Route("GET", "/style.css", pages.style),
    Route("GET", "/icon.svg", pages.icon),
    Route("GET", "/work.js", admission.script),
    Route("GET", "/admin/signin", signin.get_signin),
    Route("POST", "/admin/signin", signin.post_signin),
    Route("GET", "/admin/setup", signin.get_setup),
    Route("POST", "/admin/setup", signin.post_setup),
    Route("GET", "/admin/second", signin.get_second),
    Route("POST", "/admin/second", signin.post_second),
    Route("POST", "/admin/signout", signin.signout),
    Route("GET", "/admin/account", account.get_account),
    Route("POST", "/admin/account", account.post_account),
    Route("GET", "/admin/people", people.get_people),
    Route("POST", "/admin/people", people.post_people),
    Route("GET", "/admin/desk.css", signin.style),
    Route("GET", "/admin/passkey.js", signin.script),
]

ROUTES += [Route(method, path, handler) for method, path, handler in DESK_PAGES]
ROUTES += [
    Route(
        "GET",
        f"/v1/desk{path}",
        read_handler(path, read),
        Doc(
            read.summary,
            {200: {JSON: dict if read.paged or "{" in path or path in ("/search", "/holds", "/queue") else [dict]}},
            (400, 401, 403, 404, 503),
            read.parameters,
            scope="` or `".join(SCOPES[read.role]),
        ),
    )
    for path, read in READS.items()
]
ROUTES += [
    Route(
        "GET",
        "/v1/desk/audit/export",
        get_audit_export,
        Doc(
            "The whole audit trail, a line of JSON each, the oldest first",
            {200: {"application/x-ndjson": None}},
            (401, 403, 503),
            scope="review` or `admin",
        ),
    )
]
ROUTES += [
    Route(
        "POST",
        f"/v1/desk/deeds/{name}",
        deed_handler(name, deed),
        Doc(
            deed.summary,
            {200: {JSON: models.Done}, **({202: {JSON: models.Done}} if deed.agreed else {})},
            (400, 401, 403, 408, 409, 413, 415, 422, 503),
            bodies={JSON: deed.model},
            scope="` or `".join(SCOPES[deed.role]),
            notes={202: "It needs two people, and waits for the second", 409: "It cannot be done: why is said"},
        ),
    )
    for name, deed in DEEDS.items()
]


def add_routes(router: web.UrlDispatcher) -> None:
    for route in ROUTES:
        path = route.path.replace("{subject}", "{subject:(?s:.+)}")  # a network has a slash
        if route.method == "GET":
            router.add_get(path, route.handler)
        else:
            router.add_route(route.method, path, route.handler)
