"""A libsumi without networks, for what Python does around it: the C functions as Python ones, which record what they are
given, call the callbacks as the real ones do and count what is freed."""

from __future__ import annotations

import ctypes
import itertools
import json
import threading
from typing import Any, Callable, Dict, List, Optional

import sumi.engine
import sumi.library
from sumi.library import CImage, CStep, Library

SAMPLERS = [
    {"name": "ddim", "help": "", "aliases": ["DDIM"]},
    {"name": "euler_ancestral", "help": "", "aliases": ["Euler a", "euler_a"]},
    {"name": "dpmpp_2m", "help": "", "aliases": ["DPM++ 2M"]},
]
SCHEDULES = [{"name": "karras", "help": "", "aliases": []}, {"name": "discrete", "help": "", "aliases": ["normal"]}]


class Fake:
    """`run(job)` decides what a job does; the default takes its steps and gives its pictures."""

    def __init__(self, abi: int = 1) -> None:
        self.abi = abi
        self.models: List[Dict[str, Any]] = []
        self.engines: List[Dict[str, Any]] = []
        self.requests: List[Dict[str, Any]] = []
        self.freed: List[str] = []
        self.texts: Dict[int, Any] = {}
        self.info: Dict[str, Any] = {"prediction": "eps", "sampler": "", "schedule": "", "warnings": []}
        self.settings: Dict[str, Any] = {}
        self.run: Callable[["FakeJob"], int] = FakeJob.take_steps
        self.fail: Optional[tuple] = None  # (status, sentence) of the next call that can fail
        self.running_threads: List[int] = []
        self._message = threading.local()
        self._handles = itertools.count(1000)
        self._jobs: Dict[int, FakeJob] = {}
        for name in dir(self):
            if name.startswith("do_"):
                self._export(name[3:], getattr(self, name))

    def _export(self, name: str, method: Callable[..., Any]) -> None:
        def function(*arguments: Any) -> Any:  # a plain function takes the attributes restype and argtypes
            return method(*arguments)

        setattr(self, name, function)

    def refuse(self, status: int, sentence: str) -> int:
        self._message.text = sentence.encode()
        return status

    def _new(self, out: Any, text: Optional[str] = None) -> int:
        if self.fail is not None:
            failure, self.fail = self.fail, None
            return self.refuse(*failure)
        if text is None:
            out._obj.value = next(self._handles)
        else:
            buffer = ctypes.create_string_buffer(text.encode())
            out._obj.value = ctypes.addressof(buffer)
            self.texts[out._obj.value] = buffer
        return 0

    def do_sumi_abi_version(self) -> int:
        return self.abi

    def do_sumi_version(self) -> bytes:
        return b"0.1.0"

    def do_sumi_error_message(self) -> bytes:
        return getattr(self._message, "text", b"")

    def do_sumi_free(self, text: Any) -> None:
        del self.texts[text.value]

    def do_sumi_engine_create(self, options: bytes, out: Any) -> int:
        self.engines.append(json.loads(options))
        return self._new(out)

    def do_sumi_engine_free(self, handle: int) -> None:
        self.freed.append("engine")

    def do_sumi_list(self, what: bytes, out: Any) -> int:
        lists = {b"samplers": SAMPLERS, b"schedules": SCHEDULES, b"backends": [{"name": "cpu", "help": ""}]}
        return self._new(out, json.dumps(lists[what]))

    def do_sumi_model_open(self, engine: int, options: bytes, out: Any) -> int:
        self.models.append(json.loads(options))
        return self._new(out)

    def do_sumi_model_free(self, handle: int) -> None:
        self.freed.append("model")

    def do_sumi_model_describe(self, handle: int, out: Any) -> int:
        return self._new(out, json.dumps(self.info))

    def do_sumi_model_load(self, handle: int) -> int:
        return 0

    def do_sumi_job_create(self, model: int, request: bytes, callbacks: Any, user: Any, out: Any) -> int:
        self.requests.append(json.loads(request))
        status = self._new(out)
        if status == 0:
            self._jobs[out._obj.value] = FakeJob(self, self.requests[-1], callbacks._obj)
        return status

    def do_sumi_job_free(self, handle: int) -> None:
        self.freed.append("job")
        del self._jobs[handle]

    def do_sumi_job_describe(self, handle: int, out: Any) -> int:
        return self._new(out, json.dumps(self.settings))

    def do_sumi_job_run(self, handle: int) -> int:
        self.running_threads.append(threading.get_ident())
        return self.run(self._jobs[handle])

    def do_sumi_job_cancel(self, handle: int) -> None:
        self._jobs[handle].cancelled.set()

    def do_sumi_write_png(self, path: bytes, image: Any, parameters: Optional[bytes]) -> int:
        picture = image._obj
        row = 3 * picture.width
        self.written = (path, picture.width, picture.height, ctypes.string_at(picture.pixels, row * picture.height))
        self.parameters = parameters
        return 0


class FakeJob:
    def __init__(self, fake: Fake, request: Dict[str, Any], callbacks: Any) -> None:
        self.fake = fake
        self.request = request
        self.callbacks = callbacks
        self.cancelled = threading.Event()

    def step(self, done: int, steps: int) -> bool:
        """Whether to go on."""
        return self.callbacks.step(None, ctypes.pointer(CStep(0, 1, done, steps))) == 0 and not self.cancelled.is_set()

    def picture(self, number: int, padding: int = 0) -> bool:
        """A picture of 2x2 points whose first byte is `number`; rows are followed by `padding` bytes."""
        row = 6 + padding
        pixels = (ctypes.c_uint8 * (2 * row))(*([number] * 6 + [255] * padding + [number + 1] * 6 + [255] * padding))
        image = CImage(ctypes.cast(pixels, ctypes.POINTER(ctypes.c_uint8)), 2, 2, row)
        info = json.dumps({"number": number, "seed": 7, "prompt": "", "parameters": f"Größe, picture {number}"})
        return self.callbacks.picture(None, ctypes.pointer(image), info.encode()) == 0

    def warn(self, sentence: str) -> None:
        self.callbacks.warning(None, sentence.encode())

    def cancel(self) -> int:
        return self.fake.refuse(130, "cancelled")

    def take_steps(self, steps: int = 3) -> int:
        for done in range(steps + 1):
            if not self.step(done, steps):
                return self.cancel()
        for number in range(len(self.request["prompts"])):
            if not self.picture(number):
                return self.cancel()
        return 0


def install(test: Any, fake: Optional[Fake] = None) -> Fake:
    """Makes the package use a fake library until the test ends."""
    fake = fake or Fake()
    before, sumi.library._library = sumi.library._library, Library(fake, "fake")
    test.addCleanup(setattr, sumi.library, "_library", before)
    return fake
