"""The pipeline's methods for LoRAs."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Union

from .adapters import Adapters, find_lora
from .arguments import number, refuse_unless_default
from .places import PathLike

_COMPONENTS = ["unet", "text_encoder"]


class LoraMethods:
    """diffusers' methods, on the networks of text and picture together."""

    _adapters: Adapters

    def load_lora_weights(
        self,
        pretrained_model_name_or_path_or_dict: PathLike,
        adapter_name: Optional[str] = None,
        *,
        weight_name: Optional[str] = None,
        subfolder: Optional[str] = None,
        revision: Optional[str] = None,
        cache_dir: Optional[PathLike] = None,
        local_files_only: bool = False,
        use_safetensors: Optional[bool] = None,
        **unknown: Any,
    ) -> None:
        """Adds a LoRA: a file, a folder (`weight_name` if it holds several), or a repository on this machine. It is
        read by the calls. With more than one, set_adapters() says which act.

        `local_files_only` and `use_safetensors` change nothing: nothing is downloaded, no file can run code."""
        for name in unknown:
            raise TypeError(f"load_lora_weights: `{name}` is not supported")
        file = find_lora(pretrained_model_name_or_path_or_dict, weight_name, subfolder, revision, cache_dir)
        self._adapters.load(file.absolute(), adapter_name)

    def unload_lora_weights(self) -> None:
        """Removes all LoRAs but those that were fused."""
        self._adapters.unload()

    def set_adapters(
        self, adapter_names: Union[str, Sequence[str]], adapter_weights: Union[None, float, Sequence[float]] = None
    ) -> None:
        """Which LoRAs act, and how strongly (1)."""
        self._adapters.choose(adapter_names, adapter_weights)

    def delete_adapters(self, adapter_names: Union[str, Sequence[str]]) -> None:
        """Removes LoRAs by name."""
        self._adapters.delete(adapter_names)

    def disable_lora(self) -> None:
        """Draws without those that are not fused."""
        self._adapters.enable(False)

    def enable_lora(self) -> None:
        """The opposite of disable_lora."""
        self._adapters.enable(True)

    def get_active_adapters(self) -> List[str]:
        return self._adapters.active()

    def get_list_adapters(self) -> Dict[str, List[str]]:
        return {component: self._adapters.loaded() for component in _COMPONENTS}

    def fuse_lora(
        self,
        components: Optional[List[str]] = None,
        lora_scale: float = 1.0,
        safe_fusing: bool = False,
        adapter_names: Optional[Sequence[str]] = None,
    ) -> None:
        """Fixes the weight of the LoRAs that act, or of those named, times `lora_scale`: later scales and
        unload_lora_weights() leave them. The model's weights are not changed, so unfuse_lora() loses nothing."""
        _check_components(components)
        refuse_unless_default("fuse_lora", {"safe_fusing": (safe_fusing, False)})
        self._adapters.fuse(number("lora_scale", lora_scale), adapter_names)

    def unfuse_lora(self, components: Optional[List[str]] = None) -> None:
        """The opposite of fuse_lora."""
        _check_components(components)
        self._adapters.unfuse()

    @property
    def fused_loras(self) -> List[str]:
        return self._adapters.fused()


def _check_components(components: Optional[Sequence[str]]) -> None:
    if components is not None and sorted(components) != sorted(_COMPONENTS):
        raise ValueError(f"`components`: a LoRA acts on {' and '.join(_COMPONENTS)} together, not on {components}")
