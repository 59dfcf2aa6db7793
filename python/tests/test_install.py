"""The package installed by pip into an empty folder, with what is on the machine."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import sumi

SOURCE = Path(__file__).parents[1]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
# Fails unless pip can build a package without fetching anything.
PROBE = """
import importlib.metadata as m
m.version("pip")
parts = tuple(int(part) for part in m.version("setuptools").split(".")[:2])
assert parts >= (61, 0)
if parts < (70, 1): m.version("wheel")
"""


def run(python, *arguments, **environment):
    return subprocess.run([python, *arguments], env={**ENVIRONMENT, **environment}, capture_output=True, text=True)


def find_python():
    """This Python or the system's, whichever has pip, setuptools and, for an old setuptools, wheel."""
    for python in (sys.executable, "/usr/bin/python3"):
        if os.path.exists(python) and run(python, "-c", PROBE).returncode == 0:
            return python
    return None


PYTHON = find_python()


class Install(unittest.TestCase):
    def test_by_pip(self):
        if PYTHON is None:
            self.skipTest("neither this Python nor the system's has pip, setuptools and wheel")
        with tempfile.TemporaryDirectory() as root:
            source, target = Path(root, "source"), Path(root, "target")
            shutil.copytree(
                SOURCE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__", "tests")
            )
            options = ["--no-build-isolation", "--no-deps", "--no-cache-dir", "--target", str(target), str(source)]
            done = run(PYTHON, "-m", "pip", "install", *options, PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

            installed = {file.name for file in (target / "sumi").iterdir()} - {"__pycache__"}
            here = {file.name for file in Path(sumi.__file__).parent.iterdir()} - {"__pycache__"}
            self.assertEqual(installed, here)
            self.assertTrue((target / f"sumi-{sumi.__version__}.dist-info").is_dir())
            program = "import sumi; print(sumi.__file__); print(sumi.Generator().manual_seed(3))"
            if os.environ.get("SUMI_LIBRARY"):
                program += "; sumi.version()"
            done = run(PYTHON, "-c", program, PYTHONPATH=str(target))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(Path(done.stdout.splitlines()[0]).resolve(), (target / "sumi" / "__init__.py").resolve())


if __name__ == "__main__":
    unittest.main()
