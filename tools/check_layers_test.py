#!/usr/bin/env python3
"""check_layers.py finds includes that run up, and lets those that run down pass."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).with_name("check_layers.py")


def check(files):
    """Exit status and output of the check on a tree of these files, path -> text."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            file = Path(root) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        done = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True)
        return done.returncode, done.stdout


class CheckLayers(unittest.TestCase):
    def test_includes_that_run_down_pass(self):
        self.assertEqual(check({
            "src/nn/linear.cc": '#include "nn/linear.h"\n#include <vector>\n#include "ops/matmul.h"\n#include "base/check.h"\n',
            "src/models/config.cc": '#include "diffusion/noise_schedule.h"\n#include "text/clip_tokenizer.h"\n',
            "src/backend/cpu/conv.cc": '#include "hwy/highway.h"\n#include "ops/conv.h"\n',
            "src/ops/conv_test.cc": '#include "tests/support/compare.h"\n#include "tools/synthetic.h"\n',
        }), (0, ""))

    def test_an_include_that_runs_up_is_named_with_its_line(self):
        status, output = check({"src/core/tensor.cc": '#include "base/check.h"\n\n  #  include "nn/module.h"\n'})
        self.assertEqual(status, 1)
        self.assertEqual(output, 'src/core/tensor.cc:3: core may not include nn ("nn/module.h")\n')

    def test_rooms_beside_one_another_stay_apart(self):
        for path, target in (("src/text/bpe.cc", "core/tensor.h"), ("src/diffusion/ddim.cc", "models/config.h"),
                             ("src/image/png.cc", "ops/layout.h"), ("src/io/zip.cc", "image/png.h")):
            self.assertEqual(check({path: f'#include "{target}"\n'})[0], 1, path)

    def test_nobody_includes_a_backend_but_tests(self):
        line = '#include "backend/cpu/kernels.h"\n'
        self.assertEqual(check({"src/app/cli/run.cc": line})[0], 1)
        self.assertEqual(check({"src/ops/conv_test.cc": line})[0], 0)

    def test_paths_are_written_from_src(self):
        for target in ("tensor.h", "../core/tensor.h", "core/../nn/module.h", "vendor/thing.h"):
            self.assertEqual(check({"src/core/tensor.cc": f'#include "{target}"\n'})[0], 1, target)

    def test_a_room_without_a_place_is_named(self):
        self.assertIn("attic is not a room", check({"src/attic/x.cc": ""})[1])

    def test_this_house_is_in_order(self):
        done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
