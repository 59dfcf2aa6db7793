"""Pictures: PIL's where Pillow is installed, else a small class of the same shape."""

from __future__ import annotations

import os
from typing import Any, Dict, Optional, Tuple

try:
    import PIL.Image
    import PIL.PngImagePlugin
except ImportError:
    _PIL: Any = None
else:
    _PIL = PIL

from .library import library


class Image:
    """An RGB picture in memory, for machines without Pillow. numpy.asarray(image) is [height, width, 3], uint8."""

    mode = "RGB"

    def __init__(self, size: Tuple[int, int], pixels: bytes, info: Optional[Dict[str, str]] = None) -> None:
        width, height = size
        if width < 1 or height < 1 or len(pixels) != 3 * width * height:
            raise ValueError(f"{len(pixels)} bytes are not an RGB picture of {width}x{height}")
        self.size = (width, height)
        self.info: Dict[str, str] = dict(info or {})  # "parameters": the settings it was drawn with
        self._pixels = bytes(pixels)

    @property
    def width(self) -> int:
        return self.size[0]

    @property
    def height(self) -> int:
        return self.size[1]

    def tobytes(self) -> bytes:
        """The pixels, row by row, three bytes each."""
        return self._pixels

    @property
    def __array_interface__(self) -> Dict[str, Any]:
        return {"shape": (self.height, self.width, 3), "typestr": "|u1", "data": self._pixels, "version": 3}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and (self.size, self._pixels) == (other.size, other._pixels)

    __hash__ = None  # type: ignore[assignment]

    def save(self, path: "str | os.PathLike[str]", format: Optional[str] = None) -> None:
        """Writes a PNG, whole or not at all, with info["parameters"] in it."""
        kind = format or os.path.splitext(os.fspath(path))[1][1:]
        if kind.lower() != "png":
            raise ValueError(f"{os.fspath(path)}: without Pillow pictures are written as PNG only; name it .png")
        library().write_png(path, self.size, self._pixels, self.info.get("parameters"))

    def __repr__(self) -> str:
        return f"<sumi.Image size={self.width}x{self.height}>"


if _PIL is not None:

    class PilImage(_PIL.Image.Image):
        """A PIL image whose save() writes its `parameters` into PNG files, which PIL alone would leave out."""

        def save(self, fp: Any, format: Optional[str] = None, **options: Any) -> None:
            _PIL.Image.init()
            name = getattr(fp, "name", fp)
            ending = os.path.splitext(os.fspath(name))[1].lower() if isinstance(name, (str, os.PathLike)) else ""
            kind = (format or _PIL.Image.EXTENSION.get(ending, "")).upper()
            if kind == "PNG" and "pnginfo" not in options and "parameters" in self.info:
                chunks, text = _PIL.PngImagePlugin.PngInfo(), self.info["parameters"]
                (chunks.add_text if text.isascii() else chunks.add_itxt)("parameters", text)
                options["pnginfo"] = chunks
            super().save(fp, format, **options)


def is_pil_image(value: Any) -> bool:
    return _PIL is not None and isinstance(value, _PIL.Image.Image)


def size_of_file(path: "str | os.PathLike[str]") -> Optional[Tuple[int, int]]:
    """Width and height of a picture file, turned upright; None without Pillow, or where that cannot read it."""
    if _PIL is None:
        return None
    try:
        with _PIL.Image.open(path) as picture:
            turned = picture.getexif().get(0x0112, 1) >= 5
            return (picture.height, picture.width) if turned else (picture.width, picture.height)
    except OSError:
        return None


def make_image(size: Tuple[int, int], pixels: bytes, parameters: str) -> Any:
    """A PIL image if Pillow is installed, else an Image; info["parameters"] has the settings."""
    if _PIL is None:
        return Image(size, pixels, {"parameters": parameters})
    image = _PIL.Image.frombytes("RGB", size, pixels)
    image.__class__ = PilImage
    image.info["parameters"] = parameters
    return image
