"""What sumi raises."""

from __future__ import annotations

import re

# The C interface's status codes, which are also the exit codes of the program.
USAGE, DATA, NO_INPUT, UNAVAILABLE = 64, 65, 66, 69
INTERNAL, CANNOT_CREATE, IO, CANCELLED = 70, 73, 74, 130

KINDS = {
    USAGE: "usage",
    DATA: "data",
    NO_INPUT: "no_input",
    UNAVAILABLE: "unavailable",
    INTERNAL: "internal",
    CANNOT_CREATE: "cannot_create",
    IO: "io",
    CANCELLED: "cancelled",
}


class Error(RuntimeError):
    """An error of the library: one sentence that says what is wrong and what to do.

    Attributes:
        code: a status of the C interface: 64 usage, 65 data, 66 no_input, 69 unavailable, 70 internal,
            73 cannot_create, 74 io, 130 cancelled.
        kind: the code in a word.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.kind = KINDS.get(code, "internal")

    def __reduce__(self):
        return (Error, (self.code, str(self)))


# The library's sentences name JSON fields in backquotes; a Python program has these names for them.
_PYTHON_NAMES = {
    "prompts": "prompt",
    "copies": "num_images_per_prompt",
    "batch": "num_images_per_prompt",
    "steps": "num_inference_steps",
    "scale": "guidance_scale",
    "sampler": "scheduler",
    "schedule": "scheduler",
    "seed": "generator",
    "seeds": "generator",
    "seeding": "generator",
    "rng": "generator",
    "dtype": "torch_dtype",
    "precision": "torch_dtype",
    "prediction": "prediction_type",
    "loras": "load_lora_weights",
    "lora_folder": "load_lora_weights",
    "tiled_decode": "enable_vae_tiling",
    "init": "image",
    "mask": "mask_image",
    "mask_padding": "padding_mask_crop",
    "controls": "controlnet",
    "weight": "controlnet_conditioning_scale",
    "start": "control_guidance_start",
    "end": "control_guidance_end",
}


def in_python_words(sentence: str) -> str:
    """The sentence with the names of the package's arguments instead of the JSON fields'."""
    return re.sub(r"`(?:controls\[\d+\]\.)?([a-z_]+)`", lambda match: "`%s`" % _PYTHON_NAMES.get(match[1], match[1]), sentence)
