"""Warnings that point at the line of the caller's program."""

from __future__ import annotations

import sys
import warnings


def tell(sentence: str) -> None:
    """Warns; the place shown is the first one up the stack that is outside of the package."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(sentence, stacklevel=level)
