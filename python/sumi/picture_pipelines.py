"""Pipelines that are given pictures: image to image, inpainting, ControlNet, with the surface of diffusers'."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from . import arguments
from .control import ControlNetModel, Numbers, check_controlnets, fields_of_controls
from .given import fields_of_mask, fields_of_picture, size_of
from .loading import Opened
from .output import StableDiffusionPipelineOutput
from .pipeline import StableDiffusionPipeline, StepCallback
from .places import PathLike

Result = Union[StableDiffusionPipelineOutput, Tuple[Any, Any]]
Texts = Union[None, str, List[str]]


class StableDiffusionImg2ImgPipeline(StableDiffusionPipeline):
    """Draws from a picture and a text. See StableDiffusionPipeline for what is not said here."""

    def __call__(  # type: ignore[override]
        self,
        prompt: Texts = None,
        image: Any = None,
        strength: float = 0.8,
        num_inference_steps: Optional[int] = None,
        timesteps: None = None,
        sigmas: None = None,
        guidance_scale: Optional[float] = None,
        negative_prompt: Texts = None,
        num_images_per_prompt: Optional[int] = 1,
        eta: float = 0.0,
        generator: Any = None,
        prompt_embeds: None = None,
        negative_prompt_embeds: None = None,
        ip_adapter_image: None = None,
        ip_adapter_image_embeds: None = None,
        output_type: Optional[str] = "pil",
        return_dict: bool = True,
        cross_attention_kwargs: Optional[Mapping[str, Any]] = None,
        clip_skip: Optional[int] = None,
        callback_on_step_end: Optional[StepCallback] = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        **unknown: Any,
    ) -> Result:
        """Draws from `image`, shrunk to whole multiples of 8.

        Args:
            image: a path, a PIL image, a sumi.Image or an array [height, width, 3].
            strength: how far from it: the part of num_inference_steps that is run, 0 to 1.
        """
        given = {**locals(), "height": None, "width": None}
        return self._draw(given, unknown, fields_of_picture(image, strength))


class StableDiffusionInpaintPipeline(StableDiffusionPipeline):
    """Draws parts of a picture anew. Unlike diffusers', what is black in the mask comes back byte for byte."""

    def __call__(  # type: ignore[override]
        self,
        prompt: Texts = None,
        image: Any = None,
        mask_image: Any = None,
        masked_image_latents: None = None,
        height: Optional[int] = None,
        width: Optional[int] = None,
        padding_mask_crop: Optional[int] = None,
        strength: float = 1.0,
        num_inference_steps: Optional[int] = None,
        timesteps: None = None,
        sigmas: None = None,
        guidance_scale: Optional[float] = None,
        negative_prompt: Texts = None,
        num_images_per_prompt: Optional[int] = 1,
        eta: float = 0.0,
        generator: Any = None,
        latents: None = None,
        prompt_embeds: None = None,
        negative_prompt_embeds: None = None,
        ip_adapter_image: None = None,
        ip_adapter_image_embeds: None = None,
        output_type: Optional[str] = "pil",
        return_dict: bool = True,
        cross_attention_kwargs: Optional[Mapping[str, Any]] = None,
        clip_skip: Optional[int] = None,
        callback_on_step_end: Optional[StepCallback] = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        **unknown: Any,
    ) -> Result:
        """Draws anew what is white in mask_image; with any model, best with one made for inpainting.

        Args:
            image, mask_image: a path, a PIL image, a sumi.Image or an array.
            height, width: to which both are brought; None: the picture's own size.
            padding_mask_crop: draw only the mask's surroundings, so many pixels around it, at the full size.
            strength: how far from the picture, 0 to 1; 1 begins from noise alone.
            masked_image_latents, latents: must be None.
        """
        arguments.refuse_unless_default(type(self).__name__, {"masked_image_latents": (masked_image_latents, None)})
        fields = fields_of_picture(image, strength)
        fields.update(fields_of_mask(mask_image, arguments.whole("padding_mask_crop", padding_mask_crop)))
        return self._draw(locals(), unknown, fields)


class StableDiffusionControlNetPipeline(StableDiffusionPipeline):
    """Draws pictures from text that follow other pictures."""

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened)
        self._controlnets: List[ControlNetModel] = []

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: PathLike, *, controlnet: Any = None, **options: Any
    ) -> "StableDiffusionControlNetPipeline":
        """As StableDiffusionPipeline's, with `controlnet`: a ControlNetModel or a list of them."""
        models = check_controlnets(controlnet)
        return cls._with(models, super().from_pretrained(pretrained_model_name_or_path, **options))

    @classmethod
    def from_single_file(  # type: ignore[override]
        cls, pretrained_model_link_or_path: PathLike, *, controlnet: Any = None, **options: Any
    ) -> "StableDiffusionControlNetPipeline":
        """As StableDiffusionPipeline's, with `controlnet`: a ControlNetModel or a list of them."""
        models = check_controlnets(controlnet)
        return cls._with(models, super().from_single_file(pretrained_model_link_or_path, **options))

    @staticmethod
    def _with(models: List[ControlNetModel], pipe: Any) -> Any:
        pipe._controlnets = models
        return pipe

    @property
    def controlnet(self) -> Union[ControlNetModel, List[ControlNetModel]]:
        return self._controlnets[0] if len(self._controlnets) == 1 else list(self._controlnets)

    def _controls(self, given: Mapping[str, Any], name: str) -> Dict[str, Any]:
        return fields_of_controls(
            self._controlnets,
            name,
            given[name],
            given["controlnet_conditioning_scale"],
            given["control_guidance_start"],
            given["control_guidance_end"],
            given["guess_mode"],
        )

    def __call__(  # type: ignore[override]
        self,
        prompt: Texts = None,
        image: Any = None,
        height: Optional[int] = None,
        width: Optional[int] = None,
        num_inference_steps: Optional[int] = None,
        timesteps: None = None,
        sigmas: None = None,
        guidance_scale: Optional[float] = None,
        negative_prompt: Texts = None,
        num_images_per_prompt: Optional[int] = 1,
        eta: float = 0.0,
        generator: Any = None,
        latents: None = None,
        prompt_embeds: None = None,
        negative_prompt_embeds: None = None,
        ip_adapter_image: None = None,
        ip_adapter_image_embeds: None = None,
        output_type: Optional[str] = "pil",
        return_dict: bool = True,
        cross_attention_kwargs: Optional[Mapping[str, Any]] = None,
        controlnet_conditioning_scale: Numbers = 1.0,
        guess_mode: bool = False,
        control_guidance_start: Numbers = 0.0,
        control_guidance_end: Numbers = 1.0,
        clip_skip: Optional[int] = None,
        callback_on_step_end: Optional[StepCallback] = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        **unknown: Any,
    ) -> Result:
        """Draws pictures that follow `image`.

        Args:
            image: the hint, a picture as for StableDiffusionImg2ImgPipeline; with several ControlNets a list.
            height, width: pixels; None: the first hint's, rounded down to multiples of 8.
            controlnet_conditioning_scale: how strongly each acts, a number or a list.
            guess_mode: they act on the prompt's half alone.
            control_guidance_start, control_guidance_end: in which part of the steps each acts.
        """
        given = dict(locals())
        width, height = size_of(image) or (0, 0)
        for side, pixels in (("width", width), ("height", height)):
            if given[side] is None and pixels >= 8:
                given[side] = pixels // 8 * 8
        return self._draw(given, unknown, self._controls(given, "image"))


class StableDiffusionControlNetImg2ImgPipeline(StableDiffusionControlNetPipeline):
    """Draws from a picture and a text, following others."""

    def __call__(  # type: ignore[override]
        self,
        prompt: Texts = None,
        image: Any = None,
        control_image: Any = None,
        height: Optional[int] = None,
        width: Optional[int] = None,
        strength: float = 0.8,
        num_inference_steps: Optional[int] = None,
        guidance_scale: Optional[float] = None,
        negative_prompt: Texts = None,
        num_images_per_prompt: Optional[int] = 1,
        eta: float = 0.0,
        generator: Any = None,
        latents: None = None,
        prompt_embeds: None = None,
        negative_prompt_embeds: None = None,
        ip_adapter_image: None = None,
        ip_adapter_image_embeds: None = None,
        output_type: Optional[str] = "pil",
        return_dict: bool = True,
        cross_attention_kwargs: Optional[Mapping[str, Any]] = None,
        controlnet_conditioning_scale: Numbers = 0.8,
        guess_mode: bool = False,
        control_guidance_start: Numbers = 0.0,
        control_guidance_end: Numbers = 1.0,
        clip_skip: Optional[int] = None,
        callback_on_step_end: Optional[StepCallback] = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        **unknown: Any,
    ) -> Result:
        """Draws from `image` (see StableDiffusionImg2ImgPipeline), following `control_image` (see
        StableDiffusionControlNetPipeline)."""
        fields = {**fields_of_picture(image, strength), **self._controls(locals(), "control_image")}
        return self._draw(locals(), unknown, fields)
