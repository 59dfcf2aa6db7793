"""A lock of the whole process that survives a fork."""

from __future__ import annotations

import os
import threading
from typing import Any


class ProcessLock:
    """A threading.Lock for a module, made anew in a forked child: a thread that held it is not there to let it go."""

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        lock = self._lock
        lock.acquire()
        self._held = lock  # what a child forked meanwhile releases, too

    def __exit__(self, *_: Any) -> None:
        self._held.release()
