"""gzip and zip, unpacked as a stream: a bomb costs neither memory nor time.

No more than STEP bytes of content are held at once, nested archives are not opened, and everything that one input
unpacks to shares one `Room`.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

from ...errors import IntakeError

__all__ = ["GZIP", "MAX_BYTES", "ZIP", "Room", "beginning", "gunzip", "pieces", "unzip"]

MAX_BYTES = 8 * 2**20  # bytes of one input: mail systems take 10 to 50 MB, the largest real reports have 2
MAX_UNPACKED = 64 * 2**20  # bytes that all of one input may come to: 100,000 records of a DMARC report
MAX_RATIO = 200  # unpacked to packed; XML of equal records packs 20 to 60 times
RATIO_FROM = 2**20  # unpacked bytes from which the ratio counts
MAX_RECORDS = 100_000  # records of all reports of one input
MAX_MEMBERS = 16  # of one zip: a report is one file
MAX_STREAMS = 1000  # gzip members one after the other: each costs more than its 20 bytes
STEP = 64 * 1024  # bytes handed on at once; also what is parsed at once
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
ENTRY = b"PK\x01\x02"  # opens each entry of a zip's directory
LOCAL = struct.Struct("<4s2xHH16xHH")  # a zip's local header: magic, flags, method, lengths of name and extra field
ENCRYPTED = 0x1
READABLE = (".xml", ".json")
# Everything that zipfile and zlib are known to raise for damaged archives.
DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError, OverflowError,
)  # fmt: skip


class Room:
    """What one input may still cost."""

    def __init__(self) -> None:
        self.bytes = MAX_UNPACKED
        self.records = MAX_RECORDS

    def unpacked(self, count: int, so_far: int, packed: int) -> None:
        """`count` bytes more, which makes `so_far` of an archive of `packed` bytes. Raises IntakeError."""
        self.bytes -= count
        if self.bytes < 0:
            raise IntakeError(f"it unpacks to more than {MAX_UNPACKED // 2**20} MiB")
        if so_far > RATIO_FROM and so_far > packed * MAX_RATIO:
            raise IntakeError(f"it unpacks to more than {MAX_RATIO} times its size: a bomb")

    def record(self) -> None:
        """One record more. Raises IntakeError."""
        self.records -= 1
        if self.records < 0:
            raise IntakeError(f"more than {MAX_RECORDS:,} records: send them as several reports")


def pieces(data: bytes) -> Iterator[bytes]:
    """Bytes as they are, STEP at a time."""
    for start in range(0, len(data), STEP):
        yield data[start : start + STEP]


def gunzip(data: bytes, room: Room) -> Iterator[bytes]:
    """What gzip holds, in pieces of STEP to twice STEP bytes; the last is shorter. Raises IntakeError."""
    held, so_far = bytearray(), 0
    for piece in inflated(data):
        so_far += len(piece)
        room.unpacked(len(piece), so_far, len(data))
        held += piece
        if len(held) >= STEP:  # however short the streams inside are: who reads on is not given crumbs
            yield bytes(held)
            held.clear()
    yield bytes(held)


def inflated(data: bytes) -> Iterator[bytes]:
    """One gzip stream after the other (RFC 1952 section 2.2), STEP bytes at most at once. Raises IntakeError."""
    position = 0
    for _ in range(MAX_STREAMS):
        inner, packed = zlib.decompressobj(wbits=31), b""
        while not inner.eof:
            if not packed:
                packed = data[position : position + STEP]
                position += len(packed)
            try:
                piece = inner.decompress(packed, STEP)
            except zlib.error as error:
                raise IntakeError(f"the gzip data is damaged ({error})") from None
            if not packed and not piece:
                raise IntakeError("the gzip data is cut")
            packed = inner.unconsumed_tail
            yield piece
        position -= len(inner.unused_data)
        if not data.startswith(GZIP, position):
            if data[position:].strip(b"\0"):  # zeros: padding of tapes, and of some mail gateways
                raise IntakeError("something else follows the gzip data")
            return
    raise IntakeError(f"more than {MAX_STREAMS} gzip streams in one")


def unzip(data: bytes, room: Room) -> Iterator[Iterator[bytes]]:
    """The XML and JSON files in a zip, each in pieces of STEP bytes. Raises IntakeError."""
    if data.count(ENTRY) > MAX_MEMBERS:  # before zipfile makes an object of each of 180,000
        raise IntakeError(f"a zip of more than {MAX_MEMBERS} files")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [info for info in archive.infolist() if info.filename.lower().endswith(READABLE)]
            if not members:
                raise IntakeError(f"a zip without a file in {' or '.join(READABLE)}")
            for info in members:
                yield member(archive, info, room, len(data))
    except DAMAGED as error:
        raise IntakeError(f"the zip is damaged ({type(error).__name__})") from None


def member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, room: Room, packed: int) -> Iterator[bytes]:
    """One file of a zip. Raises IntakeError."""
    if info.flag_bits & ENCRYPTED:
        raise IntakeError("a zip with a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise IntakeError("a zip packed in another way than deflate")  # the others take memory as their makers wish
    so_far = 0
    try:
        with archive.open(info) as file:
            while piece := file.read(STEP):
                so_far += len(piece)
                room.unpacked(len(piece), so_far, packed)
                yield piece
    except DAMAGED as error:
        raise IntakeError(f"the zip is damaged ({type(error).__name__})") from None


def beginning(data: bytes) -> bytes:
    """The first of what gzip or a zip's first file holds, from its first bytes alone; b"" where it cannot be told."""
    if data.startswith(GZIP):
        inner = zlib.decompressobj(wbits=31)
    elif data.startswith(ZIP) and len(data) > LOCAL.size:
        _, flags, method, name, extra = LOCAL.unpack_from(data)
        data = data[LOCAL.size + name + extra :]
        if flags & ENCRYPTED or method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return b""
        if method == zipfile.ZIP_STORED:
            return data[:STEP]
        inner = zlib.decompressobj(wbits=-15)
    else:
        return b""
    try:
        return inner.decompress(data[:STEP], STEP)
    except zlib.error:
        return b""
