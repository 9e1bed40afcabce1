"""`POST /v1/reports`: what partners claim, taken line by line; one bad line never costs the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import Any

import orjson
from aiohttp import web

from .. import clock
from ..errors import IntakeError, StoreError
from ..intake.partners import MAX_POST
from ..intake.reports import Intake
from ..store.contract import Key
from .auth import need
from .body import Holding, Lines, chunks, document
from .clients import client_of, public_network
from .commit import Answered, Memory, Post
from .problems import Problem, busy
from .responses import json_response
from .state import WEB, Web
from .submissions import Document, NumberedLine, StreamPart, Submission

__all__ = ["LINES_AT_ONCE", "Twins", "post_reports"]

JSON = "application/json"
NDJSON = ("application/x-ndjson", "application/ndjson")
LINES_AT_ONCE = 50_000  # of a stream, taken together while nobody else sends: settling takes turns with each part
BYTES_AT_ONCE = 8 * 2**20
SHARED = 10  # parts are smaller by so much while others send, and wait for them
PART_SECONDS = 5.0  # a slow stream's lines wait no longer to be taken, once the next comes
MAX_IDEMPOTENCY_KEY = 255
TWIN_SECONDS = 60.0  # how long the second of two equal requests waits for the first
TOO_LARGE = f"a JSON document has {MAX_POST // 2**20} MiB at most; send more as {NDJSON[0]}, which streams"


async def post_reports(request: web.Request) -> web.StreamResponse:
    """Take reports. The key's source is who reports."""
    key = await need(request, "report")
    kind = request.content_type
    if kind != JSON and kind not in NDJSON:
        raise Problem(415, f"send {JSON} or {NDJSON[0]}", {"Accept-Post": f"{JSON}, {NDJSON[0]}"})
    name = idempotency_key(request, key)
    dry = dry_run(request)
    state = request.app[WEB]
    await state.threads.urgent(state.batcher.quotas.check, state.backend.app.store, key, dry)
    with state.uploads.one(), state.uploads.holding() as holding:
        network = public_network(client_of(request, state.backend.app.proxies))
        upload = Upload(state, key, kind, None if dry else name, holding, network, dry)
        if upload.name is None:
            return json_response(await upload.take(request))
        async with state.twins.alone(upload.name):
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


def dry_run(request: web.Request) -> bool:
    """Whether nothing is to be kept. Raises Problem 400: a misspelt wish must not be a report."""
    said = request.query.get("dry_run", "0")
    if said not in ("0", "1"):
        raise Problem(400, "dry_run is 1, or 0")
    return said == "1"


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
    """One request's body on its way into the store. While one part of a stream is being committed the next is read,
    and no more: the sender waits."""

    def __init__(
        self, state: Web, key: Key, kind: str, name: str | None, holding: Holding, network: str, dry: bool
    ) -> None:
        self.state, self.key, self.kind, self.name, self.holding = state, key, kind, name, holding
        self.network, self.dry = network, dry
        self.digest = sha256(b"json\0" if kind == JSON else b"ndjson\0")
        self.sofar = Intake()
        self.first = True
        self.under_way: tuple[Post, asyncio.Future[Intake], int] | None = None  # with the bytes it holds

    async def take(self, request: web.Request) -> dict[str, Any]:
        """Take the body; the answer. A body that turns out unusable half-way says what was taken before."""
        try:
            if self.kind == JSON:
                await self.take_document(request)
            else:
                await self.take_stream(request)
            await self.finished()
        except Problem as problem:
            await self.leave()
            if self.sofar != Intake():
                problem.more = {**self.answer(), **problem.more}
            raise
        except IntakeError as error:
            raise Problem(400, str(error)) from error
        except StoreError as error:  # logged where it happened; its text is for the operator
            raise self.refused() from error
        finally:
            if self.under_way:
                self.under_way[1].cancel()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        return {**self.sofar.as_json(), **({"dry_run": True} if self.dry else {})}

    def refused(self) -> Problem:
        problem = busy("the store cannot take reports now; what was not acknowledged, send again later")
        problem.more = self.answer() if self.sofar != Intake() else {}
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
            await document(request, self.holding, self.digest.update, MAX_POST, TOO_LARGE)
            return
        async for chunk in chunks(request, self.state.uploads):
            self.digest.update(chunk)

    async def take_document(self, request: web.Request) -> None:
        body = await document(request, self.holding, self.digest.update, MAX_POST, TOO_LARGE)
        await self.commit(Document(body), len(body), True)

    async def take_stream(self, request: web.Request) -> None:
        lines, now = Lines(), asyncio.get_running_loop().time
        part: list[NumberedLine] = []
        size, began = 0, now()
        async for chunk in chunks(request, self.state.uploads):
            self.digest.update(chunk)
            for line in lines.feed(chunk):
                part.append(line)
                held = len(line[1] or b"")
                self.holding.add(held)
                size += held
                if self.enough(len(part), size, now() - began):
                    await self.commit(StreamPart(part), size)
                    part, size, began = [], 0, now()
        part.extend(lines.finish())
        if part or self.name is not None:
            await self.commit(StreamPart(part), size, True)

    def enough(self, lines: int, size: int, seconds: float) -> bool:
        """Whether so much is a part."""
        least = SHARED if self.state.uploads.active > 1 else 1
        return lines * least >= LINES_AT_ONCE or size * least >= BYTES_AT_ONCE or seconds > PART_SECONDS

    async def commit(self, content: Submission, size: int, last: bool = False) -> None:
        """The answer is remembered with the last part: only then is it known, and only then is all of it kept."""
        await self.finished()
        post = Post(self.key, content, self.network, self.dry, self.first, before=self.sofar)
        if last and self.name is not None:
            post.memory = Memory(self.name, self.digest.hexdigest())
        post.used = not self.dry and self.state.uses.due(self.key, clock.now())
        self.first = False
        self.under_way = post, self.state.batcher.submit(post), size

    async def finished(self) -> None:
        """Wait for the part before. Raises what `Batcher.taken` raises, and Problem 429 where not all of it fitted."""
        if self.under_way is None:
            return
        post, future, size = self.under_way
        self.under_way = None
        self.sofar = await self.state.batcher.taken(future)
        self.holding.release(size)
        if post.over:
            raise post.over

    async def leave(self) -> None:
        """A refused body's part that is under way: what comes of it is part of the answer."""
        with suppress(Problem, StoreError, IntakeError):  # the first refusal is the one that is told
            await self.finished()
