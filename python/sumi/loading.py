"""From the arguments of from_pretrained and from_single_file to an opened model and its scheduler."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional

from .arguments import PREDICTIONS, check_variant, dtype_name, dtype_options, prediction_option
from .engine import Model
from .errors import NO_INPUT, Error
from .places import PathLike, find_file, find_model
from .scheduler import NOISE, Scheduler, read_config
from .schedulers import scheduler_of_model
from .tell import tell

_STABLE_DIFFUSION: Dict[str, Any] = dict(zip(NOISE, (1000, 0.00085, 0.012, "scaled_linear")))
_DIFFUSERS_DEFAULTS: Dict[str, Any] = dict(zip(NOISE, (1000, 0.0001, 0.02, "linear")))
_MAX_HEADER = 100_000_000  # bytes, as the format allows
UNSET: Any = object()  # an argument that was not given


class Opened(NamedTuple):
    """A model with what a pipeline must know of it."""

    model: Model
    dtype: Optional[str]  # as in torch_dtype
    noise: Optional[Dict[str, Any]]  # the forward process in diffusers' words; None: unknown here
    scheduler: Scheduler


def prediction_in_words(model: Model) -> str:
    """What the network predicts, in diffusers' words."""
    words = {ours: theirs for theirs, ours in PREDICTIONS.items()}
    return words.get(model.info["prediction"], model.info["prediction"])


def open_pretrained(
    name: PathLike,
    *,
    torch_dtype: Any,
    revision: Optional[str],
    variant: Optional[str],
    cache_dir: Optional[PathLike],
    tokenizer: Any,
    prediction_type: Optional[str],
    safety_checker: Any,
) -> Opened:
    """The model that from_pretrained means."""
    path = find_model(name, revision, cache_dir)
    dtype = check_variant(path, variant, dtype_name(torch_dtype))
    options = _options(path, dtype, tokenizer, prediction_type)
    if not path.is_dir():
        return _opened_file(Model(options), dtype)
    model = Model(options)
    _tell_of_safety_checker(path, safety_checker)
    noise, own = _STABLE_DIFFUSION, None
    if (path / "scheduler" / "scheduler_config.json").exists():
        config = read_config(path / "scheduler")
        noise = {key: config.get(key, default) for key, default in _DIFFUSERS_DEFAULTS.items()}
        own = scheduler_of_model({**config, "prediction_type": prediction_in_words(model)})
    return Opened(model, dtype, noise, own or _named_by_library(model, noise))


def open_file(
    name: PathLike,
    *,
    torch_dtype: Any,
    revision: Optional[str],
    cache_dir: Optional[PathLike],
    config: Optional[PathLike],
    tokenizer: Any,
    prediction_type: Optional[str],
) -> Opened:
    """The model that from_single_file means."""
    file = find_file(name, revision, cache_dir)
    if file.is_dir():
        raise Error(NO_INPUT, f"{file}: is a folder; open it with from_pretrained")
    dtype = dtype_name(torch_dtype)
    options = _options(file, dtype, tokenizer, prediction_type)
    if config is not None:
        if not Path(config).is_file():
            raise Error(
                NO_INPUT, f"`config`: {os.fspath(config)} is not a file; it must be an LDM configuration (YAML)"
            )
        options["config"] = os.path.abspath(config)
    return _opened_file(Model(options), dtype)


def _options(path: Path, dtype: Optional[str], tokenizer: Any, prediction_type: Optional[str]) -> Dict[str, Any]:
    options = {"path": os.path.abspath(path), **dtype_options(dtype), **prediction_option(prediction_type)}
    if tokenizer is not None:
        if not isinstance(tokenizer, (str, os.PathLike)):
            raise TypeError("`tokenizer` must be the path of a folder with vocab.json and merges.txt, not an object")
        options["tokenizer"] = os.path.abspath(tokenizer)
    return options


def _opened_file(model: Model, dtype: Optional[str]) -> Opened:
    own = "config" in model.options or _has_own_configuration(Path(model.options["path"]))
    noise = None if own else _STABLE_DIFFUSION
    return Opened(model, dtype, noise, _named_by_library(model, noise))


def _has_own_configuration(file: Path) -> bool:
    """Whether a safetensors file carries sumi's configuration of its model."""
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        return length <= _MAX_HEADER and b'"sumi.config"' in stream.read(length)


def _named_by_library(model: Model, noise: Optional[Mapping[str, Any]]) -> Scheduler:
    """The scheduler that the model names, else the original's, with a configuration for those that replace it."""
    config = {
        **(noise or dict.fromkeys(NOISE)),
        "prediction_type": prediction_in_words(model),
        "steps_offset": 1,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "skip_prk_steps": True,
    }
    return Scheduler(model.info["sampler"] or "ddim", model.info["schedule"] or None, config)


def _tell_of_safety_checker(folder: Path, safety_checker: Any) -> None:
    if safety_checker is not UNSET:
        return
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    named = index.get("safety_checker")
    if isinstance(named, list) and named and named[0] is not None:
        tell(f"{folder}: has a safety checker, which sumi does not run unless `safety_checker` names it")
