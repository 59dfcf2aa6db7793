"""What a pipeline's `scheduler` is: a sampler and a schedule, by sumi's names or by a configuration of diffusers'.

A scheduler here computes nothing. One with diffusers' name says which sampler and which schedule draw as diffusers'
scheduler does with the same arguments, defaults included; a value that sumi cannot do is refused when it is used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Mapping, Optional, Tuple

from .errors import DATA, NO_INPUT, Error
from .places import PathLike, find_folder

# The forward process; None in a configuration: the model's.
NOISE = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")
# What the pipeline of diffusers corrects in the scheduler it is made with.
_CORRECTED = {"steps_offset": 1, "clip_sample": False}


class Config(Dict[str, Any]):
    """A scheduler's configuration: a dictionary whose entries are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the configuration has no {name!r}") from None


class Scheduler:
    """A sampler of sumi and a schedule; without one, the sampler's own."""

    def __init__(
        self, sampler: str, schedule: Optional[str] = None, config: Optional[Mapping[str, Any]] = None
    ) -> None:
        self._sampler_and_schedule = (sampler, schedule or None)
        self.config = Config(config or {})

    def resolve(self) -> Tuple[str, Optional[str]]:
        """Sampler and schedule; raises ValueError for what sumi cannot do."""
        return self._sampler_and_schedule

    @property
    def sampler(self) -> str:
        return self.resolve()[0]

    @property
    def schedule(self) -> Optional[str]:
        return self.resolve()[1]

    def request(self) -> Dict[str, str]:
        """The fields of a request."""
        sampler, schedule = self.resolve()
        return {"sampler": sampler, **({"schedule": schedule} if schedule else {})}

    def check_model(self, noise: Optional[Mapping[str, Any]], prediction: str) -> None:
        """Raises ValueError if the configuration belongs to another model than one with this forward process (None:
        unknown) and prediction ("epsilon", "v_prediction", "sample")."""

    def corrected(self) -> "Scheduler":
        """The scheduler with what a pipeline of diffusers corrects when it is made: steps_offset 1, no clip_sample."""
        return self

    def __repr__(self) -> str:
        try:
            name = " ".join(self.request().values())
        except ValueError as error:
            name = f"unsupported: {error}"
        return f"<{type(self).__name__} {name}>"


class UnsupportedScheduler(Scheduler):
    """A model's own scheduler, of a class that sumi does not have; drawing needs another one."""

    def __init__(self, config: Mapping[str, Any], reason: str) -> None:
        super().__init__("", None, config)
        self._reason = reason

    def resolve(self) -> Tuple[str, Optional[str]]:
        raise ValueError(self._reason)


def _equal(a: Any, b: Any) -> bool:
    try:
        return a is b or bool(a == b)
    except ValueError:  # an array's comparison is an array
        return False


class DiffusersScheduler(Scheduler):
    """What the classes by diffusers' names have in common. They take diffusers' arguments, as keywords."""

    _sampler: ClassVar[str]
    _betas: ClassVar[Tuple[float, float, str]] = (0.0001, 0.02, "linear")  # defaults: start, end, schedule
    _spacing: ClassVar[str] = "linspace"  # default
    _spacings: ClassVar[Tuple[str, ...]] = ("leading", "trailing", "linspace")
    _takes_sigmas: ClassVar[bool] = False  # use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas
    _solver: ClassVar[bool] = False  # DPM-Solver and UniPC, whose Karras grid spans all of the model's noise levels
    _fixed: ClassVar[Dict[str, Any]] = {}  # the only value that sumi can do
    _other_defaults: ClassVar[Dict[str, Any]] = {}  # where diffusers' default is not that value
    _free: ClassVar[Dict[str, Any]] = {}  # without effect where the fixed ones have their values

    def __init__(self, **arguments: Any) -> None:
        defaults = self._defaults()
        for name in arguments:
            if name not in defaults:
                raise TypeError(
                    f"{type(self).__name__}: there is no argument `{name}`; there are {', '.join(defaults)}"
                )
        config: Dict[str, Any] = {**defaults, **arguments, "_class_name": type(self).__name__}
        config["_use_default_values"] = [name for name in defaults if name not in arguments]
        super().__init__("", None, config)

    @classmethod
    def _defaults(cls) -> Dict[str, Any]:
        defaults: Dict[str, Any] = dict(zip(NOISE, (1000, *cls._betas)))
        defaults.update(trained_betas=None, prediction_type="epsilon", timestep_spacing=cls._spacing, steps_offset=0)
        if cls._takes_sigmas:
            defaults.update(use_karras_sigmas=False, use_exponential_sigmas=False, use_beta_sigmas=False)
        return {**defaults, **cls._fixed, **cls._free, **cls._other_defaults}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], **arguments: Any) -> "DiffusersScheduler":
        """The scheduler with the arguments of another one's `config` that this class has, except those that were that
        one's defaults; keyword arguments replace them."""
        known, defaulted = cls._defaults(), config.get("_use_default_values") or []
        taken = {name: value for name, value in config.items() if name in known and name not in defaulted}
        scheduler = cls(**{**taken, **arguments})
        hidden = {n: v for n, v in config.items() if n not in scheduler.config and n not in defaulted}
        scheduler.config.update(hidden)  # for the next class
        return scheduler

    @classmethod
    def from_pretrained(cls, name: PathLike, subfolder: Optional[str] = None, **arguments: Any) -> "DiffusersScheduler":
        """The scheduler with the configuration in a model's folder (subfolder="scheduler") or repository on this
        machine. Takes `revision` and `cache_dir`, too."""
        revision, cache_dir = arguments.pop("revision", None), arguments.pop("cache_dir", None)
        folder = find_folder(name, revision, cache_dir)
        return cls.from_config(read_config(folder / subfolder if subfolder else folder), **arguments)

    @classmethod
    def with_values(cls, config: Mapping[str, Any], **arguments: Any) -> "DiffusersScheduler":
        """The scheduler with all values of another one's `config`, those that were that one's defaults included: these
        are used, but remain defaults for the class that comes next."""
        scheduler = cls.from_config({**config, "_use_default_values": None}, **arguments)
        defaulted = set(config.get("_use_default_values") or []) | set(scheduler.config["_use_default_values"])
        scheduler.config["_use_default_values"] = sorted(defaulted.difference(arguments))
        return scheduler

    def corrected(self) -> "DiffusersScheduler":
        changed = {name: value for name, value in _CORRECTED.items() if name in self._defaults()}
        return self.with_values(self.config, **changed)

    def check_model(self, noise: Optional[Mapping[str, Any]], prediction: str) -> None:
        for name in NOISE:
            value = self.config[name]
            if value is None:
                continue
            if noise is None:
                raise ValueError(f"{self._told(name)}, but the model has a configuration of its own; {_FROM_CONFIG}")
            if not _equal(value, noise[name]):
                raise ValueError(f"{self._told(name)}, but the model was trained with {noise[name]!r}; {_FROM_CONFIG}")
        if self.config["prediction_type"] not in (None, prediction):
            raise ValueError(
                f"{self._told('prediction_type')}, but the model was opened as {prediction!r}: {_FROM_CONFIG}, or give "
                "`prediction_type` to from_pretrained or from_single_file"
            )

    def resolve(self) -> Tuple[str, Optional[str]]:
        for name, value in {"trained_betas": None, **self._fixed}.items():
            if not _equal(self.config[name], value):
                self._refuse(name, f"{value!r} is")
        return self._find_sampler(), self._find_schedule()

    def _find_sampler(self) -> str:
        return self._sampler

    def _find_schedule(self) -> Optional[str]:
        spacing = self.config["timestep_spacing"]
        if spacing not in self._spacings:
            self._refuse("timestep_spacing", f"{' and '.join(self._spacings)} are")
        kind = self._sigmas()
        if kind and not self._solver and spacing != "linspace":
            self._refuse("timestep_spacing", f"together with use_{kind}_sigmas 'linspace' is")
        if kind == "karras" and self._solver:
            return "linspace_karras"
        if kind:
            return kind
        if spacing == "leading" and self.config["steps_offset"] != 1:
            self._refuse("steps_offset", "1, Stable Diffusion's, is")
        return spacing

    def _sigmas(self) -> Optional[str]:
        """ "karras", "exponential" or None, by the use_…_sigmas arguments."""
        if not self._takes_sigmas:
            return None
        chosen = [kind for kind in ("karras", "exponential", "beta") if self.config[f"use_{kind}_sigmas"]]
        if len(chosen) > 1:
            self._refuse(f"use_{chosen[1]}_sigmas", f"not together with use_{chosen[0]}_sigmas")
        if chosen == ["beta"] or (chosen == ["exponential"] and self._solver):
            self._refuse(f"use_{chosen[0]}_sigmas", "use_karras_sigmas is")
        if self._solver and chosen and self.config["beta_schedule"] == "squaredcos_cap_v2":
            self._refuse("use_karras_sigmas", "on this beta_schedule it is not")
        return chosen[0] if chosen else None

    def _told(self, name: str) -> str:
        value = "-inf" if self.config[name] == -float("inf") else repr(self.config[name])
        default = ", diffusers' default," if name in self.config["_use_default_values"] else ""
        return f"{type(self).__name__}: {name}={value}{default}"

    def _refuse(self, name: str, way_out: str) -> None:
        raise ValueError(f"{self._told(name)} is not something that sumi can do; {way_out}")


_FROM_CONFIG = "make it with from_config(pipe.scheduler.config)"


def read_config(folder: Path) -> Dict[str, Any]:
    """scheduler_config.json in a folder."""
    file = folder / "scheduler_config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Error(NO_INPUT, f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise Error(DATA, f"{file}: is not JSON") from None
    if not isinstance(config, dict):
        raise Error(DATA, f"{file}: is not a JSON object")
    return config


def _find(entries: List[Dict[str, Any]], name: str) -> Optional[str]:
    for entry in entries:
        if name.lower() in [entry["name"].lower(), *(alias.lower() for alias in entry["aliases"])]:
            return entry["name"]
    return None


def scheduler_by_name(name: str, samplers: List[Dict[str, Any]], schedules: List[Dict[str, Any]]) -> Scheduler:
    """A sampler by a name of the library ("euler_a", "DPM++ 2M"), with a schedule's behind it or not ("… Karras")."""
    sampler = _find(samplers, name)
    if sampler is not None:
        return Scheduler(sampler)
    first, _, last = name.rpartition(" ")
    sampler, schedule = _find(samplers, first), _find(schedules, last)
    if sampler is None or schedule is None:
        known = ", ".join(entry["name"] for entry in samplers)
        raise ValueError(f"there is no sampler {name!r}; choose from {known}, or name a class of diffusers")
    return Scheduler(sampler, schedule)
