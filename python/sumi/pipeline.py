"""StableDiffusionPipeline, with the surface of diffusers'."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from . import arguments
from .adapters import Adapters
from .calls import Calls
from .engine import Model
from .errors import NO_INPUT, Error, in_python_words
from .generator import Device, mark_used
from .job import Job, Picture
from .loading import UNSET, Opened, open_file, open_pretrained, prediction_in_words
from .lora_methods import LoraMethods
from .no_effect import NoEffectMethods, refuse_attribute
from .output import StableDiffusionPipelineOutput, check_output_type, collect_images
from .places import PathLike
from .progress import Progress, check_options
from .request import make_request, refuse_unsupported
from .scheduler import Scheduler
from .schedulers import adopt_scheduler
from .tell import tell

# (pipe, step, timestep, callback_kwargs)
StepCallback = Callable[["StableDiffusionPipeline", int, Any, Dict[str, Any]], Any]


class _NoTensors(Dict[str, Any]):
    """The callback_kwargs of a step: latents stay in the library, so nothing can be read or written here."""

    def __missing__(self, key: str) -> Any:
        raise KeyError(f"callback_kwargs[{key!r}]: sumi keeps its tensors in the library")

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError(f"callback_kwargs[{key!r}] cannot be set: sumi keeps its tensors in the library")

    def setdefault(self, key: str, default: Any = None) -> Any:
        self[key] = default

    def update(self, *given: Any, **named: Any) -> None:
        for key, value in dict(*given, **named).items():
            self[key] = value

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self


def _refuse_unknown(where: str, unknown: Mapping[str, Any]) -> None:
    for name in unknown:
        raise TypeError(f"{where}: `{name}` is not an argument that sumi supports")


def _check_safety_checker(value: Any) -> Optional[str]:
    """The path of the safety checker to run; None: none."""
    if value is None or value is UNSET:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError("`safety_checker`: must be None or the path of a safety checker, not an object")
    if not os.path.exists(value):
        raise Error(NO_INPUT, f"`safety_checker`: {os.fspath(value)}: there is no such file or folder")
    return os.path.abspath(value)


class StableDiffusionPipeline(LoraMethods, NoEffectMethods):
    """Draws pictures from text. Made by from_pretrained or from_single_file; docs/python.md says what differs from
    diffusers. Calls from several threads may run at once."""

    def __init__(self, opened: Opened) -> None:
        if not isinstance(opened, Opened):
            raise TypeError("StableDiffusionPipeline is made by from_pretrained or from_single_file")
        self._model = opened.model
        self._dtype = opened.dtype
        self._noise = opened.noise
        self._scheduler = opened.scheduler
        self._adapters = Adapters()
        self._tiled_decode = False
        self._safety_checker: Optional[str] = None
        self._progress_options: Dict[str, Any] = {}
        self._calls = Calls()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: PathLike,
        *,
        torch_dtype: Any = None,
        revision: Optional[str] = None,
        variant: Optional[str] = None,
        scheduler: Any = None,
        tokenizer: Optional[PathLike] = None,
        prediction_type: Optional[str] = None,
        cache_dir: Optional[PathLike] = None,
        safety_checker: Any = UNSET,
        requires_safety_checker: bool = True,
        feature_extractor: Any = None,
        use_safetensors: Optional[bool] = None,
        local_files_only: bool = False,
        low_cpu_mem_usage: Optional[bool] = None,
        token: Any = None,
        use_auth_token: Any = None,
        **unknown: Any,
    ) -> "StableDiffusionPipeline":
        """Opens a model: a diffusers folder, a checkpoint file, or "owner/name" of the hub, which must be in sumi's
        data folder (`sumi pull owner/name`) or in Hugging Face's cache. Nothing is downloaded.

        Args:
            torch_dtype: "float32" (as None: weights as stored, computing in float32), "float16" or "bfloat16" (weights
                and activations), or sumi's "q8_0" and "q4_0" (weights). torch's and numpy's types work too.
            revision: a branch, tag or commit in Hugging Face's cache.
            variant: "fp16" or "bf16"; the folder must have such weights.
            scheduler: as for the attribute `scheduler`.
            tokenizer: a folder with vocab.json and merges.txt, instead of the one that is found.
            prediction_type: "epsilon", "v_prediction" or "sample", instead of what the model's configuration says.
            cache_dir: instead of Hugging Face's cache.
            safety_checker: the path of one, a file or folder, whose pictures come out black where it flags them; None
                runs none.
            requires_safety_checker, feature_extractor (None), use_safetensors, local_files_only, low_cpu_mem_usage,
                token, use_auth_token: change nothing.
        """
        _refuse_unknown("from_pretrained", unknown)
        checker = _check_safety_checker(safety_checker)
        arguments.refuse_unless_default("from_pretrained", {"feature_extractor": (feature_extractor, None)})
        opened = open_pretrained(
            pretrained_model_name_or_path,
            torch_dtype=torch_dtype,
            revision=revision,
            variant=variant,
            cache_dir=cache_dir,
            tokenizer=tokenizer,
            prediction_type=prediction_type,
            safety_checker=safety_checker,
        )
        return cls._of(opened, scheduler, checker)

    @classmethod
    def from_single_file(
        cls,
        pretrained_model_link_or_path: PathLike,
        *,
        torch_dtype: Any = None,
        config: Optional[PathLike] = None,
        original_config: Optional[PathLike] = None,
        revision: Optional[str] = None,
        scheduler: Any = None,
        tokenizer: Optional[PathLike] = None,
        prediction_type: Optional[str] = None,
        cache_dir: Optional[PathLike] = None,
        safety_checker: Any = UNSET,
        use_safetensors: Optional[bool] = None,
        local_files_only: bool = False,
        token: Any = None,
        **unknown: Any,
    ) -> "StableDiffusionPipeline":
        """Opens a checkpoint (.safetensors, .ckpt): a path, or "owner/name/file" or an address of the hub, looked up on
        this machine as for from_pretrained.

        Args:
            config, original_config: an LDM configuration (YAML), if it cannot be inferred from the tensors.
            Others: as for from_pretrained.
        """
        _refuse_unknown("from_single_file", unknown)
        checker = _check_safety_checker(safety_checker)
        if config is not None and original_config is not None:
            raise ValueError("`config` and `original_config` mean the same; give one of them")
        opened = open_file(
            pretrained_model_link_or_path,
            torch_dtype=torch_dtype,
            revision=revision,
            cache_dir=cache_dir,
            config=config if config is not None else original_config,
            tokenizer=tokenizer,
            prediction_type=prediction_type,
        )
        return cls._of(opened, scheduler, checker)

    @classmethod
    def _of(cls, opened: Opened, scheduler: Any, safety_checker: Optional[str]) -> "StableDiffusionPipeline":
        for sentence in opened.model.warnings():
            tell(sentence)
        pipe = cls(opened)
        pipe._safety_checker = safety_checker
        if scheduler is not None:
            pipe.scheduler = pipe._adopt(scheduler).corrected()
        return pipe

    def to(
        self, *args: Any, device: Any = None, dtype: Any = None, silence_dtype_warnings: bool = False
    ) -> "StableDiffusionPipeline":
        """Chooses the backend ("cpu") and the type, as torch_dtype; returns the pipeline."""
        device, dtype = arguments.device_and_dtype(args, device, dtype)
        before = {"backend": "cpu", **self._model.options}
        options = dict(before)
        name = self._dtype if dtype is None else arguments.dtype_name(dtype, "dtype")
        options.update(arguments.dtype_options(name))
        if device is not None:
            options["backend"] = arguments.backend_name(device, self._model.library)
        if options != before:
            self._model = Model(options)
        self._dtype = name
        return self

    @property
    def device(self) -> Device:
        return Device(self._model.options.get("backend", "cpu"))

    @property
    def dtype(self) -> str:
        return self._dtype or "float32"

    @property
    def scheduler(self) -> Scheduler:
        """What decides sampler and schedule. May be set to a scheduler of this package or of diffusers, to a name of
        `sumi list samplers` ("euler_a", "DPM++ 2M Karras") or to the name of one of diffusers' classes."""
        return self._scheduler

    @scheduler.setter
    def scheduler(self, value: Any) -> None:
        scheduler = self._adopt(value)
        scheduler.resolve()
        scheduler.check_model(self._noise, prediction_in_words(self._model))
        self._scheduler = scheduler

    def _adopt(self, value: Any) -> Scheduler:
        lib = self._model.library
        return adopt_scheduler(value, self._scheduler.config, lib.list("samplers"), lib.list("schedules"))

    @property
    def safety_checker(self) -> Optional[str]:
        """The path of the safety checker that is run; None: none."""
        return self._safety_checker

    @safety_checker.setter
    def safety_checker(self, value: Any) -> None:
        self._safety_checker = _check_safety_checker(value)

    def enable_vae_tiling(self) -> None:
        """Decodes pictures beyond 1024x1024 in tiles: less memory, more time, a small error."""
        self._tiled_decode = True

    def disable_vae_tiling(self) -> None:
        self._tiled_decode = False

    def set_progress_bar_config(self, **options: Any) -> None:
        """disable, desc and leave, of the bar that is shown where standard error is a terminal."""
        self._progress_options = check_options(options)

    @property
    def interrupt(self) -> bool:
        """Whether this thread's call is to end, outside of a callback that of any thread."""
        return self._interrupt

    @property
    def _interrupt(self) -> bool:
        return self._calls.current().interrupted

    @_interrupt.setter
    def _interrupt(self, value: bool) -> None:
        self._calls.interrupt(bool(value))

    @property
    def num_timesteps(self) -> int:
        """Steps of this thread's call, outside of a callback of the call that runs or ran last."""
        return self._calls.current().steps

    def __call__(
        self,
        prompt: Union[None, str, List[str]] = None,
        height: Optional[int] = None,
        width: Optional[int] = None,
        num_inference_steps: Optional[int] = None,
        timesteps: None = None,
        sigmas: None = None,
        guidance_scale: Optional[float] = None,
        negative_prompt: Union[None, str, List[str]] = None,
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
        guidance_rescale: float = 0.0,
        clip_skip: Optional[int] = None,
        callback_on_step_end: Optional[StepCallback] = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        **unknown: Any,
    ) -> Union[StableDiffusionPipelineOutput, Tuple[Any, Any]]:
        """Draws num_images_per_prompt pictures of each prompt, all at once as in diffusers.

        Args:
            height, width: pixels, multiples of 8; the model's size.
            num_inference_steps, guidance_scale: 50 and 7.5, unless the model's own configuration says otherwise (only
                files made by sumi do). A guidance of 1 or less is none.
            negative_prompt: a text, or a list of equal ones.
            eta: DDIM's; refused for others.
            generator: a sumi.Generator, a torch.Generator, or one for each picture; None: a random seed.
            output_type: "pil" (without Pillow: sumi.Image) or "np" (float32, [pictures, height, width, 3], 0 to 1).
            cross_attention_kwargs: {"scale": s} scales the LoRAs that are not fused.
            callback_on_step_end: called as (pipe, step, timestep, {}) after each step, on the calling thread. It may
                set pipe._interrupt: the call, and no other thread's, then raises Error(cancelled).
            Others must have their defaults.
        """
        return self._draw(locals(), unknown)

    def _draw(
        self, given: Mapping[str, Any], unknown: Mapping[str, Any], more: Optional[Mapping[str, Any]] = None
    ) -> Union[StableDiffusionPipelineOutput, Tuple[Any, Any]]:
        """A call with the arguments `given`, and with the fields `more` in its request."""
        where = type(self).__name__
        _refuse_unknown(where, unknown)
        callback, generator = given["callback_on_step_end"], given["generator"]
        refuse_unsupported(where, given, callback, given["callback_on_step_end_tensor_inputs"])
        output_type = given["output_type"]
        check_output_type(output_type)
        self._scheduler.check_model(self._noise, prediction_in_words(self._model))
        fields = dict(more or {})
        if self._safety_checker is not None:
            fields["safety_checker"] = self._safety_checker
        request = make_request(
            self._scheduler,
            self._adapters,
            self._tiled_decode,
            prompt=given["prompt"],
            negative_prompt=given["negative_prompt"],
            num_images_per_prompt=given["num_images_per_prompt"],
            height=given["height"],
            width=given["width"],
            num_inference_steps=given["num_inference_steps"],
            guidance_scale=given["guidance_scale"],
            eta=given["eta"],
            generator=generator,
            cross_attention_kwargs=given["cross_attention_kwargs"],
            more=fields,
        )
        pictures = self._run(request, generator, callback)
        images = collect_images(pictures, output_type)
        flags = None if self._safety_checker is None else [bool(p.info.get("flagged")) for p in pictures]
        return StableDiffusionPipelineOutput(images, flags) if given["return_dict"] else (images, flags)

    def _run(self, request: Dict[str, Any], generator: Any, callback: Optional[StepCallback]) -> List[Picture]:
        progress = Progress(**self._progress_options)
        call = self._calls.begin()

        def on_step(done: int, steps: int) -> bool:
            call.steps = steps
            progress.update(done, steps)
            if callback is not None and done > 0:
                timesteps = job.settings.get("timesteps")
                changed = callback(self, done - 1, timesteps[done - 1] if timesteps else None, _NoTensors())
                if changed:
                    raise ValueError("`callback_on_step_end` returned tensors, which sumi cannot take; return nothing")
            return not call.interrupted

        try:
            job = Job(self._model, request, on_step, lambda sentence: tell(in_python_words(sentence)))
            mark_used(generator)
            return job.run()
        finally:
            self._calls.end(call)
            progress.close()

    def __getattr__(self, name: str) -> Any:
        refuse_attribute(name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        refuse_attribute(name)
        object.__setattr__(self, name, value)
