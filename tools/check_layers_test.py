#!/usr/bin/env python3
"""check_layers.py finds what its docstring names, and lets the rest pass."""
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

    def test_the_c_interface_is_for_the_room_that_implements_it(self):
        line = '#include "sumi.h"\n'
        for path, status in (("src/api/c_api.cc", 0), ("src/engine/run_test.cc", 0), ("src/engine/run.cc", 1),
                             ("src/app/main.cc", 1)):
            self.assertEqual(check({path: line})[0], status, path)

    def test_above_ops_nobody_includes_what_is_for_kernels(self):
        line = '#include "core/view.h"\n'
        for path, status in (("src/train/ema.cc", 1), ("src/io/bind.h", 1), ("src/ops/conv.h", 0),
                             ("src/backend/cpu/conv.cc", 0), ("src/core/tensor.h", 0), ("src/io/bind_test.cc", 0)):
            self.assertEqual(check({path: line})[0], status, path)

    def test_above_ops_nobody_reaches_for_elements(self):
        for line in ("x.data<float>()[0]", "param.value.template data<float>()", "*x.raw()", "x.span<int64_t>()",
                     "args.x = x.view();", "x->mutable_view()", "w.weight_view ()", "x.buffer()->handle()",
                     "buffer.handle()", "for (float v : x . span < float > ()) {"):
            status, output = check({"src/nn/layers.cc": f"// A layer.\n{line}\n"})
            self.assertEqual(status, 1, line)
            self.assertTrue(output.startswith("src/nn/layers.cc:2: nn may not reach for elements with "), output)
            for path in ("src/core/tensor.cc", "src/ops/conv.cc", "src/backend/ref/conv.cc", "src/nn/layers_test.cc",
                         "src/models/unet/unet_bench.cc"):
                self.assertEqual(check({path: f"{line}\n"}), (0, ""), (path, line))

    def test_other_ways_to_elements_are_found(self):
        for line in ("std::invoke(&Tensor::view, x)", "auto f = & Tensor::mutable_view;", "View v = {};",
                     "MutableView out{};", "auto p = detail::host_bytes(x, -1).data;", "#include <core/view.h>",
                     "#include <backend/cpu/convert.h>"):
            self.assertEqual(check({"src/nn/layers.cc": f"{line}\n"})[0], 1, line)

    def test_what_only_looks_alike_passes(self):
        for line in ("values.data()", "json.span()", "x.host<float>()[0]", "const HostView<float> v(x); v.span();",
                     "view(x)", "std::string_view()", "// x.data<float>() is gone", "overview.handle_", "x.views()",
                     "HostView<float> v(x);", 'fail("x.view() of a View");', "#include <vector>", "#include <span>"):
            self.assertEqual(check({"src/nn/layers.cc": f"{line}\n"}), (0, ""), line)

    def test_only_the_program_speaks_of_its_command_line(self):
        for line in ('fail("--steps must be 1");', 'f("add --vae-tiling, or less");', 'f("a" "b (--W N)");',
                     'f(\'"\', "--x");', 'const char* help = R"(first\n  --lora FILE\n)";', 'f(R"x(--lora)" )x");',
                     'f("`sumi pull tokenizer` fetches one");', 'f("https://a.b", "--x");', 'f(1\'000, "it\'s --x");'):
            status, output = check({"src/train/run.cc": f"// A run.\n{line}\n"})
            self.assertEqual(status, 1, line)
            self.assertTrue(output.startswith("src/train/run.cc:2: train may not name a"), output)
            for path in ("src/app/cli/train.cc", "src/train/run_test.cc", "src/train/run_bench.cc"):
                self.assertEqual(check({path: f"{line}\n"}), (0, ""), (path, line))

    def test_only_the_program_reads_the_environment(self):
        for line in ('std::getenv("HOME");', "getenv (name)", "secure_getenv(name); ::getenv(name);"):
            status, output = check({"src/text/find.cc": f"/* A\ncomment. */\n{line}\n"})
            self.assertEqual(status, 1, line)
            self.assertTrue(output.startswith("src/text/find.cc:3: text may not read the environment"), output)
            for path in ("src/app/places.cc", "src/ranks/ranks.cc", "src/text/find_test.cc"):
                self.assertEqual(check({path: f"{line}\n"}), (0, ""), (path, line))

    def test_what_only_looks_like_words_of_the_program_passes(self):
        for line in ("--i; f(x--, --y);", "// as --dtype says, getenv(x)", "/* --steps\n--scale */", 'f("`steps`");',
                     'f("models--openai--clip");', 'f("a -- b", "-----BEGIN");', 'f("getenv(x)");', "forget_env(x);",
                     "c == '\"' && --n > 0 && d == '\"';", 'f("fetch it with `git lfs pull`");'):
            self.assertEqual(check({"src/nn/layers.cc": f"{line}\n"}), (0, ""), line)

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
