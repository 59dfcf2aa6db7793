"""Where models are on this machine. Nothing is ever downloaded."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import List, Optional, Union

from .errors import DATA, NO_INPUT, Error
from .tell import tell

PathLike = Union[str, "os.PathLike[str]"]

_PART = r"(?!\.)(?:(?!\.\.)[A-Za-z0-9_.-]){1,96}"
_REPOSITORY = re.compile(f"{_PART}/{_PART}")
_MODEL_FILES = (".safetensors", ".ckpt", ".pt")


def _environment(name: str) -> Optional[Path]:
    value = os.environ.get(name)
    return Path(value) if value else None


def _below_home(*parts: str) -> Optional[Path]:
    home = _environment("HOME")
    return home.joinpath(*parts) if home else None


def data_folder() -> Optional[Path]:
    """sumi's data folder: $SUMI_HOME, $XDG_DATA_HOME/sumi or ~/.local/share/sumi, as for the command line."""
    shared = _environment("XDG_DATA_HOME")
    return _environment("SUMI_HOME") or (shared / "sumi" if shared else _below_home(".local", "share", "sumi"))


def hub_cache() -> Optional[Path]:
    """Hugging Face's cache: $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub."""
    home = _environment("HF_HOME")
    cache = home / "hub" if home else _below_home(".cache", "huggingface", "hub")
    return _environment("HF_HUB_CACHE") or cache


def is_repository_name(name: str) -> bool:
    """Whether the text is the name of a repository on the hub: "owner/name"."""
    return _REPOSITORY.fullmatch(name) is not None


def _without_revision(path: Path, revision: Optional[str]) -> Path:
    """The path, which has one version; a warning if another may have been asked for."""
    if revision is not None:
        tell(f"{path}: revision {revision!r} was not applied; only Hugging Face's cache tells revisions apart")
    return path


def _snapshot(cache: Path, name: str, revision: str) -> Optional[Path]:
    repository = cache / ("models--" + name.replace("/", "--"))
    if ".." in revision.split("/"):
        return None
    try:
        commit = (repository / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        commit = revision  # a commit may be named itself
    snapshot = repository / "snapshots" / commit
    return snapshot if commit and "/" not in commit and snapshot.is_dir() else None


def find_repository(name: str, revision: Optional[str] = None, cache_dir: Optional[PathLike] = None) -> Path:
    """The folder of "owner/name": in Hugging Face's cache if `revision` is given and is there, else in sumi's data
    folder (which records no revision: a warning, if one is given), else in the cache. Raises Error(no_input) that says
    how to fetch it."""
    cache = Path(cache_dir) if cache_dir is not None else hub_cache()
    data = data_folder()
    pulled = data / "models" / name.replace("/", "--") if data else None
    cached = _snapshot(cache, name, revision or "main") if cache else None
    if cached and (revision is not None or not (pulled and pulled.is_dir())):
        return cached
    if pulled and pulled.is_dir():
        return _without_revision(pulled, revision)
    looked = ", ".join(str(place) for place in (pulled, cache) if place) or "any known place"
    of = f" at revision {revision}" if revision else ""
    option = f" --revision {revision}" if revision else ""
    raise Error(NO_INPUT, f"{name}{of} is not in {looked}; fetch it with `sumi pull {name}{option}`")


def model_in(folder: Path) -> Path:
    """The model in a folder: the folder itself if it has a model_index.json, else its one checkpoint."""
    if (folder / "model_index.json").exists():
        return folder
    files = sorted(file.name for file in folder.iterdir() if file.suffix in _MODEL_FILES)
    if len(files) == 1:
        return folder / files[0]
    if not files:
        raise Error(NO_INPUT, f"{folder}: holds neither a model_index.json nor a checkpoint")
    raise Error(DATA, f"{folder}: holds several checkpoints ({', '.join(files)}); open one with from_single_file")


def find_folder(name: PathLike, revision: Optional[str] = None, cache_dir: Optional[PathLike] = None) -> Path:
    """What is at a path, else the folder of a repository."""
    if os.path.exists(name):
        return _without_revision(Path(name), revision)
    return find_repository(os.fspath(name), revision, cache_dir)


def find_model(name: PathLike, revision: Optional[str] = None, cache_dir: Optional[PathLike] = None) -> Path:
    """A model by path, or by its name on the hub."""
    if os.path.exists(name):
        path = _without_revision(Path(name), revision)
        return model_in(path) if path.is_dir() else path
    if not is_repository_name(os.fspath(name)):
        raise Error(NO_INPUT, f"{os.fspath(name)}: no such file or folder, and not a name on the hub (owner/name)")
    return model_in(find_repository(os.fspath(name), revision, cache_dir))


def find_file(name: PathLike, revision: Optional[str] = None, cache_dir: Optional[PathLike] = None) -> Path:
    """A model file by path, by "owner/name/file" or by its address on the hub ("https://…/owner/name/blob/main/file"),
    which is looked up on this machine only."""
    if os.path.exists(name):
        return _without_revision(Path(name), revision)
    text = os.fspath(name)
    address = re.match(r"^https?://[^/]+/([^/]+/[^/]+)/(?:blob|resolve|raw)/([^/]+)/(.+)$", text)
    if address:
        repository, revision, inner = address[1], revision or address[2], address[3]
        revision = None if revision == "main" else revision
    elif "://" in text:
        raise Error(NO_INPUT, f"{text}: nothing is downloaded; give the path of a file")
    else:
        parts: List[str] = text.split("/")
        repository, inner = "/".join(parts[:2]), "/".join(parts[2:])
    if not inner or not is_repository_name(repository) or ".." in inner.split("/"):
        raise Error(NO_INPUT, f"{text}: no such file")
    file = find_repository(repository, revision, cache_dir) / inner
    if not file.exists():
        raise Error(NO_INPUT, f"{file}: no such file; fetch it with `sumi pull {repository}`")
    return file
