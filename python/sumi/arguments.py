"""The arguments of the pipeline: what stands for what, and what is refused."""

from __future__ import annotations

import math
import operator
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .errors import NO_INPUT, UNAVAILABLE, Error
from .library import Library

# torch_dtype: the type that weights are rounded to, and the one that the networks compute in. Weights of any stored
# type are read as they are and widened where they are used, so float32 needs no rounding.
_DTYPES = {
    "float32": ("auto", "full"),
    "float": ("auto", "full"),
    "float16": ("f16", "f16"),
    "half": ("f16", "f16"),
    "bfloat16": ("bf16", "bf16"),
    "q8_0": ("q8_0", "full"),
    "q4_0": ("q4_0", "full"),
}
_LONG_NAMES = {"float": "float32", "half": "float16"}

_MAX_PICTURES = 1024  # that the library draws at once
_MAX_PROMPT = 65536  # bytes

# prediction_type: the library's names.
PREDICTIONS = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}


def dtype_name(value: Any, argument: str = "torch_dtype") -> Optional[str]:
    """ "float16" of the text, of torch.float16, numpy.float16 or numpy.dtype("float16"); None for None."""
    if value is None:
        return None
    text = value.__name__ if isinstance(value, type) else str(value)
    name = text.partition("torch.")[2] or text
    if name not in _DTYPES:
        raise ValueError(f"`{argument}`: {name!r} is not supported; {', '.join(_DTYPES)} are")
    return _LONG_NAMES.get(name, name)


def dtype_options(name: Optional[str]) -> Dict[str, str]:
    """The options of a model for a name of dtype_name()."""
    dtype, precision = _DTYPES[name or "float32"]
    return {"dtype": dtype, "precision": precision}


def prediction_option(prediction_type: Optional[str]) -> Dict[str, str]:
    if prediction_type is None:
        return {}
    if prediction_type not in PREDICTIONS:
        raise ValueError(f"`prediction_type`: {prediction_type!r} is not supported; {', '.join(PREDICTIONS)} are")
    return {"prediction": PREDICTIONS[prediction_type]}


# Names of types, those that are not supported included: "float64", "fp16", "bf16", "int8", "q5_k".
_LIKE_A_DTYPE = re.compile(r"(b?float|double|half|u?int|long|short|bool|complex)[0-9a-z_]*|(bf|fp|f|q)[0-9][0-9a-z_]*")


def _is_dtype(value: Any) -> bool:
    """Whether an argument of to() means a type and not a device."""
    text = str(value)
    return text.startswith("torch.") or isinstance(value, type) or _LIKE_A_DTYPE.fullmatch(text) is not None


def device_and_dtype(given: Sequence[Any], device: Any, dtype: Any) -> Tuple[Any, Any]:
    """The arguments of to(): those given by place are told apart by what they look like."""
    for value in given:
        name, before = ("dtype", dtype) if _is_dtype(value) else ("device", device)
        if before is not None:
            raise TypeError(f"to: `{name}` is given twice, as {str(before)!r} and {str(value)!r}")
        device, dtype = (device, value) if name == "dtype" else (value, dtype)
    return device, dtype


def backend_name(device: Any, library: Library) -> str:
    """The backend of a device ("cpu", torch.device("cpu")). Raises Error(unavailable) that lists those there are."""
    name = str(device)
    backends = [entry["name"] for entry in library.list("backends")]
    kind, _, index = name.partition(":")
    if kind in backends and index in ("", "0"):
        return kind
    raise Error(UNAVAILABLE, f"there is no {name} here: this build of sumi computes on {', '.join(backends)}")


def check_variant(folder: Path, variant: Optional[str], dtype: Optional[str]) -> Optional[str]:
    """The type that the weights of a variant are of; raises where the folder does not have it.

    Where a folder has full weights as well, these are read and rounded: the same values."""
    if variant is None:
        return dtype
    kinds = {"fp16": "float16", "bf16": "bfloat16"}
    if variant not in kinds:
        raise ValueError(f"`variant`: {variant!r} is not supported; fp16 and bf16 are")
    if not (folder.is_dir() and any(f".{variant}." in file.name for file in folder.glob("unet/*"))):
        raise Error(NO_INPUT, f"{folder}: has no variant {variant}; leave `variant` out")
    return dtype or kinds[variant]


def refuse_unless_default(where: str, given: Mapping[str, Tuple[Any, Any]]) -> None:
    """`given`: argument: (value, default)."""
    for name, (value, default) in given.items():
        if not (value is default or (isinstance(value, (int, float)) and value == default)):
            raise ValueError(f"{where}: `{name}` is not supported by sumi; leave it out")


def whole(name: str, value: Any) -> Optional[int]:
    """A whole number, or None for None."""
    if value is None:
        return None
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"`{name}` must be a whole number, not {value!r}") from None


def number(name: str, value: Any) -> float:
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"`{name}` must be a number, not {value!r}") from None
    if not math.isfinite(result):
        raise ValueError(f"`{name}` must be a finite number, not {result}")
    return result


def read_prompts(prompt: Any, copies: int) -> List[str]:
    """The prompt of each picture: each of the given ones `copies` times."""
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, (list, tuple)) or not all(isinstance(one, str) for one in prompts):
        raise ValueError(f"`prompt` must be a text or a list of texts, not {type(prompt).__name__}")
    if not prompts:
        raise ValueError("`prompt` is an empty list")
    if not 1 <= copies <= _MAX_PICTURES:
        raise ValueError(f"`num_images_per_prompt` must be from 1 to {_MAX_PICTURES}, not {copies}")
    if len(prompts) * copies > _MAX_PICTURES:
        raise ValueError(
            f"a call draws up to {_MAX_PICTURES} pictures, not {len(prompts) * copies}: give fewer texts in `prompt`, "
            "or a smaller `num_images_per_prompt`"
        )
    return [one for one in prompts for _ in range(copies)]


def read_negative(negative: Any, prompt: Any) -> Optional[str]:
    """The one negative prompt of a call."""
    if negative is None:
        return None
    if isinstance(negative, str):
        return _checked_negative(negative)
    if not isinstance(negative, (list, tuple)) or not all(isinstance(one, str) for one in negative):
        raise TypeError(f"`negative_prompt` must be a text or a list of texts, not {type(negative).__name__}")
    prompts = 1 if isinstance(prompt, str) else len(prompt)
    if len(negative) != prompts:
        raise ValueError(f"`negative_prompt` has {len(negative)} entries for {prompts} prompts")
    if len(set(negative)) > 1:
        raise ValueError("`negative_prompt`: one negative prompt serves all pictures of a call; the list has several")
    return _checked_negative(negative[0])


def _checked_negative(text: str) -> str:
    """The library's sentences call both prompts "the prompt"; here it is known which one is wrong."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > _MAX_PROMPT:
        raise ValueError(f"`negative_prompt` has {size} bytes; at most {_MAX_PROMPT} are taken")
    if "\0" in text:
        raise ValueError(f"`negative_prompt` has a null character at position {text.index(chr(0))}")
    return text


def lora_scale(cross_attention_kwargs: Optional[Mapping[str, Any]]) -> float:
    """cross_attention_kwargs={"scale": s}."""
    if not isinstance(cross_attention_kwargs, (Mapping, type(None))):
        raise TypeError(f"`cross_attention_kwargs` must be a dictionary, not {cross_attention_kwargs!r}")
    given = dict(cross_attention_kwargs or {})
    scale = given.pop("scale", None)
    if given:
        raise ValueError(f"`cross_attention_kwargs`: {next(iter(given))!r} is not supported; 'scale' is")
    return 1.0 if scale is None else number("cross_attention_kwargs['scale']", scale)
