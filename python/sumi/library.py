"""libsumi.so.1: where it is, its functions, and calls that raise `Error`."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint8, c_void_p
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from .errors import CANNOT_CREATE, UNAVAILABLE, Error, in_python_words
from .locks import ProcessLock

ABI_VERSION = 1
FILE_NAME = "libsumi.so.1"


class CImage(ctypes.Structure):
    """sumi_image."""

    _fields_ = [("pixels", POINTER(c_uint8)), ("width", c_int64), ("height", c_int64), ("stride", c_int64)]


class CStep(ctypes.Structure):
    """sumi_step."""

    _fields_ = [("batch", c_int64), ("batches", c_int64), ("done", c_int32), ("steps", c_int32)]


StepCallback = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(CStep))
PreviewCallback = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(CImage), c_int64, POINTER(CStep))
PictureCallback = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(CImage), c_char_p)
WarningCallback = ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p)


class CCallbacks(ctypes.Structure):
    """sumi_callbacks."""

    _fields_ = [
        ("size", c_size_t),
        ("step", StepCallback),
        ("preview", PreviewCallback),
        ("picture", PictureCallback),
        ("warning", WarningCallback),
    ]


# Name: what it returns, what it takes. A char** is a c_void_p*, so that the address is kept for sumi_free.
_HANDLE_OUT = POINTER(c_void_p)
_TEXT_OUT = POINTER(c_void_p)
_FUNCTIONS: Dict[str, Tuple[Any, List[Any]]] = {
    "sumi_abi_version": (c_int, []),
    "sumi_version": (c_char_p, []),
    "sumi_error_message": (c_char_p, []),
    "sumi_free": (None, [c_void_p]),
    "sumi_engine_create": (c_int, [c_char_p, _HANDLE_OUT]),
    "sumi_engine_free": (None, [c_void_p]),
    "sumi_list": (c_int, [c_char_p, _TEXT_OUT]),
    "sumi_model_open": (c_int, [c_void_p, c_char_p, _HANDLE_OUT]),
    "sumi_model_free": (None, [c_void_p]),
    "sumi_model_describe": (c_int, [c_void_p, _TEXT_OUT]),
    "sumi_model_load": (c_int, [c_void_p]),
    "sumi_job_create": (c_int, [c_void_p, c_char_p, POINTER(CCallbacks), c_void_p, _HANDLE_OUT]),
    "sumi_job_free": (None, [c_void_p]),
    "sumi_job_describe": (c_int, [c_void_p, _TEXT_OUT]),
    "sumi_job_run": (c_int, [c_void_p]),
    "sumi_job_cancel": (None, [c_void_p]),
    "sumi_write_png": (c_int, [c_char_p, POINTER(CImage), c_char_p]),
}


def to_json(value: Any) -> bytes:
    """JSON for the library. Raises ValueError for text that is not valid Unicode, and for NaN or infinity."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        part = text[max(0, error.start - 20) : error.end]
        raise ValueError(f"{part!r} is not valid Unicode: prompts and paths must be") from None


class Library:
    """The C functions by name, and those calls whose results need care. `path` says where the library was found."""

    def __init__(self, functions: Any, path: str) -> None:
        self.path = path
        self.functions = functions
        for name, (result, arguments) in _FUNCTIONS.items():
            try:
                function = getattr(functions, name)
            except AttributeError:
                raise Error(UNAVAILABLE, f"{path}: has no {name}; it is not sumi's library, or an older one") from None
            function.restype, function.argtypes = result, arguments
        abi = functions.sumi_abi_version()
        if abi != ABI_VERSION:
            raise Error(
                UNAVAILABLE,
                f"{path}: has version {abi} of the C interface, this package needs {ABI_VERSION}; install the package "
                "and the library of one release",
            )

    def check(self, status: int) -> None:
        """Raises Error for a status other than SUMI_OK. To be called on the thread of the failed call."""
        if status != 0:
            raise self.error(status)

    def error(self, status: int) -> Error:
        message = self.functions.sumi_error_message() or b""
        return Error(status, in_python_words(message.decode("utf-8", "replace")))

    def create(self, function: Callable[..., int], *arguments: Any) -> int:
        """Calls a _create or _open function, whose last parameter is the handle."""
        handle = c_void_p()
        self.check(function(*arguments, ctypes.byref(handle)))
        assert handle.value
        return handle.value

    def read_json(self, function: Callable[..., int], *arguments: Any) -> Any:
        """Calls a function whose last parameter is a text, and frees the text."""
        text = c_void_p()
        self.check(function(*arguments, ctypes.byref(text)))
        try:
            return json.loads(ctypes.string_at(text.value or 0).decode("utf-8"))
        finally:
            self.functions.sumi_free(text)

    def list(self, what: str) -> List[Dict[str, Any]]:
        """What the library has of "samplers", "schedules" or "backends": name, help, aliases."""
        return self.read_json(self.functions.sumi_list, what.encode())

    def version(self) -> str:
        return self.functions.sumi_version().decode("utf-8")

    def write_png(self, path: Any, size: Tuple[int, int], pixels: bytes, parameters: Optional[str]) -> None:
        name = os.fsencode(path)
        if b"\0" in name:
            raise Error(CANNOT_CREATE, f"{os.fsdecode(name)!r}: a file's name has no null character")
        buffer = (c_uint8 * len(pixels)).from_buffer_copy(pixels)
        image = CImage(ctypes.cast(buffer, POINTER(c_uint8)), size[0], size[1], 3 * size[0])
        text = parameters.encode("utf-8") if parameters else None
        self.check(self.functions.sumi_write_png(name, ctypes.byref(image), text))


def _candidates() -> List[Path]:
    """Files beside the package and in the prefix that it is installed in."""
    package = Path(__file__).resolve().parent
    places = [package / FILE_NAME]
    lib = package.parent.parent.parent  # PREFIX/lib of PREFIX/lib/python3/dist-packages/sumi
    if lib.name in ("lib", "lib64"):
        architecture = getattr(sys.implementation, "_multiarch", "")  # Debian's x86_64-linux-gnu
        places += [lib / FILE_NAME, lib / architecture / FILE_NAME, lib.parent / "lib64" / FILE_NAME]
    return [place for place in places if place.exists()]


def _load(path: str) -> Library:
    try:
        return Library(ctypes.CDLL(path), path)
    except OSError as error:
        raise Error(UNAVAILABLE, f"{path}: cannot be loaded: {error}") from None


def find_library() -> Library:
    """Loads the library: $SUMI_LIBRARY, else the one beside the package or in its prefix, else the system's."""
    named = os.environ.get("SUMI_LIBRARY")
    if named:
        return _load(named)
    places = _candidates()
    if places:
        return _load(str(places[0]))
    try:
        functions = ctypes.CDLL(FILE_NAME)
    except OSError:
        raise Error(
            UNAVAILABLE,
            f"{FILE_NAME} was not found beside the package, in its prefix or by the system's loader; install sumi, or "
            "set SUMI_LIBRARY to the file",
        ) from None
    return Library(functions, FILE_NAME)


_lock = ProcessLock()
_library: Optional[Library] = None


def library() -> Library:
    """The library, loaded by the first call."""
    global _library
    with _lock:
        if _library is None:
            _library = find_library()
        return _library


def version() -> str:
    """The library's version."""
    return library().version()
