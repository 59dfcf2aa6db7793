"""The engine that all pipelines of a process share, and opened models."""

from __future__ import annotations

import os
import weakref
from typing import Any, Dict, List, Optional

from .errors import USAGE, Error, in_python_words
from .library import Library, library, to_json
from .locks import ProcessLock
from .places import data_folder, hub_cache


def _free(process: int, free: Any, handle: int) -> None:
    if os.getpid() == process:  # a forked child has no threads that could be waited for
        free(handle)


class _Handle:
    """An object of the library; freed with the last reference to it, except at the end of the process and in a forked
    child. A child's use of it raises Error(usage): threads do not survive a fork, so neither does what needs them."""

    def __init__(self, lib: Library, handle: int, free: Any) -> None:
        self.library = lib
        self.process = os.getpid()
        self._handle = handle
        self._finalizer = weakref.finalize(self, _free, self.process, free, handle)
        self._finalizer.atexit = False

    def check_process(self) -> None:
        if self.process != os.getpid():
            raise Error(USAGE, "the model was opened before this process was forked; open it in this process")

    @property
    def handle(self) -> int:
        """What the library's functions take."""
        self.check_process()
        return self._handle

    def __reduce__(self):
        raise TypeError("a model of sumi cannot be copied or pickled; open it again")


class Engine(_Handle):
    """Threads and opened models. Its handler of SIGBUS turns a model file that is cut short while it is in use into an
    Error, where the process would die; it passes on all other faults."""

    def __init__(self, lib: Library) -> None:
        options: Dict[str, Any] = {"catch_truncated_files": True}
        for name, folder in (("data_folder", data_folder()), ("hub_cache", hub_cache())):
            if folder is not None:
                options[name] = str(folder)
        handle = lib.create(lib.functions.sumi_engine_create, to_json(options))
        super().__init__(lib, handle, lib.functions.sumi_engine_free)
        self.opened = 0


class Model(_Handle):
    """An opened model: names and shapes are read, weights once a job needs them."""

    def __init__(self, options: Dict[str, Any]) -> None:
        engine = shared_engine()
        lib = engine.library
        with _lock:
            engine.opened += 1
            name = f"{options['path']}#{engine.opened}"  # one file may be opened several times
        request = to_json({**options, "name": name})
        super().__init__(
            lib, lib.create(lib.functions.sumi_model_open, engine.handle, request), lib.functions.sumi_model_free
        )
        self.engine = engine
        self.options = dict(options)
        self.info: Dict[str, Any] = lib.read_json(lib.functions.sumi_model_describe, self.handle)

    def warnings(self) -> List[str]:
        """What the library has to say about the model, in the package's words."""
        return [in_python_words(sentence) for sentence in self.info.get("warnings", [])]


_lock = ProcessLock()
_engine: Optional[Engine] = None


def shared_engine() -> Engine:
    """This process's engine, created by the first call with the folders that the environment names then."""
    global _engine
    lib = library()
    with _lock:
        if _engine is None or _engine.process != os.getpid() or _engine.library is not lib:
            _engine = Engine(lib)
        return _engine
