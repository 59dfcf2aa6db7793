"""One job: run on a thread of its own, so that Ctrl-C and the caller's callbacks stay on the caller's thread."""

from __future__ import annotations

import ctypes
import json
import queue
import threading
import weakref
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from .engine import Model, _Handle
from .library import CCallbacks, CImage, PictureCallback, PreviewCallback, StepCallback, WarningCallback, to_json


class Picture(NamedTuple):
    """A finished picture: RGB, and what the library tells about it (prompt, seed, parameters, …)."""

    width: int
    height: int
    pixels: bytes
    info: Dict[str, Any]


def _copy_pixels(image: CImage) -> bytes:
    row = 3 * image.width
    address = ctypes.cast(image.pixels, ctypes.c_void_p).value or 0
    if image.stride == row:
        return ctypes.string_at(address, row * image.height)
    return b"".join(ctypes.string_at(address + y * image.stride, row) for y in range(image.height))


# A signal that comes just before a wait does not end it, so no wait is longer than this.
_POLL_SECONDS = 0.25


def _join(thread: threading.Thread) -> None:
    while thread.is_alive():  # one whose start was interrupted is not, yet; its job is cancelled before it runs
        thread.join(_POLL_SECONDS)


def _guarded(job_reference: "weakref.ref[Job]", method: str, *arguments: Any) -> int:
    """Calls the job's method from the library, through which no exception may pass."""
    job = job_reference()
    if job is None:
        return 1
    try:
        return getattr(job, method)(*arguments)
    except BaseException as error:
        job._failure = error
        return 1


class Job(_Handle):
    """A checked request.

    `on_step(done, steps)` returns whether to go on; `on_warning(sentence)`. Both are called on the thread that calls
    run(), and what they raise ends the job and is raised by run().
    """

    def __init__(
        self,
        model: Model,
        request: Dict[str, Any],
        on_step: Callable[[int, int], bool],
        on_warning: Callable[[str], None],
    ) -> None:
        lib = model.library
        self._on_step, self._on_warning = on_step, on_warning
        self._pictures: List[Picture] = []
        self._events: "queue.SimpleQueue[tuple]" = queue.SimpleQueue()
        self._answers: "queue.SimpleQueue[int]" = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._failure: Optional[BaseException] = None
        this = weakref.ref(self)  # a reference from the callbacks would keep the job for ever; run() has one
        self._callbacks = CCallbacks(
            size=ctypes.sizeof(CCallbacks),
            step=StepCallback(lambda _, step: _guarded(this, "_step", step)),
            preview=PreviewCallback(0),  # none
            picture=PictureCallback(lambda _, image, info: _guarded(this, "_picture", image, info)),
            warning=WarningCallback(lambda _, sentence: _guarded(this, "_warning", sentence)),
        )
        handle = lib.create(
            lib.functions.sumi_job_create, model.handle, to_json(request), ctypes.byref(self._callbacks), None
        )
        super().__init__(lib, handle, lib.functions.sumi_job_free)
        self.model = model
        self.settings: Dict[str, Any] = lib.read_json(lib.functions.sumi_job_describe, self.handle)

    # What the library calls, on the job's thread. They return 0 to go on.
    def _step(self, step: Any) -> int:
        if self._stopped.is_set():
            return 1
        self._events.put(("step", step.contents.done, step.contents.steps))
        return self._answers.get()

    def _picture(self, image: Any, info: bytes) -> int:
        picture = image.contents
        self._pictures.append(Picture(picture.width, picture.height, _copy_pixels(picture), json.loads(info.decode())))
        return 0

    def _warning(self, sentence: bytes) -> int:
        self._events.put(("warning", sentence.decode("utf-8", "replace")))
        return 0

    def _work(self) -> None:
        lib = self.library
        status = lib.functions.sumi_job_run(self.handle)
        if status != 0 and self._failure is None:
            self._failure = lib.error(status)
        self._events.put(("end",))

    def _serve(self) -> None:
        """Answers the job's thread until it ends."""
        while True:
            try:
                event = self._events.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if event[0] == "end":
                return
            if event[0] == "step":
                self._answers.put(0 if self._on_step(event[1], event[2]) else 1)
            else:
                self._on_warning(event[1])

    def stop(self) -> None:
        """Cancels the job; the thread that waits for an answer gets one."""
        self._stopped.set()
        self._answers.put(1)
        self.library.functions.sumi_job_cancel(self.handle)

    def run(self) -> List[Picture]:
        """The pictures. Raises Error, what a callback raised, or KeyboardInterrupt once the job has stopped; a second
        Ctrl-C does not wait for that."""
        thread = threading.Thread(target=self._work, name="sumi", daemon=True)
        try:
            thread.start()
            self._serve()
        except BaseException:
            self.stop()
            _join(thread)
            raise
        _join(thread)
        if self._failure is not None:
            raise self._failure
        return self._pictures
