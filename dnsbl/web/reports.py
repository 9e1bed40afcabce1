"""`POST /v1/reports`: what partners claim, taken line by line; one bad line never costs the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import orjson
from aiohttp import web

from .. import clock
from ..errors import IntakeError, StoreError
from ..intake.gate import Gate
from ..intake.partners import line_reports
from ..intake.reports import MAX_LINE, Intake, report_of
from ..model import MAX_REJECTS, Report
from ..store.contract import Key
from .auth import need
from .batch import Answered, Memory, Post
from .body import Holding, Lines, chunks, document
from .problems import Problem, busy
from .responses import json_response
from .state import WEB, Web

__all__ = ["LINES_AT_ONCE", "Twins", "post_reports"]

JSON = "application/json"
NDJSON = ("application/x-ndjson", "application/ndjson")
LINES_AT_ONCE = 5000  # of a stream, taken together
BYTES_AT_ONCE = 2**20
MAX_ITEMS = 100_000  # of one JSON document, which is taken in one go while others wait
REPORT_BYTES = 32  # of the shortest reports in a document
MAX_IDEMPOTENCY_KEY = 255
TWIN_SECONDS = 60.0  # how long the second of two equal requests waits for the first

NumberedLine = tuple[int, bytes | None]


async def post_reports(request: web.Request) -> web.StreamResponse:
    """Take reports. The key's source is who reports."""
    key = await need(request, "report")
    kind = request.content_type
    if kind != JSON and kind not in NDJSON:
        raise Problem(415, f"send {JSON} or {NDJSON[0]}", {"Accept-Post": f"{JSON}, {NDJSON[0]}"})
    name = idempotency_key(request, key)
    state = request.app[WEB]
    with state.uploads.one(), state.uploads.holding() as holding:
        upload = Upload(state, key, kind, name, holding)
        if name is None:
            return json_response(await upload.take(request))
        async with state.twins.alone(name):
            answer, again = await upload.take_once(request)
    return json_response(answer, headers={"Idempotency-Replayed": "true"} if again else {})


def idempotency_key(request: web.Request, key: Key) -> str | None:
    """The name under which the answer is remembered: of this API key only. Raises Problem 400."""
    said = request.headers.get("Idempotency-Key")
    if said is None:
        return None
    if not (0 < len(said) <= MAX_IDEMPOTENCY_KEY and said.isascii() and said.isprintable()):
        raise Problem(400, f"an Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters")
    return f"{key.id}:{said}"


class Twins:
    """Requests with the same idempotency key go one after the other."""

    def __init__(self) -> None:
        self.locks: dict[str, tuple[asyncio.Lock, int]] = {}  # with how many hold or wait for it

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Raises Problem 409 where the other one takes too long."""
        lock, users = self.locks.get(name, (asyncio.Lock(), 0))
        self.locks[name] = (lock, users + 1)
        try:
            try:
                async with asyncio.timeout(TWIN_SECONDS):
                    await lock.acquire()
            except TimeoutError:
                raise Problem(409, "a request with this Idempotency-Key is still being taken") from None
            try:
                yield
            finally:
                lock.release()
        finally:
            users = self.locks[name][1] - 1
            if users:
                self.locks[name] = (lock, users)
            else:
                del self.locks[name]


class Upload:
    """One request's body on its way into the store."""

    def __init__(self, state: Web, key: Key, kind: str, name: str | None, holding: Holding) -> None:
        self.state, self.key, self.kind, self.name, self.holding = state, key, kind, name, holding
        self.digest = sha256(b"json\0" if kind == JSON else b"ndjson\0")
        self.sofar = Intake()

    async def take(self, request: web.Request) -> dict[str, Any]:
        """Take the body; the answer. A body that turns out unusable half-way says what was taken before."""
        try:
            if self.kind == JSON:
                await self.take_document(request)
            else:
                await self.take_stream(request)
        except Problem as problem:
            if self.sofar != Intake():
                problem.more = {**self.sofar.as_json(), **problem.more}
            raise
        except IntakeError as error:
            raise Problem(400, str(error)) from error
        except StoreError as error:  # logged where it happened; its text is for the operator
            raise self.refused() from error
        return self.sofar.as_json()

    def refused(self) -> Problem:
        problem = busy("the store cannot take reports now; what was not acknowledged, send again later")
        problem.more = self.sofar.as_json() if self.sofar != Intake() else {}
        return problem

    async def take_once(self, request: web.Request) -> tuple[dict[str, Any], bool]:
        """The answer, and whether it was given before. Raises Problem 422 where that was for another body."""
        assert self.name is not None
        remembered = await self.state.threads.urgent(self.state.backend.app.store.idempotent_answer, self.name)
        if remembered is None:
            try:
                return await self.take(request), False
            except Answered as before:
                remembered = before.answer
        else:
            await self.digest_only(request)
        said = orjson.loads(remembered)
        if said["body"] != self.digest.hexdigest():
            raise Problem(422, "this Idempotency-Key was used for another body; use a new one for new reports")
        return said["answer"], True

    async def digest_only(self, request: web.Request) -> None:
        if self.kind == JSON:
            await document(request, self.holding, self.digest.update)
            return
        async for chunk in chunks(request, self.state.uploads):
            self.digest.update(chunk)

    async def take_document(self, request: web.Request) -> None:
        body = await document(request, self.holding, self.digest.update)
        about = 1 + len(body) // REPORT_BYTES  # by size: what is in it is the sender's word
        await self.commit(Post(self.key.source, lambda gate, intake: document_reports(body, gate, intake), about), True)

    async def take_stream(self, request: web.Request) -> None:
        """Part by part: while one is being committed nothing is read, and the sender waits."""
        lines = Lines()
        part: list[NumberedLine] = []
        async for chunk in chunks(request, self.state.uploads):
            self.digest.update(chunk)
            for line in lines.feed(chunk):
                part.append(line)
                self.holding.add(len(line[1] or b""))
                if len(part) >= LINES_AT_ONCE or self.holding.bytes >= BYTES_AT_ONCE:
                    await self.commit(stream_part(self.key.source, part))
                    part = []
        part.extend(lines.finish())
        if part or self.name is not None:
            await self.commit(stream_part(self.key.source, part), True)

    async def commit(self, post: Post, last: bool = False) -> None:
        """The answer is remembered with the last part: only then is it known, and only then is all of it kept."""
        post.before = self.sofar
        if last and self.name is not None:
            post.memory = Memory(self.name, self.digest.hexdigest())
        if self.state.uses.due(self.key, clock.now()):
            post.used = self.key.id
        self.sofar = await self.state.batcher.take(post)
        self.holding.release()


def document_reports(body: bytes, gate: Gate, intake: Intake) -> list[Report]:
    """Reports of one JSON document: an object, an array of them, or `{"reports": [...]}`. Rejects count from 1. Raises
    IntakeError where it is not JSON, Problem 413 where it is too many, 422 where nothing in it seems to be a report:
    everybody waits for the end of it."""
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise IntakeError(f"not JSON: {error}") from error
    if isinstance(value, dict) and isinstance(value.get("reports"), list):
        value = value["reports"]
    items = value if isinstance(value, list) else [value]
    if len(items) > MAX_ITEMS:
        raise Problem(
            413, f"a JSON document has {MAX_ITEMS:,} reports at most; send more as {NDJSON[0]}, which streams"
        )
    found: list[Report] = []
    for number, item in enumerate(items, 1):
        made = report_of(item, gate)
        if isinstance(made, Report):
            if made.word:
                intake.unmapped[made.word] = intake.unmapped.get(made.word, 0) + 1
            found.append(made)
        else:
            intake.reject(number, made)
            if not found and intake.rejected >= MAX_REJECTS:
                raise Problem(422, f"none of the first {number:,} can be taken; see `rejects`", more=intake.as_json())
    return found


def stream_part(source: int, part: list[NumberedLine]) -> Post:
    def parse(gate: Gate, intake: Intake) -> list[Report]:
        return list(reports_of(part, gate, intake))

    return Post(source, parse, len(part))


def reports_of(part: list[NumberedLine], gate: Gate, intake: Intake) -> Iterator[Report]:
    for number, line in part:
        if line is None:
            intake.reject(number, f"longer than {MAX_LINE:,} bytes")
        else:
            yield from line_reports(number, line, gate, intake)
