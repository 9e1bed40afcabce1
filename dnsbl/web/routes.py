"""The route table: every address, its handler, and what `/openapi.json` says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from ..zones.export import FORMATS
from . import complaints, models, pages, partner, reports, status, subjects, zones

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


@dataclass(slots=True, frozen=True)
class Route:
    method: str
    path: str
    handler: Handler
    doc: Doc | None = None  # None: a page


JSON = "application/json"
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
        zones.export_zone,
        Doc(
            "A zone as it is published now, to take away",
            {200: {each.content_type: None for each in FORMATS.values()}, 304: {}},
            (400, 401, 403, 404, 503),
            ("name", "format", "If-None-Match"),
            scope="read",
        ),
    ),
    Route("GET", "/v1/feeds", status.feeds, Doc("Every feed and its health", {200: {JSON: [models.Feed]}}, (503,))),
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
    Route("GET", "/openapi.json", status.openapi, Doc("This description", {200: {JSON: dict}})),
    Route("GET", "/", pages.index),
    Route("GET", "/lookup", pages.lookup),
    Route("GET", "/status", pages.status),
    Route("GET", "/style.css", pages.style),
    Route("GET", "/icon.svg", pages.icon),
]


def add_routes(router: web.UrlDispatcher) -> None:
    for route in ROUTES:
        path = route.path.replace("{subject}", "{subject:(?s:.+)}")  # a network has a slash
        if route.method == "GET":
            router.add_get(path, route.handler)
        else:
            router.add_route(route.method, path, route.handler)
