"""The calls of one pipeline that run at once, on several threads or within each other's callbacks."""

from __future__ import annotations

import threading
from typing import List, Optional


class Call:
    """What is known of one call while its callbacks run."""

    def __init__(self) -> None:
        self.interrupted = False
        self.steps = 0
        self._thread = threading.get_ident()

    def is_of_this_thread(self) -> bool:
        return self._thread == threading.get_ident()


class Calls:
    """Callbacks are called on the thread that calls the pipeline, so the thread tells which call is meant."""

    def __init__(self) -> None:
        self._running: List[Call] = []
        self._last = Call()

    def begin(self) -> Call:
        call = Call()
        self._running.append(call)
        return call

    def end(self, call: Call) -> None:
        self._running.remove(call)
        self._last = call

    def current(self) -> Call:
        """This thread's call, else the one that began last, else the one that ended last."""
        return self._of_this_thread() or next(iter(reversed(list(self._running))), self._last)

    def interrupt(self, value: bool) -> None:
        """Of this thread's call; from any other thread, of all that run."""
        mine = self._of_this_thread()
        for call in [mine] if mine else list(self._running) or [self._last]:
            call.interrupted = value

    def _of_this_thread(self) -> Optional[Call]:
        mine = [call for call in list(self._running) if call.is_of_this_thread()]
        return mine[-1] if mine else None
