"""LoRAs as diffusers' adapters."""

import unittest
from pathlib import Path

from sumi.adapters import Adapters


def weights(adapters, scale=1.0):
    return {Path(lora["file"]).name: lora["weight"] for lora in adapters.request(scale)}


class AdaptersTest(unittest.TestCase):
    def setUp(self):
        self.adapters = Adapters()
        self.adapters.load(Path("/a"), None)

    def load_second(self):
        self.adapters.load(Path("/b"), "style")

    def test_one_acts_at_once(self):
        self.assertEqual(weights(self.adapters), {"a": 1.0})
        self.assertEqual(weights(self.adapters, 0.5), {"a": 0.5})
        self.assertEqual(self.adapters.active(), ["default_0"])

    def test_of_several_the_caller_chooses(self):
        self.load_second()
        with self.assertRaisesRegex(ValueError, r"set_adapters\(\['default_0', 'style'\]\)"):
            self.adapters.request(1.0)
        self.adapters.choose(["style", "default_0"], [0.5, None])
        self.assertEqual(weights(self.adapters, 2.0), {"b": 1.0, "a": 2.0})
        self.adapters.choose("style", 0.25)
        self.assertEqual(weights(self.adapters), {"b": 0.25})
        self.adapters.choose(["default_0", "style"], 0.75)
        self.assertEqual(weights(self.adapters), {"a": 0.75, "b": 0.75})

    def test_choices_that_are_none(self):
        for names, values, part in (
            ("other", None, "no adapter 'other'; loaded are: default_0"),
            ("default_0", [1, 2], "2 entries for 1"),
            ("default_0", {"unet": 1}, "one number"),
        ):
            with self.assertRaisesRegex(ValueError, part):
                self.adapters.choose(names, values)
        with self.assertRaisesRegex(ValueError, "taken"):
            self.adapters.load(Path("/b"), "default_0")

    def test_removing(self):
        self.load_second()
        self.adapters.delete("default_0")
        self.assertEqual(weights(self.adapters), {"b": 1.0})
        self.adapters.unload()
        self.assertEqual(weights(self.adapters), {})
        self.adapters.load(Path("/c"), None)
        self.assertEqual(weights(self.adapters), {"c": 1.0})

    def test_disabling(self):
        self.adapters.enable(False)
        self.assertEqual(weights(self.adapters), {})
        self.adapters.enable(True)
        self.assertEqual(weights(self.adapters), {"a": 1.0})

    def test_a_fused_one_keeps_its_weight(self):
        self.adapters.choose("default_0", 0.5)
        self.adapters.fuse(0.5, None)
        self.assertEqual(weights(self.adapters, 4.0), {"a": 0.25})
        self.adapters.unload()
        self.assertEqual(weights(self.adapters), {"a": 0.25})
        self.adapters.load(Path("/b"), "style")
        self.assertEqual(weights(self.adapters, 2.0), {"a": 0.25, "b": 2.0})
        self.adapters.unfuse()
        self.assertEqual(weights(self.adapters), {"b": 1.0})

    def test_fusing_some(self):
        self.load_second()
        self.adapters.choose(["default_0", "style"], [0.5, 0.75])
        self.adapters.fuse(1.0, ["style"])
        self.assertEqual(weights(self.adapters, 2.0), {"b": 0.75, "a": 1.0})
        self.assertEqual(self.adapters.fused(), ["style"])
        with self.assertRaisesRegex(ValueError, "fused already"):
            self.adapters.fuse(1.0, ["style"])
        self.adapters.choose([], None)
        with self.assertRaisesRegex(ValueError, "no adapter is active"):
            self.adapters.fuse(1.0, None)


if __name__ == "__main__":
    unittest.main()
