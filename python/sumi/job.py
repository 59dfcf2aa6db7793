"""One job: run on a thread of its own, so that Ctrl-C and the caller's callbacks stay on the caller's thread."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import queue
import threading
import time
import weakref
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set

from .engine import Model, _Handle
from .errors import CANCELLED, Error
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
# How long the end of the interpreter waits for jobs to stop; they do within a step.
_EXIT_SECONDS = 30.0

# Jobs whose threads may be in the library. Single operations on a set need no lock.
_running: "Set[Job]" = set()
_exiting = threading.Event()


def _ending() -> Error:
    return Error(CANCELLED, "the interpreter is ending, which stops all calls; let them end before the program does")


def _stop_all() -> None:
    """Stops what daemon threads draw, or a second Ctrl-C left behind, before the interpreter ends: Python ends a thread
    that calls back after that in the middle of the library, which may end the process."""
    _exiting.set()
    try:
        running = list(_running)
        for job in running:
            job.stop()
        end = time.monotonic() + _EXIT_SECONDS
        for job in running:
            while not job._outside.wait(_POLL_SECONDS) and time.monotonic() < end:
                pass
    except KeyboardInterrupt:
        pass  # no longer waited for


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_running.clear)  # their threads are the parent's


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
        self._outside = threading.Event()  # while no thread is in the library for this job
        self._outside.set()
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

    def _work(self, handle: int) -> None:
        lib = self.library
        self._outside.clear()
        try:
            status = lib.functions.sumi_job_run(handle)
            if status != 0 and self._failure is None:
                self._failure = lib.error(status)
        finally:
            _running.discard(self)
            self._outside.set()
            self._events.put(("end",))

    def _serve(self) -> None:
        """Answers the job's thread until it ends."""
        while True:
            try:
                event = self._events.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                self.check_process()  # a callback may have forked
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

    def _wait(self, thread: threading.Thread) -> None:
        """Waits for the job's thread, unless its start was interrupted: then the job is cancelled before it runs."""
        while not self._outside.wait(_POLL_SECONDS):  # an interrupted join would call a thread ended that is not
            pass
        while thread.is_alive():
            thread.join(_POLL_SECONDS)

    def run(self) -> List[Picture]:
        """The pictures. Raises Error, what a callback raised, or KeyboardInterrupt once the job has stopped; a second
        Ctrl-C does not wait for that."""
        thread = threading.Thread(target=self._work, args=(self.handle,), name="sumi", daemon=True)
        try:
            _running.add(self)
            if _exiting.is_set():  # after _running has it: one of the two sees the other
                raise _ending()
            thread.start()
            self._serve()
        except BaseException:
            self.stop()
            self._wait(thread)
            _running.discard(self)
            raise
        self._wait(thread)
        if self._failure is not None:
            raise _ending() if _exiting.is_set() else self._failure
        return self._pictures
