"""Seeds, in the shape of torch's random generators."""

from __future__ import annotations

import operator
import secrets
import sys
from typing import Any, List, NamedTuple, Optional

_SEED_RANGE = 1 << 64
_TORCH_DEFAULT_SEED = 67280421310721  # of a torch.Generator that was not seeded


class Device(str):
    """A device's name that, like torch.device, has a `type`: Device("cuda:0").type is "cuda"."""

    @property
    def type(self) -> str:
        return self.partition(":")[0]


class Generator:
    """A seed for one call of a pipeline: the pictures are those of a torch.Generator with this seed on this device.

    Only seeds reach the library: a second call needs `manual_seed` (or `seed`) again and is refused without it, where
    torch's generator would go on from where the first call left it.
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device = Device(device)
        _rng_of(self)
        self._seed = _TORCH_DEFAULT_SEED
        self._used = False

    def manual_seed(self, seed: int) -> "Generator":
        """Sets the seed, from -2^63 to 2^64-1 (negative ones count from 2^64); returns the generator."""
        try:
            seed = operator.index(seed)
        except TypeError:
            raise TypeError(f"a seed must be a whole number, not {seed!r}") from None
        if not -(_SEED_RANGE // 2) <= seed < _SEED_RANGE:
            raise ValueError(f"a seed is from -2^63 to 2^64-1, not {seed}")
        self._seed = seed % _SEED_RANGE
        self._used = False
        return self

    def seed(self) -> int:
        """Sets a random seed and returns it."""
        return self.manual_seed(secrets.randbits(64)).initial_seed()

    def initial_seed(self) -> int:
        """The seed."""
        return self._seed

    def __repr__(self) -> str:
        return f"<sumi.Generator device={str(self.device)!r} seed={self._seed}>"


class Noise(NamedTuple):
    """What a request says about random numbers; nothing is said where a field is None."""

    seed: Optional[int] = None
    seeds: Optional[List[int]] = None
    seeding: Optional[str] = None
    rng: Optional[str] = None


def _rng_of(generator: Any) -> str:
    device = Device(generator.device).type
    if device not in ("cpu", "cuda"):
        raise ValueError(f"`generator`: random numbers are those of torch on the cpu or on cuda, not on {device!r}")
    return device


def _is_fresh(generator: Any) -> bool:
    """Whether nothing was drawn since the generator was seeded."""
    if isinstance(generator, Generator):
        return not generator._used
    twin = type(generator)(device=generator.device)
    twin.manual_seed(generator.initial_seed())
    return bool(twin.get_state().equal(generator.get_state()))


def _check(generator: Any) -> None:
    needed = ("initial_seed", "manual_seed", "device") + (() if isinstance(generator, Generator) else ("get_state",))
    if not all(hasattr(generator, name) for name in needed):
        raise TypeError(
            f"`generator` must be a sumi.Generator, a torch.Generator or a list of them, not {type(generator).__name__}"
        )
    if not _is_fresh(generator):
        raise ValueError(
            "`generator` was used before, and its state cannot be continued: call manual_seed(n) before each call"
        )


def read_generators(generator: Any, pictures: int) -> Noise:
    """The seeds of a call that draws `pictures` pictures.

    One generator draws the noise of all pictures, as in diffusers. Of a list each draws one picture's.
    """
    if generator is None:
        return Noise()
    if not isinstance(generator, (list, tuple)):
        _check(generator)
        return Noise(seed=generator.initial_seed() % _SEED_RANGE, seeding="run", rng=_rng_of(generator))
    if len(generator) != pictures:
        raise ValueError(f"`generator` is a list of {len(generator)} for {pictures} pictures; each needs one")
    for one in generator:
        _check(one)
    if len({id(one) for one in generator}) != len(generator):
        raise ValueError("`generator` lists one generator twice; each picture needs its own")
    devices = {_rng_of(one) for one in generator}
    if len(devices) > 1:
        raise ValueError("`generator` lists generators of the cpu and of cuda; all must be of one device")
    seeds = [one.initial_seed() % _SEED_RANGE for one in generator]
    return Noise(seeds=seeds, seeding="picture", rng=devices.pop())


def mark_used(generator: Any) -> None:
    """Makes a second use without a new seed recognisable: torch's generators are moved on by one number."""
    for one in generator if isinstance(generator, (list, tuple)) else [generator]:
        if isinstance(one, Generator):
            one._used = True
        elif one is not None:
            torch = sys.modules[type(one).__module__.partition(".")[0]]
            torch.rand(1, generator=one, device=one.device)
