"""Methods of diffusers that change no picture, and attributes that a pipeline of sumi cannot have."""

from __future__ import annotations

from typing import Any, Callable, Set

from .tell import tell

_told: Set[str] = set()


def _without_effect(name: str) -> Callable[..., None]:
    def method(self: Any, *_arguments: Any, **_options: Any) -> None:
        if name not in _told:
            _told.add(name)
            tell(f"{name} has no effect: sumi plans its memory itself")

    method.__name__ = name
    method.__doc__ = "Has no effect, as sumi plans its memory itself; the first call warns."
    return method


class NoEffectMethods:
    """Ways of saving memory or time that change no picture."""

    enable_attention_slicing = _without_effect("enable_attention_slicing")
    disable_attention_slicing = _without_effect("disable_attention_slicing")
    enable_vae_slicing = _without_effect("enable_vae_slicing")
    disable_vae_slicing = _without_effect("disable_vae_slicing")
    enable_xformers_memory_efficient_attention = _without_effect("enable_xformers_memory_efficient_attention")
    disable_xformers_memory_efficient_attention = _without_effect("disable_xformers_memory_efficient_attention")
    enable_model_cpu_offload = _without_effect("enable_model_cpu_offload")
    enable_sequential_cpu_offload = _without_effect("enable_sequential_cpu_offload")


_PARTS = dict.fromkeys(
    ("unet", "vae", "text_encoder", "image_encoder", "feature_extractor", "components"),
    "the networks are in the library and cannot be reached or replaced from Python",
)
_REFUSED = {
    **_PARTS,
    "tokenizer": "give the folder of another one to from_pretrained or from_single_file",
    "_guidance_scale": "it cannot change during a call",
    "_cross_attention_kwargs": "they cannot change during a call",
    "_guidance_rescale": "guidance_rescale is not supported",
    "_clip_skip": "clip_skip is not supported",
    **dict.fromkeys(
        (
            "prompt",
            "height",
            "width",
            "num_inference_steps",
            "guidance_scale",
            "negative_prompt",
            "num_images_per_prompt",
            "eta",
            "generator",
            "output_type",
            "cross_attention_kwargs",
            "callback_on_step_end",
            "do_classifier_free_guidance",
        ),
        "it is decided by the arguments of each call",
    ),
    **dict.fromkeys(("timesteps", "sigmas", "latents", "guidance_rescale", "clip_skip"), "it is not supported by sumi"),
    **dict.fromkeys(
        (
            "load_textual_inversion",
            "load_ip_adapter",
            "set_ip_adapter_scale",
            "unload_ip_adapter",
            "encode_prompt",
            "enable_freeu",
            "fuse_qkv_projections",
            "save_pretrained",
            "save_lora_weights",
            "register_modules",
            "from_pipe",
        ),
        "it is not supported by sumi",
    ),
}


def refuse_attribute(name: str) -> None:
    """Raises AttributeError with the reason, if `name` is one of diffusers' that sumi cannot have."""
    if name in _REFUSED:
        raise AttributeError(f"StableDiffusionPipeline.{name}: {_REFUSED[name]}")
