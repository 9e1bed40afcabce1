"""`/openapi.json`: OpenAPI 3.1, put together from the route table and the schemas of `models`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .. import __version__
from ..removal.machine import STATES
from ..zones.export import FORMATS
from . import models, models_exports, models_hooks
from .desk.deeds import DEEDS
from .removals import models as removal_models
from .routes import Doc, Route

__all__ = ["describe"]

REF = "#/components/schemas/{model}"
ABOUT = "Reports in, reputations and zones out. Errors are RFC 9457 problem documents."
SCHEMAS: tuple[type[BaseModel], ...] = (
    models.Report,
    models.Reports,
    models.ReportsAnswer,
    models.ComplaintAnswer,
    models.Partner,
    models_hooks.OwnedRange,
    models_hooks.Hook,
    models_hooks.HookMade,
    models_hooks.HookWanted,
    removal_models.RemovalWanted,
    removal_models.Removal,
    removal_models.Which,
    removal_models.Mailboxes,
    removal_models.MailWanted,
    removal_models.Thing,
    removal_models.Appeal,
    removal_models.Token,
    models.Subject,
    models.Zone,
    models_exports.ExportManifest,
    models_exports.ZoneDelta,
    models_exports.ZoneSnapshot,
    models.Feed,
    models.Stats,
    models.Health,
    models.Readiness,
    models.Challenge,
    models.Done,
    *dict.fromkeys(deed.model for deed in DEEDS.values()),
    models.Problem,
)
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key's secret; `dnsbl key create` shows it once"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The same secret"},
}
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same key with the same body gets the first answer again, and nothing is taken twice",
}
NUMBER = {"type": "integer", "minimum": 1, "maximum": 2**53}
PARAMETERS: dict[str, dict[str, Any]] = {
    "subject": {
        "name": "subject",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "A network's slash may be written as %2F or as it is",
        "examples": {"address": {"value": "192.0.2.7"}, "name": {"value": "bad.example"}},
    },
    "hook": {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "description": "As `GET /v1/partner/hooks` says it",
    },
    "id": {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "description": "The request's secret, from the answer to the request",
    },
    "number": {"name": "number", "in": "path", "required": True, "schema": NUMBER},
    "before": {
        "name": "before",
        "in": "query",
        "required": False,
        "schema": NUMBER,
        "description": "Those before this number: `next` of the page before has it",
    },
    "after": {
        "name": "after",
        "in": "query",
        "required": False,
        "schema": NUMBER,
        "description": "Those that wait behind this number",
    },
    "limit": {"name": "limit", "in": "query", "required": False, "schema": {**NUMBER, "maximum": 500}},
    "state": {"name": "state", "in": "query", "required": False, "schema": {"type": "string", "enum": list(STATES)}},
    "about": {"name": "subject", "in": "query", "required": False, "schema": {"type": "string"}},
    "who": {"name": "who", "in": "query", "required": False, "schema": {"type": "string"}},
    "q": {"name": "q", "in": "query", "required": False, "schema": {"type": "string"}},
    "all": {"name": "all", "in": "query", "required": False, "schema": {"type": "string", "enum": ["0", "1"]}},
    "name": {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}},
    "format": {
        "name": "format",
        "in": "query",
        "required": True,
        "schema": {"type": "string", "enum": list(FORMATS)},
        "description": "; ".join(f"`{each.name}`: {each.about}" for each in FORMATS.values()),
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "The ETag of an earlier answer; 304 where that is still the newest",
    },
    "since": {
        "name": "since",
        "in": "query",
        "required": True,
        "schema": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
        "description": "The serial that you have",
    },
    "file": {
        "name": "file",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "description": "As `GET /v1/zones/{name}/snapshot` names it",
    },
    "Idempotency-Key": IDEMPOTENCY,
    "dry_run": {
        "name": "dry_run",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "enum": ["0", "1"]},
        "description": "1: say what would be taken and what refused, and keep nothing; `repeated` is then within this "
        "request only. It counts for the burst, not for the day",
    },
}


def describe(routes: Iterable[Route]) -> bytes:
    """The document, as JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.doc:
            paths.setdefault(route.path, {})[route.method.lower()] = operation(route, route.doc)
    _, definitions = models_json_schema([(model, "validation") for model in SCHEMAS], ref_template=REF)
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "dnsbl", "version": __version__, "description": ABOUT},
            "paths": paths,
            "components": {"schemas": definitions["$defs"], "securitySchemes": SECURITY},
        }
    )


def operation(route: Route, doc: Doc) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": doc.summary,
        "responses": {**dict(successes(doc)), **dict(refusals(doc))},
    }
    if doc.parameters:
        found["parameters"] = [PARAMETERS[name] for name in doc.parameters]
    if doc.bodies:
        found["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": schema(model)} for kind, model in doc.bodies.items()},
        }
    if doc.scope:
        needed: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]
        found["security"] = needed if doc.scope_needed else [{}, *needed]
        found["description"] = f"Scope: `{doc.scope}`." + ("" if doc.scope_needed else " Without a key, less is told.")
    return found


def successes(doc: Doc) -> Iterable[tuple[str, dict[str, Any]]]:
    for status, content in doc.answers.items():
        found: dict[str, Any] = {"description": HTTPStatus(status).phrase}
        if content:
            found["content"] = {kind: {"schema": schema(model)} for kind, model in content.items()}
        if doc.links and status in (200, 201):
            found["links"] = {
                name: {"operationId": name, "parameters": {"id": "$response.body#/id"}} for name in doc.links
            }
        yield str(status), found


def refusals(doc: Doc) -> Iterable[tuple[str, dict[str, Any]]]:
    content = {"application/problem+json": {"schema": schema(models.Problem)}}
    for status in doc.refusals:
        found: dict[str, Any] = {"description": doc.notes.get(status, HTTPStatus(status).phrase), "content": content}
        if status == 429:
            found["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
        yield str(status), found


def schema(what: Any) -> Mapping[str, Any]:
    """A model's reference; `[model]` an array of it; a tuple any of them; `dict` any
    object; None text."""
    if what is None:
        return {"type": "string"}
    if what is dict:
        return {"type": "object"}
    if isinstance(what, list):
        return {"type": "array", "items": schema(what[0])}
    if isinstance(what, tuple):
        return {"anyOf": [schema(each) for each in what]}
    return {"$ref": REF.format(model=what.__name__)}
