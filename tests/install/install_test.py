#!/usr/bin/env python3
"""Tests of what `cmake --install` installs, from outside the source tree.

    tests/install/install_test.py --build DIR [--cxx COMPILER] [--sanitize LIST] [--type BUILD_TYPE] TEST

TEST is Headers, Symbols, Prefix or Examples. Exits with 77 where all of it was skipped, after printing why.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pictures import picture

SOURCE = Path(__file__).resolve().parent.parent.parent
SKIPPED = 77
options = argparse.Namespace()  # main's
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic"]


def c_compiler():
    """The C compiler beside the C++ one that built the library."""
    path = Path(options.cxx)
    return str(path.with_name(path.name.replace("clang++", "clang").replace("c++", "cc").replace("g++", "gcc")))


def sanitize():
    return [f"-fsanitize={options.sanitize}"] if options.sanitize else []


def run(*command, **kwargs):
    """Runs a command to its end and returns it; raises an error with its output where it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **kwargs)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def without_comments(header):
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", header.read_text(encoding="utf-8"), flags=re.DOTALL)


class InTemporaryFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sumi_install_")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def install(self):
        """Installs into one folder and moves that: nothing may depend on where it was installed to."""
        run("cmake", "--install", options.build, "--prefix", self.folder / "installed")
        prefix = self.folder / "moved"
        (self.folder / "installed").rename(prefix)
        return prefix


class Headers(InTemporaryFolder):
    """Each public header compiles alone, with nothing else on the path and every warning an error."""

    def compile(self, header, compiler, suffix, standard):
        file = self.folder / f"only{suffix}"
        file.write_text(f"#include <{header}>\n")
        run(compiler, f"-std={standard}", *WARNINGS, f"-I{SOURCE}/include", "-fsyntax-only", file)

    def test_cxx(self):
        for header in sorted((SOURCE / "include").rglob("*.h")):
            self.compile(header.relative_to(SOURCE / "include"), options.cxx, ".cc", "c++20")

    def test_c(self):
        self.compile("sumi.h", c_compiler(), ".c", "c99")


class Symbols(InTemporaryFolder):
    """libsumi.so shows the public functions and classes and nothing else."""

    def setUp(self):
        super().setUp()
        self.library = Path(options.build) / "libsumi.so"

    def exported(self):
        listing = run("nm", "-D", "--defined-only", "-C", self.library).stdout
        names = [line.split(" ", 2)[2].split("@@")[0] for line in listing.splitlines()]
        return {name for name in names if not re.fullmatch(r"SUMI_\d+", name)}  # the version itself

    def test_c_functions_are_those_of_the_header(self):
        declared = re.findall(r"^SUMI_C_API [^;(]*?(\w+)\(", without_comments(SOURCE / "include/sumi.h"),
                              flags=re.MULTILINE)
        self.assertIn("sumi_job_run", declared)
        self.assertEqual(sorted(name for name in self.exported() if "::" not in name), sorted(declared))

    def test_cxx_names_are_public(self):
        text = "".join(without_comments(header) for header in (SOURCE / "include/sumi").glob("*.h"))
        classes = re.findall(r"class SUMI_API (\w+)", text)
        functions = re.findall(r"^SUMI_API [^;(]*?(\w+)\(", text, flags=re.MULTILINE)
        member = rf"sumi::({'|'.join(classes)})::~?\w+(\[abi:\w+\])?\(.*\)( const)?"
        public = re.compile(rf"{member}|sumi::({'|'.join(functions)})\(.*\)|(typeinfo|typeinfo name|vtable) for sumi::Error")
        names = {name for name in self.exported() if "::" in name}
        self.assertEqual([name for name in sorted(names) if not public.fullmatch(name)], [])
        for name in ["typeinfo for sumi::Error", "typeinfo name for sumi::Error", "vtable for sumi::Error"]:
            self.assertIn(name, names)

    def test_every_function_is_there(self):
        run(options.cxx, "-std=c++20", *sanitize(), f"-I{SOURCE}/include", SOURCE / "tests/install/every_function.cc", "-o",
            self.folder / "every", self.library)

    def test_soname_and_needs(self):
        dynamic = run("readelf", "-d", self.library).stdout
        abi = re.search(r"#define SUMI_ABI_VERSION (\d+)", (SOURCE / "include/sumi.h").read_text()).group(1)
        self.assertIn(f"soname: [libsumi.so.{abi}]", dynamic)
        self.assertNotRegex(dynamic, r"NEEDED.*(mpi|curl|crypto)")


class Prefix(InTemporaryFolder):
    def test_files(self):
        prefix = self.install()
        for name in ["bin/sumi", "include/sumi.h", "include/sumi/engine.h", "share/doc/sumi/copyright",
                     "share/sumi/models/emoji.safetensors", "lib/python3/dist-packages/sumi/__init__.py"]:
            self.assertTrue((prefix / name).is_file(), name)
        self.assertEqual([p.name for p in prefix.rglob("__pycache__")], [])

    def test_no_file_names_the_build_folder(self):
        if options.type != "Release":
            self.skipTest(f"debug information names source files, and the build type is {options.type}")
        prefix = self.install()
        for file in (p for p in prefix.rglob("*") if p.is_file()):
            content = file.read_bytes()
            for folder in [Path(options.build).resolve(), SOURCE, self.folder]:
                self.assertFalse(str(folder).encode() in content, f"{file.relative_to(prefix)} names {folder}")


class Examples(InTemporaryFolder):
    """The examples, built against the moved prefix, and the program in it draw the same picture."""

    PROMPT = 'a "red" apple'

    def setUp(self):
        super().setUp()
        if not shutil.which("pkg-config"):
            self.skipTest("pkg-config is missing")
        self.prefix = self.install()
        self.model = self.prefix / "share/sumi/models/emoji.safetensors"
        if not self.model.is_file():
            self.skipTest("models/emoji/emoji.safetensors is missing")
        self.examples = self.folder / "examples"
        shutil.copytree(SOURCE / "examples", self.examples)
        self.pkgconfig = next(self.prefix.rglob("sumi.pc")).parent
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        if "ASAN_OPTIONS" in os.environ:
            self.environment["ASAN_OPTIONS"] = os.environ["ASAN_OPTIONS"]

    def build_with_pkg_config(self, package, name):
        """Builds draw.c, warnings as errors, with a C compiler."""
        flags = run("pkg-config", "--cflags", "--libs", package,
                    env={**self.environment, "PKG_CONFIG_PATH": str(self.pkgconfig)}).stdout.split()
        program = self.folder / name
        run(c_compiler(), "-std=c99", *WARNINGS, *sanitize(), self.examples / "draw.c", "-o", program, *flags)
        return program

    def build_with_cmake(self):
        tree = self.folder / "tree"
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        run("cmake", "-S", self.examples, "-B", tree, *generator, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_C_COMPILER={c_compiler()}", f"-DCMAKE_CXX_COMPILER={options.cxx}",
            f"-DCMAKE_C_FLAGS={' '.join(sanitize())}", f"-DCMAKE_CXX_FLAGS={' '.join(sanitize())}")
        run("cmake", "--build", tree)
        return tree

    def draw(self, program):
        file = self.folder / f"{program.name}.png"
        done = run(program, self.model, self.PROMPT, file, env=self.with_library(), cwd=self.folder)
        self.assertRegex(done.stderr, r"step (\d+) of \1\n")
        return picture(file)

    def with_library(self):
        return {**self.environment, "LD_LIBRARY_PATH": str(self.pkgconfig.parent)}

    def test_all_draw_the_same(self):
        run(self.prefix / "bin/sumi", self.PROMPT, "--seed", "42", "-o", self.folder / "program.png",
            env=self.environment, cwd=self.folder)
        expected = picture(self.folder / "program.png")
        self.assertGreater(len(expected[1]), 128 * 128 * 3)
        programs = [self.build_with_pkg_config("sumi", "shared"), self.build_with_pkg_config("sumi-static", "static")]
        tree = self.build_with_cmake()
        programs += [tree / "draw_c", tree / "draw_cc", tree / "draw_static"]
        for program in programs:
            self.assertEqual(self.draw(program), expected, program.name)
        self.assertNotIn("libsumi", run("readelf", "-d", self.folder / "static").stdout)
        self.check_errors(tree / "draw_c")
        self.check_errors(tree / "draw_cc")

    def check_errors(self, program):
        """Exit codes and sentences: no arguments, no model, nowhere to write."""
        for arguments, code, sentence in [
            ([], 64, "usage: .* MODEL PROMPT FILE.png"),
            ([self.folder / "none.ckpt", "a", self.folder / "a.png"], 66, "none.ckpt"),
            ([self.model, "a", self.folder / "none/a.png"], 73, "none/a.png"),
        ]:
            done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True,
                                  env=self.with_library())
            self.assertEqual(done.returncode, code, f"{program.name} {arguments}: {done.stderr}")
            self.assertRegex(done.stderr, sentence)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--cxx", default="c++")
    parser.add_argument("--sanitize", default="")
    parser.add_argument("--type", default="Release")
    parser.add_argument("test")
    parser.parse_args(namespace=options)
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(globals()[options.test])
    result = unittest.TextTestRunner(verbosity=2).run(tests)
    if not result.wasSuccessful():
        return 1
    return SKIPPED if len(result.skipped) == result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
