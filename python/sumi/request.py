"""From the arguments of a call to a request of the library."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

from . import arguments
from .adapters import Adapters
from .generator import read_generators
from .scheduler import Scheduler

# Arguments of diffusers' call that must have their defaults.
_UNSUPPORTED: Dict[str, Any] = {
    "timesteps": None,
    "sigmas": None,
    "latents": None,
    "prompt_embeds": None,
    "negative_prompt_embeds": None,
    "ip_adapter_image": None,
    "ip_adapter_image_embeds": None,
    "guidance_rescale": 0.0,
    "clip_skip": None,
}


def refuse_unsupported(where: str, given: Mapping[str, Any], callback: Any, tensor_inputs: Sequence[str]) -> None:
    if callback is not None and not callable(callback):
        raise TypeError(f"`callback_on_step_end` must be a function, not {callback!r}")
    if not isinstance(tensor_inputs, (list, tuple)):
        raise TypeError(f"`callback_on_step_end_tensor_inputs` must be a list of names, not {tensor_inputs!r}")
    unsupported = {n: (given[n], d) for n, d in _UNSUPPORTED.items() if n in given}
    arguments.refuse_unless_default(where, unsupported)
    if list(tensor_inputs) not in ([], ["latents"]):
        raise ValueError(f"{where}: `callback_on_step_end_tensor_inputs` is not supported by sumi; leave it out")


def make_request(
    scheduler: Scheduler,
    adapters: Adapters,
    tiled_decode: bool,
    *,
    prompt: Any,
    negative_prompt: Any,
    num_images_per_prompt: Optional[int],
    height: Optional[int],
    width: Optional[int],
    num_inference_steps: Optional[int],
    guidance_scale: Optional[float],
    eta: float,
    generator: Any,
    cross_attention_kwargs: Optional[Mapping[str, Any]],
    more: Mapping[str, Any],
) -> Dict[str, Any]:
    """The request, with the fields `more`; what is None is left to the library. Like diffusers it draws all pictures in
    one batch."""
    copies = arguments.whole("num_images_per_prompt", num_images_per_prompt)
    prompts = arguments.read_prompts(prompt, 1 if copies is None else copies)
    if guidance_scale is not None:
        guidance_scale = max(1.0, arguments.number("guidance_scale", guidance_scale))  # diffusers': up to 1 is none
    eta = arguments.number("eta", eta)
    fields = {
        "prompts": prompts,
        "negative_prompt": arguments.read_negative(negative_prompt, prompt),
        "batch": len(prompts),
        "width": arguments.whole("width", width),
        "height": arguments.whole("height", height),
        **scheduler.request(),
        "steps": arguments.whole("num_inference_steps", num_inference_steps),
        "scale": guidance_scale,
        "eta": eta if eta != 0.0 else None,  # samplers without it refuse it
        **read_generators(generator, len(prompts))._asdict(),
        "loras": adapters.request(arguments.lora_scale(cross_attention_kwargs)),
        "tiled_decode": tiled_decode,
        "syntax": "exact",
        "defaults": "original",
        **more,
    }
    return {name: value for name, value in fields.items() if value is not None}
