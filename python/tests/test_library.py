"""Finding libsumi, and calls of it."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import sumi
from sumi.errors import in_python_words
from sumi.library import FILE_NAME, Library, find_library, to_json

from fake_library import Fake, install

PACKAGE = Path(sumi.__file__).parent


class Calls(unittest.TestCase):
    def test_an_error_is_a_code_and_a_sentence(self):
        fake = install(self)
        fake.fail = (64, "`steps` must be from 1 to 10000, not 0")
        with self.assertRaises(sumi.Error) as caught:
            sumi.library.library().list("samplers")
        self.assertEqual((caught.exception.code, caught.exception.kind), (64, "usage"))
        self.assertEqual(str(caught.exception), "`num_inference_steps` must be from 1 to 10000, not 0")
        self.assertIsInstance(caught.exception, RuntimeError)

    def test_texts_are_freed(self):
        fake = install(self)
        self.assertEqual(sumi.library.library().list("samplers")[0]["name"], "ddim")
        self.assertEqual(fake.texts, {})
        self.assertEqual(sumi.version(), "0.1.0")

    def test_another_interface_is_refused(self):
        with self.assertRaisesRegex(sumi.Error, "version 2 of the C interface, this package needs 1"):
            Library(Fake(abi=2), "libother.so")

    def test_another_library_is_refused(self):
        fake = Fake()
        del fake.sumi_job_cancel
        with self.assertRaisesRegex(sumi.Error, "libother.so: has no sumi_job_cancel"):
            Library(fake, "libother.so")

    def test_json_that_is_none(self):
        self.assertEqual(to_json({"a": "ü"}), '{"a": "ü"}'.encode())
        with self.assertRaises(ValueError):
            to_json({"a": float("nan")})
        with self.assertRaisesRegex(ValueError, "not valid Unicode"):
            to_json({"prompt": "x\udc80y"})

    def test_words(self):
        self.assertEqual(in_python_words("`scale`, `width`, not scale"), "`guidance_scale`, `width`, not scale")
        self.assertEqual(in_python_words("name it in `lora_folder`"), "name it in `load_lora_weights`")

    def test_errors_survive_pickling(self):
        import pickle

        error = pickle.loads(pickle.dumps(sumi.Error(65, "x")))
        self.assertEqual((error.code, error.kind, str(error)), (65, "data", "x"))


class Places(unittest.TestCase):
    def test_the_named_file_and_no_other(self):
        with mock.patch.dict(os.environ, SUMI_LIBRARY="/nowhere/libsumi.so.1"):
            with self.assertRaisesRegex(sumi.Error, "/nowhere/libsumi.so.1: cannot be loaded") as caught:
                find_library()
        self.assertEqual(caught.exception.kind, "unavailable")

    def test_a_library_that_is_not_sumi_s(self):
        with mock.patch.dict(os.environ, SUMI_LIBRARY="libc.so.6"):
            with self.assertRaisesRegex(sumi.Error, "libc.so.6: has no sumi_abi_version"):
                find_library()

    def found(self, package, library):
        """What a package in the folder `package` says of a file `library` that is no library."""
        with tempfile.TemporaryDirectory() as root:
            folder = Path(root, package)
            shutil.copytree(PACKAGE, folder / "sumi", ignore=shutil.ignore_patterns("__pycache__", "libsumi*"))
            file = Path(root, library)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("no library")
            environment = {k: v for k, v in os.environ.items() if k not in ("SUMI_LIBRARY", "PYTHONPATH")}
            done = subprocess.run(
                [sys.executable, "-c", "import sumi; sumi.version()"],
                cwd=root,
                env={**environment, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
            )
            self.assertNotEqual(done.returncode, 0)
            return str(file.resolve()) + ": cannot be loaded" in done.stderr

    def test_beside_the_package_and_in_its_prefix(self):
        architecture = getattr(sys.implementation, "_multiarch", "")
        self.assertTrue(self.found("any", f"any/sumi/{FILE_NAME}"))
        for package in ("usr/lib/python3/dist-packages", "venv/lib/python3.11/site-packages"):
            prefix = package.partition("/")[0]
            for lib in ("lib", f"lib/{architecture}", "lib64"):
                self.assertTrue(self.found(package, f"{prefix}/{lib}/{FILE_NAME}"), (package, lib))
        self.assertFalse(self.found("usr/lib/python3/dist-packages", f"usr/share/{FILE_NAME}"))


if __name__ == "__main__":
    unittest.main()
