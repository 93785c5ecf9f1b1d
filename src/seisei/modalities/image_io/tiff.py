"""TIFF files that Pillow would reduce or refuse: high bit depth, floating point, many channels.

Pillow still decompresses their strips and tiles, wrapped in an in-memory TIFF that declares them as 8-bit gray. The
rest is done here: multi-byte values, the two predictors, channels, planes.

*TIFF Revision 6.0 (Aldus, 1992)*; the floating-point predictor is from *TIFF Technical Note 3 (Adobe, 2005)*.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from seisei.errors import UserError

_KINDS = {
    (1, 8): "u1", (1, 16): "u2", (1, 32): "u4", (2, 16): "i2", (2, 32): "i4",
    (3, 16): "f2", (3, 32): "f4", (3, 64): "f8", (4, 8): "u1", (4, 16): "u2",
}  # fmt: skip
# Maximum compression ratio of each method, to detect false declarations; None for unbounded.
_RATIOS: dict[int, int | None] = {1: 1, 5: 3000, 8: 1032, 32773: 64, 32946: 1032, 34925: None, 50000: None}
_MOST_PAGES = 100_000


@dataclass(frozen=True)
class Layout:
    """The contents of a TIFF header.

    Arguments:
        height: stored height, before rotation.
        width: stored width, before rotation.
        channels: number of channels, including non-color ones.
        kind: dtype of a value, with byte order.
        photometric: 0 for white is zero, 1 gray, 2 color.
        extra: type of each channel beyond gray or color: 0 unknown, 1 and 2 alpha.
        planes: whether each channel is stored separately.
        compression: TIFF compression number.
        predictor: TIFF predictor number, 1 for none.
        tile: height and width of a tile or strip; a strip is as wide as the image.
        tiled: whether it is stored in tiles.
        places: offset and byte count of each tile or strip.
        orientation: as in EXIF.
        pages: number of images.
    """

    height: int
    width: int
    channels: int
    kind: np.dtype[Any]
    photometric: int
    extra: tuple[int, ...]
    planes: bool
    compression: int
    predictor: int
    tile: tuple[int, int]
    tiled: bool
    places: tuple[tuple[int, int], ...]
    orientation: int
    pages: int

    @property
    def premultiplied(self) -> bool | None:
        """Whether color is premultiplied by alpha; None without alpha."""
        if self.kind.kind == "f" or self.channels not in (2, 4):
            return None
        if self.channels == 4 and self.photometric == 2 and not self.extra:
            return False
        return self.extra[0] == 1 if self.extra in ((1,), (2,)) else None


def layout_of(file: BinaryIO) -> Layout | None:
    """The header of a TIFF that Pillow would reduce; None for files that Pillow should read.

    Unreadable files are also left to Pillow, which reports why.
    """
    file.seek(0)
    head = file.read(8)
    file.seek(0)
    if head[:4] not in (b"II*\0", b"MM\0*", b"II+\0"):
        return None
    try:
        found = _layout(file, head)
    except Exception:  # Pillow raises many kinds of error at a damaged header, and will do so again.
        found = None
    file.seek(0)
    return found


def _layout(file: BinaryIO, head: bytes) -> Layout | None:
    file.seek(len(head))
    head += file.read(8) if b"+" in head[:4] else b""
    tags = ImageFileDirectory_v2(head)
    file.seek(tags.next)
    tags.load(file)

    def whole(tag: int, default: int) -> int:
        value = tags.get(tag, default)
        return int(value[0] if isinstance(value, tuple) else value)

    channels, photometric = whole(277, 1), whole(262, 1)
    bits, formats = set(_several(tags.get(258, 1))), set(_several(tags.get(339, 1)))
    kind = _KINDS.get((formats.pop(), bits.pop())) if len(bits) == len(formats) == 1 else None
    extra = tuple(_several(tags.get(338, ())))
    plain = kind == "u1" and 0 not in extra and channels <= 4
    if kind is None or plain or photometric not in (0, 1, 2) or whole(266, 1) != 1:
        return None
    height, width = int(tags[257]), int(tags[256])
    tiled = 322 in tags
    tile = (int(tags[323]), int(tags[322])) if tiled else (min(whole(278, height), height), width)
    offsets, counts = (_several(tags[tag]) for tag in ((324, 325) if tiled else (273, 279)))
    places = tuple(zip(offsets, counts, strict=True))
    stored = np.dtype(f"{'<' if head[:2] == b'II' else '>'}{kind}")
    planes = channels > 1 and whole(284, 1) == 2
    return Layout(
        height, width, channels, stored, photometric, extra, planes, whole(259, 1), whole(317, 1), tile, tiled, places,
        whole(274, 1), _pages(file, head, tags),
    )  # fmt: skip


def _several(value: Any) -> list[int]:
    return [int(v) for v in value] if isinstance(value, tuple) else [int(value)]


def _pages(file: BinaryIO, head: bytes, first: ImageFileDirectory_v2) -> int:
    """Number of chained directories, including the first; cycles are cut."""
    seen, place = 1, first.next
    before = set[int]()
    while place and place not in before and seen < _MOST_PAGES:
        before.add(place)
        tags = ImageFileDirectory_v2(head)
        file.seek(place)
        tags.load(file)
        place, seen = tags.next, seen + 1
    return seen


def read_values(file: BinaryIO, layout: Layout, where: object) -> NDArray[Any]:
    """The stored values, (H, W, C), in native byte order.

    Raises:
        UserError: the file does not match its header, or has an unsupported compression.
    """
    _check(layout, file.seek(0, os.SEEK_END), where)
    count = layout.channels if layout.planes else 1
    pieces = len(layout.places) // count
    try:
        parts = [_plane(file, layout, layout.places[i * pieces : (i + 1) * pieces]) for i in range(count)]
    except MemoryError:
        raise
    except Exception as error:
        reason = f"is damaged ({str(error).strip() or type(error).__name__})"
        raise UserError("E-CHK-06", where, reason, "re-copy it or remove it") from None
    return np.concatenate(parts, axis=2) if layout.planes else parts[0]


def _check(layout: Layout, size: int, where: object) -> None:
    """Check the header before memory is allocated for the pixels."""
    if layout.compression not in _RATIOS:
        problem = f"has a compression that is not supported at this bit depth (TIFF compression {layout.compression})"
        remedy = "save it uncompressed, or with LZW or Deflate"
        raise UserError("E-CHK-12", where, problem, remedy, found=layout.compression, wanted=sorted(_RATIOS))
    if layout.predictor not in (1, 2, 3) or (layout.predictor == 3 and layout.kind.kind != "f"):
        problem = f"has the TIFF predictor {layout.predictor}, which is not supported"
        raise UserError("E-CHK-12", where, problem, "save it uncompressed", found=layout.predictor, wanted=[1, 2, 3])
    end = max((offset + count for offset, count in layout.places), default=0)
    if end > size:
        problem, remedy = f"ends after {size} of ~{end} bytes", "re-copy it or remove it"
        raise UserError("E-CHK-06", where, problem, remedy, found=size, wanted=end)
    down, across = (-(-n // side) for n, side in zip((layout.height, layout.width), layout.tile, strict=True))
    wanted = down * across * (layout.channels if layout.planes else 1)
    declared = layout.height * layout.width * layout.channels * layout.kind.itemsize
    ratio = _RATIOS[layout.compression]
    there = sum(count for _, count in layout.places)
    if len(layout.places) != wanted or (ratio is not None and declared > there * ratio):
        problem = f"declares {declared} bytes of pixels and has {there} in {len(layout.places)} of {wanted} pieces"
        raise UserError("E-CHK-06", where, problem, "re-copy it or remove it", found=there, wanted=declared)


def _plane(file: BinaryIO, layout: Layout, places: tuple[tuple[int, int], ...]) -> NDArray[Any]:
    """The channels of one plane, (H, W, C)."""
    channels = 1 if layout.planes else layout.channels
    (rows, columns), size = layout.tile, layout.kind.itemsize
    across = -(-layout.width // columns)
    height = -(-layout.height // rows) * rows if layout.tiled else layout.height
    stored = _stored(file, layout, places, (height, across * columns * channels * size))
    pieces = _undone(stored.reshape(height, across, columns, channels * size), layout, channels)
    return pieces.reshape(height, across * columns, channels)[: layout.height, : layout.width]


def _stored(
    file: BinaryIO, layout: Layout, places: tuple[tuple[int, int], ...], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """The decompressed bytes of every row, read as a gray image."""
    body, offsets, counts = io.BytesIO(), list[int](), list[int]()
    body.write(bytes(8))
    for offset, count in places:
        file.seek(offset)
        offsets.append(body.tell())
        counts.append(count)
        body.write(file.read(count))
    rows, across = layout.tile[0], -(-layout.width // layout.tile[1])
    tags: dict[int, list[int]] = {
        256: [shape[1]], 257: [shape[0]], 258: [8], 259: [layout.compression], 262: [1], 277: [1],
        **({322: [shape[1] // across], 323: [rows], 324: offsets, 325: counts} if layout.tiled
           else {273: offsets, 278: [rows], 279: counts}),
    }  # fmt: skip
    start = body.tell() + body.tell() % 2
    body.seek(start)
    room = start + 2 + 12 * len(tags) + 4
    directory, beyond = struct.pack("<H", len(tags)), b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            packed, beyond = struct.pack("<I", room + len(beyond)), beyond + packed
        directory += struct.pack("<HHI", tag, 4, len(values)) + packed
    body.write(directory + bytes(4) + beyond)
    body.seek(0)
    body.write(b"II*\0" + struct.pack("<I", start))
    body.seek(0)
    # Not with Image.open, whose pixel limit would count these bytes and refuse what `_check` allowed.
    return np.asarray(TiffImageFile(body))


def _undone(pieces: NDArray[np.uint8], layout: Layout, channels: int) -> NDArray[Any]:
    """The values of bytes (H, tiles across, tile width, C · bytes per value), with the predictor undone."""
    height, across, columns, _ = pieces.shape
    size = layout.kind.itemsize
    if layout.predictor == 3:
        summed = np.cumsum(pieces.reshape(height, across, columns * size, channels), axis=2, dtype=np.uint8)
        # A row's bytes are grouped by significance, the most significant first.
        apart = summed.reshape(height, across, size, columns * channels).swapaxes(2, 3)
        values = np.ascontiguousarray(apart).view(layout.kind.newbyteorder(">"))
    else:
        values = pieces.view(layout.kind)
    values = values.reshape(height, across, columns, channels).astype(layout.kind.newbyteorder("="))
    if layout.predictor == 2:
        whole = values.view(f"u{size}")
        values = np.cumsum(whole, axis=2, dtype=whole.dtype).view(values.dtype)
    return values
