"""The bar of a running call, on standard error where that is a terminal."""

from __future__ import annotations

import sys
import time
from typing import Any, Dict

_WIDTH = 30


class Progress:
    """Shows how many steps are done and how long the rest will take."""

    def __init__(self, disable: bool = False, desc: str = "", leave: bool = True) -> None:
        self._shown = not disable and sys.stderr is not None and sys.stderr.isatty()
        self._label = f"{desc}: " if desc else ""
        self._leave = leave
        self._begin = time.monotonic()

    def update(self, done: int, steps: int) -> None:
        if not self._shown:
            return
        if done == 0:
            self._begin = time.monotonic()
        full = _WIDTH * done // max(steps, 1)
        rest = ""
        if done > 0:
            each = (time.monotonic() - self._begin) / done
            rest = f" {each:.2f} s/step, {each * (steps - done):.0f} s left"
        bar = "#" * full + "." * (_WIDTH - full)
        sys.stderr.write(f"\r{self._label}[{bar}] {done}/{steps}{rest}\x1b[K")
        sys.stderr.flush()

    def close(self) -> None:
        if self._shown:
            sys.stderr.write("\n" if self._leave else "\r\x1b[K")
            sys.stderr.flush()


def check_options(options: Dict[str, Any]) -> Dict[str, Any]:
    """The options of set_progress_bar_config that are known: disable, desc, leave."""
    for name in options:
        if name not in ("disable", "desc", "leave"):
            raise TypeError(f"set_progress_bar_config: `{name}` is not supported; disable, desc and leave are")
    return dict(options)
