"""A form that anyone may send, on the real application, as those for removals are."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dnsbl.web.admission.forms import read_form
from dnsbl.web.routes import Route
from dnsbl.web.state import WEB

PAGE = """{% extends "base.html" %}{% block title %}Try{% endblock %}{% block content %}<h1>Try</h1>
<form action="/try?private=link" method="post"><label for="why">Why</label><textarea id="why" name="why"></textarea>
{% include "guard.html" %}<button name="pressed" value="yes">Send</button></form>{% endblock %}"""
DONE = """<!doctype html><html lang="en"><title>Done</title><link rel="icon" href="/icon.svg"><h1>Done</h1></html>"""


def form_routes(done: list[dict[str, str]]) -> list[Route]:
    """`done` collects the forms that were let in."""

    async def show(request: web.Request) -> web.StreamResponse:
        state = request.app[WEB]
        jinja = state.pages.environment(state.pages.languages.of(""))
        text = jinja.from_string(PAGE).render(csrf=state.admission.field(request, "removal"))
        return web.Response(text=text, content_type="text/html")

    async def take(request: web.Request) -> web.StreamResponse:
        admission = request.app[WEB].admission
        form = await read_form(request)
        outcome = await admission.admit(request, form, "removal")
        if outcome.ticket:
            return admission.wait_page(request, form, outcome.ticket)
        done.append(form)
        return web.Response(text=DONE, content_type="text/html")

    async def program(request: web.Request) -> web.StreamResponse:
        said: dict[str, Any] = await request.json()
        await request.app[WEB].admission.admit_work(request, said["altcha"], "removal")
        done.append(said)
        return web.json_response({"ok": True})

    return [Route("GET", "/try", show), Route("POST", "/try", take), Route("POST", "/v1/try", program)]
