"""Diffusers' schedulers by their names, as sumi's samplers."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Type

from .scheduler import DiffusersScheduler, Scheduler, UnsupportedScheduler, scheduler_by_name

_THRESHOLD = {"dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.0}
_CLIP = {"clip_sample_range": 1.0}
_K_DIFFUSION = (0.00085, 0.012, "linear")


class DDIMScheduler(DiffusersScheduler):
    _sampler = "ddim"
    _spacing = "leading"
    _fixed = {"clip_sample": False, "set_alpha_to_one": False, "thresholding": False, "rescale_betas_zero_snr": False}
    _other_defaults = {"clip_sample": True, "set_alpha_to_one": True}
    _free = {**_CLIP, **_THRESHOLD}


class PNDMScheduler(DiffusersScheduler):
    _sampler = "plms"
    _spacing = "leading"
    _spacings = ("leading",)
    _fixed = {"skip_prk_steps": True, "set_alpha_to_one": False}
    _other_defaults = {"skip_prk_steps": False}


class DDPMScheduler(DiffusersScheduler):
    _sampler = "ddpm"
    _spacing = "leading"
    _fixed = {
        "variance_type": "fixed_small",
        "clip_sample": False,
        "thresholding": False,
        "rescale_betas_zero_snr": False,
    }
    _other_defaults = {"clip_sample": True}
    _free = {**_CLIP, **_THRESHOLD}


class LMSDiscreteScheduler(DiffusersScheduler):
    _sampler = "lms"
    _takes_sigmas = True


class EulerDiscreteScheduler(DiffusersScheduler):
    _sampler = "euler"
    _takes_sigmas = True
    _fixed = {
        "interpolation_type": "linear",
        "sigma_min": None,
        "sigma_max": None,
        "timestep_type": "discrete",
        "rescale_betas_zero_snr": False,
        "final_sigmas_type": "zero",
    }


class EulerAncestralDiscreteScheduler(DiffusersScheduler):
    _sampler = "euler_ancestral"
    _fixed = {"rescale_betas_zero_snr": False}


class HeunDiscreteScheduler(DiffusersScheduler):
    _sampler = "heun"
    _betas = _K_DIFFUSION
    _takes_sigmas = True
    _fixed = {"clip_sample": False}
    _free = _CLIP


class KDPM2DiscreteScheduler(DiffusersScheduler):
    _sampler = "dpm_2"
    _betas = _K_DIFFUSION
    _takes_sigmas = True


class KDPM2AncestralDiscreteScheduler(DiffusersScheduler):
    _sampler = "dpm_2_ancestral"
    _betas = _K_DIFFUSION
    _takes_sigmas = True


class DPMSolverSDEScheduler(DiffusersScheduler):
    """Its noise comes from the call's generator, where diffusers' comes from a Brownian tree: other pictures of the
    same distribution."""

    _sampler = "dpmpp_sde"
    _betas = _K_DIFFUSION
    _takes_sigmas = True
    _fixed = {"noise_sampler_seed": None}


class DPMSolverMultistepScheduler(DiffusersScheduler):
    _takes_sigmas = True
    _solver = True
    _fixed = {
        "solver_order": 2,
        "thresholding": False,
        "solver_type": "midpoint",
        "lower_order_final": True,
        "euler_at_final": False,
        "use_lu_lambdas": False,
        "use_flow_sigmas": False,
        "final_sigmas_type": "zero",
        "lambda_min_clipped": -float("inf"),
        "variance_type": None,
        "rescale_betas_zero_snr": False,
        "use_dynamic_shifting": False,
    }
    _free = {"algorithm_type": "dpmsolver++", "flow_shift": 1.0, "time_shift_type": "exponential", **_THRESHOLD}

    def _find_sampler(self) -> str:
        samplers = {"dpmsolver++": "dpmpp_2m", "sde-dpmsolver++": "dpmpp_2m_sde"}
        if self.config["algorithm_type"] not in samplers:
            self._refuse("algorithm_type", f"{' and '.join(samplers)} are")
        return samplers[self.config["algorithm_type"]]


class UniPCMultistepScheduler(DiffusersScheduler):
    _sampler = "unipc"
    _takes_sigmas = True
    _solver = True
    _fixed = {
        "solver_order": 2,
        "thresholding": False,
        "predict_x0": True,
        "solver_type": "bh2",
        "lower_order_final": True,
        "disable_corrector": [],
        "solver_p": None,
        "use_flow_sigmas": False,
        "final_sigmas_type": "zero",
        "rescale_betas_zero_snr": False,
        "use_dynamic_shifting": False,
        "sigma_min": None,
        "sigma_max": None,
        "shift_terminal": None,
    }
    _free = {"flow_shift": 1.0, "time_shift_type": "exponential", **_THRESHOLD}


class LCMScheduler(DiffusersScheduler):
    _sampler = "lcm"
    _betas = (0.00085, 0.012, "scaled_linear")
    _spacing = "leading"
    _fixed = {
        "original_inference_steps": 50,
        "clip_sample": False,
        "thresholding": False,
        "timestep_scaling": 10.0,
        "rescale_betas_zero_snr": False,
    }
    _free = {"set_alpha_to_one": True, **_CLIP, **_THRESHOLD}

    def _find_schedule(self) -> Optional[str]:
        return None  # its grid is its own, whatever spacing and offset say, in diffusers too


CLASSES: Dict[str, Type[DiffusersScheduler]] = {
    cls.__name__: cls
    for cls in (
        DDIMScheduler,
        PNDMScheduler,
        DDPMScheduler,
        LMSDiscreteScheduler,
        EulerDiscreteScheduler,
        EulerAncestralDiscreteScheduler,
        HeunDiscreteScheduler,
        KDPM2DiscreteScheduler,
        KDPM2AncestralDiscreteScheduler,
        DPMSolverSDEScheduler,
        DPMSolverMultistepScheduler,
        UniPCMultistepScheduler,
        LCMScheduler,
    )
}


def find_class(name: str) -> Type[DiffusersScheduler]:
    """The class with diffusers' name; raises ValueError that lists those there are."""
    if name not in CLASSES:
        raise ValueError(f"{name} is not a scheduler that sumi has; there are {', '.join(CLASSES)}")
    return CLASSES[name]


def scheduler_of_model(config: Mapping[str, Any]) -> Scheduler:
    """A model's own scheduler, from its scheduler_config.json."""
    try:
        cls = find_class(str(config.get("_class_name")))
    except ValueError as error:
        return UnsupportedScheduler(config, str(error))
    return cls.from_config(config).corrected()


def adopt_scheduler(
    value: Any, current: Mapping[str, Any], samplers: List[Dict[str, Any]], schedules: List[Dict[str, Any]]
) -> Scheduler:
    """What may be assigned to pipe.scheduler: a scheduler of this package or of diffusers, a sampler's name, or the
    name of one of diffusers' classes, which then takes the `current` configuration."""
    if isinstance(value, Scheduler):
        # One made by hand has no configuration; the next class may want it.
        return value if value.config else Scheduler(*value.resolve(), current)
    if isinstance(value, str):
        if value.endswith("Scheduler"):
            return find_class(value).from_config(current)
        return Scheduler(*scheduler_by_name(value, samplers, schedules).resolve(), current)
    config = getattr(value, "config", None)
    if isinstance(value, type) or not isinstance(config, Mapping):
        raise TypeError(f"`scheduler` must be a scheduler or a name, not {value!r}")
    return find_class(type(value).__name__).with_values(config)
