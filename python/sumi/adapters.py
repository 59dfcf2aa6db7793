"""Which LoRAs act, and how strongly: diffusers' adapters as the files and weights of a request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

from .errors import DATA, NO_INPUT, Error
from .places import PathLike, find_folder, is_repository_name

_USUAL_NAMES = ("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin")


def find_lora(
    name: PathLike,
    weight_name: Optional[str] = None,
    subfolder: Optional[str] = None,
    revision: Optional[str] = None,
    cache_dir: Optional[PathLike] = None,
) -> Path:
    """A LoRA's file: by path, in a folder, or in a repository of the hub that is on this machine."""
    if isinstance(name, dict):
        raise TypeError("load_lora_weights takes the path of a file or folder, not a dictionary of tensors")
    if not os.fspath(name):
        raise Error(NO_INPUT, "the LoRA's name is empty; it is a file, a folder or a name on the hub (owner/name)")
    path = Path(name)
    if os.path.exists(path) or is_repository_name(str(name)):
        path = find_folder(name, revision, cache_dir)
    if os.path.isfile(path):
        for argument, value in (("weight_name", weight_name), ("subfolder", subfolder)):
            if value is not None:
                raise ValueError(f"`{argument}` is {value!r}, but {path} is a file; leave it out or name the folder")
        return path
    if subfolder:
        path = path / subfolder
    if weight_name:
        path = path / weight_name
        if os.path.isfile(path):
            return path
    if not os.path.isdir(path):
        raise Error(NO_INPUT, f"{path}: no such file; a LoRA is a file, a folder or a name on the hub (owner/name)")
    for usual in _USUAL_NAMES:
        if (path / usual).is_file():
            return path / usual
    files = sorted(file.name for file in path.glob("*.safetensors"))
    if not files:
        raise Error(NO_INPUT, f"{path}: holds no LoRA (*.safetensors)")
    if len(files) > 1:
        raise Error(DATA, f"{path}: holds {', '.join(files)}; name one with `weight_name`")
    return path / files[0]


class Adapters:
    """The LoRAs that were loaded, which of them act, and those that were fused."""

    def __init__(self) -> None:
        self._files: Dict[str, Path] = {}
        self._active: Optional[Dict[str, float]] = {}  # name: weight; None: to be chosen with set_adapters
        self._enabled = True
        self._fused: Dict[str, float] = {}
        self._fused_files: Dict[str, Path] = {}

    def load(self, file: Path, name: Optional[str]) -> None:
        if name is None:
            name = next(n for n in (f"default_{i}" for i in range(len(self._files) + 1)) if n not in self._files)
        if name in self._files:
            raise ValueError(
                f"`adapter_name`: {name!r} is taken; unload_lora_weights() or delete_adapters({name!r}) it"
            )
        self._files[name] = file
        # With several, which of them act depends on the version of diffusers.
        self._active = {name: 1.0} if len(self._files) == 1 else None

    def choose(self, names: Union[str, Sequence[str]], weights: Union[None, float, Sequence[Any]]) -> None:
        names = [names] if isinstance(names, str) else list(names)
        self._check(names)
        values: List[Any] = list(weights) if isinstance(weights, (list, tuple)) else [weights] * len(names)
        if len(values) != len(names):
            raise ValueError(f"`adapter_weights` has {len(values)} entries for {len(names)} adapters")
        if any(isinstance(value, dict) for value in values):
            raise ValueError("`adapter_weights`: one number per adapter; weights of single blocks are not supported")
        self._active = {n: 1.0 if value is None else float(value) for n, value in zip(names, values)}

    def delete(self, names: Union[str, Sequence[str]]) -> None:
        names = [names] if isinstance(names, str) else list(names)
        self._check(names)
        for name in names:
            del self._files[name]
            if self._active is not None:
                self._active.pop(name, None)
        if self._active is None and len(self._files) < 2:
            self._active = {name: 1.0 for name in self._files}

    def unload(self) -> None:
        """Forgets all but the fused ones."""
        self._files.clear()
        self._active = {}

    def enable(self, enabled: bool) -> None:
        self._enabled = enabled

    def fuse(self, scale: float, names: Optional[Sequence[str]]) -> None:
        active = self._chosen()
        if names is not None:
            self._check(list(names))
            active = {name: active.get(name, 1.0) for name in names}
        if not active:
            raise ValueError("fuse_lora: no adapter is active")
        for name, weight in active.items():
            if name in self._fused:
                raise ValueError(f"fuse_lora: {name!r} is fused already; unfuse_lora() first")
            self._fused[name] = weight * float(scale)
            self._fused_files[name] = self._files[name]

    def unfuse(self) -> None:
        self._fused.clear()
        self._fused_files.clear()

    def active(self) -> List[str]:
        return list(self._active or {})

    def loaded(self) -> List[str]:
        return list(self._files)

    def fused(self) -> List[str]:
        return list(self._fused)

    def request(self, scale: float) -> List[Dict[str, Any]]:
        """The `loras` of a request; `scale` acts on those that are not fused."""
        loras = [{"file": str(self._fused_files[name]), "weight": weight} for name, weight in self._fused.items()]
        if self._enabled:
            loras += [
                {"file": str(self._files[name]), "weight": weight * scale}
                for name, weight in self._chosen().items()
                if self._fused_files.get(name) != self._files[name]
            ]
        return loras

    def _chosen(self) -> Dict[str, float]:
        if self._active is None:
            raise ValueError(f"{len(self._files)} LoRAs are loaded; choose with set_adapters({list(self._files)})")
        return self._active

    def _check(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._files:
                raise ValueError(f"there is no adapter {name!r}; loaded are: {', '.join(self._files) or 'none'}")
