"""One followed zone brought up to its primary: the serial asked for, differences or the whole zone taken, checked and
put in place. Blocking; runs in a thread."""

from __future__ import annotations

import logging
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .. import clock
from ..config import ZoneDef
from ..dns.transfer import newer
from ..errors import DnsblError, SnapshotError, TransferError
from ..zones.build import Answers
from ..zones.contents import Contents, contents
from ..zones.difference import Step, difference
from ..zones.served import ServedZone
from ..zones.snapshot import HOLE
from ..zones.wire import soa_record
from .asking import Line, Primary
from .contents import Addresses, changed_deep
from .gathered import Gathered
from .install import Install, Verify
from .messages import question
from .names import changed_names, delta_of, names_in
from .transfer import AXFR, IXFR, ZONEMD, Transfer, origin_of
from .verify import check_soa, misfit, same_differences, same_records

__all__ = ["Taking"]

AUTHORITIES = slice(8, 10)  # how many, in a header
ONE = b"\0\1"
SPOOL_BUFFER = 1 << 20  # octets
log = logging.getLogger("dnsbl.following")


class Misfit(TransferError):
    """Differences that do not lead from what we have to what the primary has: the whole zone is taken instead."""


class Taking:
    """A zone and its primaries."""

    def __init__(self, zone: ZoneDef, directory: Path, primaries: Sequence[Primary]) -> None:
        self.zone = zone
        self.primaries = list(primaries)
        self.install = Install(zone, directory)
        self.held = self.install.current()
        self.line = Line()

    def refresh(self, expired: bool) -> tuple[int, str]:
        """Be as new as the first primary that can be asked: the serial, and which one it was. Raises DnsblError with
        what each of them had to be refused for. `expired`: what we hold counts for nothing any more."""
        said = []
        for primary in list(self.primaries):
            try:
                serial = self.from_primary(primary, expired)
            except DnsblError as error:
                said.append(str(error) if str(primary) in str(error) else f"{primary}: {error}")
                self.primaries.append(self.primaries.pop(0))  # the next one is asked first from now on
                continue
            return serial, str(primary)
        raise TransferError("; ".join(said))

    def close(self) -> None:
        self.line.close()

    def from_primary(self, primary: Primary, expired: bool) -> int:
        held = self.held if self.held and self.zone.published_like(self.held.zone) else None
        serial = self.line.serial(primary, origin_of(self.zone))
        if held and serial == held.serial:
            return serial
        if self.held and not newer(serial, self.held.serial) and serial != self.held.serial and not expired:
            raise TransferError(
                f"its serial {serial} is behind ours, {self.held.serial}: an older copy; it is taken once ours expires"
            )
        if held and newer(serial, held.serial):
            try:
                return self.differences(primary, held)
            except Misfit as error:
                log.info("zone %s: %s; the whole zone is taken", self.zone.name, error)
        return self.whole(primary)

    # the whole zone

    def whole(self, primary: Primary) -> int:
        with self.spool() as spool:
            transfer = self.transferred(primary, AXFR, None, spool)
            if not transfer.whole:
                raise TransferError("the primary's zone has no records but its SOA")
            return self.take_whole(transfer)

    def take_whole(self, transfer: Transfer) -> int:
        check_soa(transfer)
        self.held = self.installed(transfer)
        return transfer.serial

    def installed(self, transfer: Transfer) -> ServedZone:
        def verify(view: ServedZone) -> None:
            if not same_records(transfer, view):
                raise misfit(transfer, view)

        return self.put(transfer.gathered, transfer.serial, transfer.zonemd, verify)

    def put(self, gathered: Gathered, serial: int, zonemd: bytes, verify: Verify) -> ServedZone:
        old, now = self.held, clock.now()
        if gathered.ip:
            blocks = gathered.blocks.done()
            held = Addresses(blocks.listed4(), blocks.listed6(), changed_deep([], [], blocks.deep()))
            return self.install.addresses(held, serial, now, zonemd, old, verify)
        answers = Answers(self.zone)
        masks, exempt = gathered.names()
        values = {name: answers.id(mask) for name, mask in masks.items()} | dict.fromkeys(exempt, HOLE)
        return self.install.names(values, answers, serial, now, zonemd, old, verify)

    # differences

    def differences(self, primary: Primary, held: ServedZone) -> int:
        """Raises Misfit where the whole zone has to be asked for."""
        with self.spool() as spool:
            try:
                transfer = self.transferred(primary, IXFR, held.serial, spool)
            except TransferError as error:
                raise Misfit(f"differences cannot be had: {error}") from error
            if transfer.whole:
                return self.take_whole(transfer)
        if transfer.current:
            return held.serial
        check_soa(transfer)
        try:
            self.held = self.changed(transfer, held)
        except TransferError as error:
            raise Misfit(f"differences from serial {held.serial} do not fit: {error}") from error
        return transfer.serial

    def changed(self, transfer: Transfer, held: ServedZone) -> ServedZone:
        removed, added = Gathered(self.zone), Gathered(self.zone)
        for gathered, records in ((removed, transfer.removed), (added, transfer.added)):
            for record in records:
                gathered.add(record)
        zonemd = transfer.zonemd
        if not zonemd and all(record[1] != ZONEMD for record in transfer.removed):
            zonemd = held.zonemd

        def verify(view: ServedZone) -> Step:
            step = difference(held, view)
            if not same_differences(transfer, step):
                raise TransferError("what is left is not what the primary says it is")
            return step

        serial, now = transfer.serial, clock.now()
        if removed.ip:
            before = addresses_of(contents(held))
            after = before.changed(removed.blocks.done(), added.blocks.done())
            return self.install.addresses(after, serial, now, zonemd, held, verify)
        answers = Answers.of(self.zone, held.answers)
        if delta := delta_of(held, removed, added, answers):
            return self.install.delta(delta, answers, serial, now, zonemd, held, verify)
        values = changed_names(names_in(held), removed, added, answers)
        return self.install.names(values, answers, serial, now, zonemd, held, verify)

    # on the line

    def transferred(self, primary: Primary, qtype: int, have: int | None, spool: IO[bytes]) -> Transfer:
        """A transfer that is in, whole and vouched for; nothing of it is in use yet."""
        id = secrets.randbits(16)
        query = bytearray(question(id, origin_of(self.zone), qtype))
        if have is not None:
            query[AUTHORITIES] = ONE
            query += soa_record(self.zone, have)
        transfer = Transfer(self.zone, id, qtype, have, spool)

        def take(wire: bytes) -> bool:
            try:
                transfer.message(wire)
                if transfer.whole:
                    self.install.need_room(transfer.size, transfer.size)
            except OSError as error:
                raise SnapshotError(f"{self.install.directory}: no room for a transfer ({error.strerror})") from error
            return transfer.done

        self.line.transfer(primary, bytes(query), take)
        return transfer

    @contextmanager
    def spool(self) -> Iterator[IO[bytes]]:
        """A file without a name, for what is transferred. Raises SnapshotError."""
        try:
            self.install.directory.mkdir(parents=True, exist_ok=True)
            spool = tempfile.TemporaryFile(dir=self.install.directory, buffering=SPOOL_BUFFER)  # noqa: SIM115
        except OSError as error:
            raise SnapshotError(f"{self.install.directory}: cannot be written ({error.strerror})") from error
        try:
            yield spool
        except OSError as error:
            raise SnapshotError(f"{self.install.directory}: no room for a transfer ({error.strerror})") from error
        finally:
            with suppress(OSError):  # what is still buffered is written even now, and nobody reads it
                spool.close()


def addresses_of(held: Contents) -> Addresses:
    return Addresses(held.ip4, held.ip6, held.deep)
