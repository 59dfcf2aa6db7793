"""Pictures that a call is given: PIL's, sumi's own, arrays and paths, as the library takes them."""

from __future__ import annotations

import base64
import io
import os
import struct
import zlib
from typing import Any, Dict, Optional, Sequence, Tuple

from .image import Image, is_pil_image, size_of_file


def picture(name: str, value: Any, mode: str = "RGB") -> str:
    """A picture as a field of a request: a file's path, or the whole picture as a data URI.

    Args:
        value: a path, a PIL image, a sumi.Image, an array [height, width, 3] or [height, width] (uint8, or floats from
            0 to 1), or a list of one of these.
        mode: "RGB"; or "L" for a mask, which is white where it is drawn anew.
    """
    if isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise ValueError(f"`{name}`: a call takes one picture, not {len(value)}; call once for each")
        value = value[0]
    if isinstance(value, (str, os.PathLike)):
        path = os.path.abspath(value)
        if not os.path.isfile(path):
            raise ValueError(f"`{name}`: {os.fspath(value)} is not a file")
        return path
    if is_pil_image(value):
        file = io.BytesIO()
        value.convert(mode).save(file, "PNG", compress_level=1)
        return _data_uri(file.getvalue())
    if isinstance(value, Image):
        return _data_uri(_png(value.width, value.height, value.tobytes()))
    if hasattr(value, "__array_interface__") or hasattr(value, "__array__"):
        return _data_uri(_png_of_array(name, value))
    raise TypeError(f"`{name}` must be a picture or the path of one, not {type(value).__name__}")


def size_of(value: Any) -> Optional[Tuple[int, int]]:
    """Width and height of a picture as picture() takes it, of the first of a list; None where only the library can
    tell: a path without Pillow."""
    if isinstance(value, (list, tuple)):
        return size_of(value[0]) if value else None
    if isinstance(value, (str, os.PathLike)):
        return size_of_file(value)
    if is_pil_image(value) or isinstance(value, Image):
        return value.width, value.height
    shape = getattr(value, "shape", ())
    shape = shape[1:] if len(shape) == 4 else shape
    return (int(shape[1]), int(shape[0])) if len(shape) in (2, 3) else None


def pictures(name: str, value: Any, count: int) -> Sequence[str]:
    """One picture for each of `count`."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(values) != count:
        raise ValueError(f"`{name}`: {count} pictures are needed, one for each ControlNet, not {len(values)}")
    return [picture(name, one) for one in values]


def fields_of_picture(image: Any, strength: Any) -> Dict[str, Any]:
    """What a request needs to begin from a picture, by diffusers' rules."""
    from .arguments import number  # which imports the schedulers

    if image is None:
        raise ValueError("`image` must be given: the picture to begin from")
    return {"init": picture("image", image), "strength": number("strength", strength), "convention": "diffusers"}


def fields_of_mask(mask: Any, padding: Optional[int]) -> Dict[str, Any]:
    if mask is None:
        raise ValueError("`mask_image` must be given: white is drawn anew, black stays")
    fields: Dict[str, Any] = {"mask": picture("mask_image", mask, "L"), "mask_blur": 0}
    if padding is not None:
        fields["mask_padding"] = padding
    return fields


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _png(width: int, height: int, pixels: bytes) -> bytes:
    """A PNG of RGB pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = 3 * width
    lines = b"".join(b"\0" + pixels[y * row : (y + 1) * row] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 1)) + chunk(b"IEND", b"")
    )


def _png_of_array(name: str, value: Any) -> bytes:
    import numpy

    array = numpy.asarray(value)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = numpy.stack([array] * 3, axis=-1)
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ValueError(f"`{name}`: an array must be [height, width, 3] or [height, width], not {list(array.shape)}")
    if array.dtype.kind == "f":
        if not (numpy.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ValueError(f"`{name}`: an array of floats must hold values from 0 to 1")
        array = (array * 255).round().astype(numpy.uint8)
    if array.dtype != numpy.uint8:
        raise ValueError(f"`{name}`: an array must be of uint8 or floats, not {array.dtype}")
    return _png(array.shape[1], array.shape[0], numpy.ascontiguousarray(array).tobytes())
