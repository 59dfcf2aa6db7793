"""ControlNets, with the surface of diffusers'."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

from . import arguments
from .errors import NO_INPUT, Error
from .given import pictures
from .places import PathLike, find_file, find_folder


class ControlNetModel:
    """Where a ControlNet is; the library opens it with the first call that uses it."""

    def __init__(self, path: PathLike) -> None:
        self.path = os.path.abspath(path)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: PathLike,
        *,
        torch_dtype: Any = None,
        revision: Optional[str] = None,
        subfolder: Optional[str] = None,
        cache_dir: Optional[PathLike] = None,
        use_safetensors: Optional[bool] = None,
        local_files_only: bool = False,
        token: Any = None,
    ) -> "ControlNetModel":
        """A diffusers folder, a file, or "owner/name" of the hub, looked up as by StableDiffusionPipeline. torch_dtype
        and those after cache_dir change nothing: the weights are read as stored."""
        arguments.dtype_name(torch_dtype)
        path = find_folder(pretrained_model_name_or_path, revision, cache_dir)
        if subfolder is not None:
            path = path / subfolder
            if not path.is_dir():
                raise Error(NO_INPUT, f"{path}: there is no such folder")
        return cls(path)

    @classmethod
    def from_single_file(
        cls, pretrained_model_link_or_path: PathLike, *, torch_dtype: Any = None, cache_dir: Optional[PathLike] = None
    ) -> "ControlNetModel":
        """A file: a path, or "owner/name/file" or an address of the hub."""
        arguments.dtype_name(torch_dtype)
        return cls(find_file(pretrained_model_link_or_path, None, cache_dir))

    def __repr__(self) -> str:
        return f"<sumi.ControlNetModel {Path(self.path).name}>"


def check_controlnets(value: Any) -> List[ControlNetModel]:
    """The argument `controlnet` of from_pretrained: one, or a list."""
    models = list(value) if isinstance(value, (list, tuple)) else [value]
    if not models or not all(isinstance(one, ControlNetModel) for one in models):
        raise TypeError("`controlnet` must be a sumi.ControlNetModel or a list of them")
    return models


Numbers = Union[float, Sequence[float]]


def _for_each(name: str, value: Any, count: int) -> List[float]:
    values = list(value) if isinstance(value, (list, tuple)) else [value] * count
    if len(values) != count:
        raise ValueError(f"`{name}`: {count} numbers are needed, one for each ControlNet, not {len(values)}")
    return [arguments.number(name, one) for one in values]


def fields_of_controls(
    models: Sequence[ControlNetModel], name: str, image: Any, scale: Numbers, start: Numbers, end: Numbers, guess: bool
) -> Dict[str, Any]:
    """What a request needs for controls; `name` is the argument that has their pictures."""
    if image is None:
        raise ValueError(f"`{name}` must be given: the picture that the ControlNet follows")
    count = len(models)
    parts = zip(
        models,
        pictures(name, image, count),
        _for_each("controlnet_conditioning_scale", scale, count),
        _for_each("control_guidance_start", start, count),
        _for_each("control_guidance_end", end, count),
    )
    controls = [
        {"model": model.path, "image": hint, "weight": weight, "start": first, "end": last}
        for model, hint, weight, first, last in parts
    ]
    return {"controls": controls, "guess_mode": bool(guess)}
