"""What a call of the pipeline returns."""

from __future__ import annotations

import importlib.util
from typing import Any, List, Optional, Tuple

from .image import make_image
from .job import Picture


class StableDiffusionPipelineOutput:
    """Like diffusers' it can be read by attribute, by key or by index.

    Attributes:
        images: a list of pictures; with output_type="np" an array [pictures, height, width, 3].
        nsfw_content_detected: of each picture whether the safety checker flagged it; None where none is run.
    """

    def __init__(self, images: Any, nsfw_content_detected: Optional[List[bool]] = None) -> None:
        self.images = images
        self.nsfw_content_detected = nsfw_content_detected

    def to_tuple(self) -> Tuple[Any, ...]:
        """What is not None."""
        flags = self.nsfw_content_detected
        return (self.images,) if flags is None else (self.images, flags)

    def __getitem__(self, key: Any) -> Any:
        return getattr(self, key) if isinstance(key, str) else self.to_tuple()[key]


def collect_images(pictures: List[Picture], output_type: Optional[str]) -> Any:
    """The pictures as "pil" or "np" have them."""
    if output_type == "pil":
        return [make_image((p.width, p.height), p.pixels, p.info["parameters"]) for p in pictures]
    import numpy

    arrays = [numpy.frombuffer(p.pixels, numpy.uint8).reshape(p.height, p.width, 3) for p in pictures]
    return numpy.stack(arrays).astype(numpy.float32) / 255


def check_output_type(output_type: Any) -> None:
    if output_type not in ("pil", "np"):
        raise ValueError(f"`output_type`: {output_type!r} is not supported; 'pil' and 'np' are")
    if output_type == "np" and importlib.util.find_spec("numpy") is None:
        raise ValueError("`output_type`: 'np' needs numpy, which is not installed")
