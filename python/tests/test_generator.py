"""Generators: seeds, and that a state is never silently lost."""

import sys
import types
import unittest

from sumi import Generator
from sumi.generator import Noise, mark_used, read_generators


class State:
    """Stands for the tensor of a generator's state."""

    def __init__(self, value):
        self.value = value

    def equal(self, other):
        return self.value == other.value


class TorchGenerator:
    """What sumi uses of torch.Generator."""

    __module__ = "faketorch._C"

    def __init__(self, device="cpu"):
        self.device = device
        self.manual_seed(1)

    def manual_seed(self, seed):
        self._seed, self._drawn = seed, 0
        return self

    def initial_seed(self):
        return self._seed

    def get_state(self):
        return State((self._seed, self._drawn))


def rand(count, generator, device):
    assert device == generator.device
    generator._drawn += count


def seeded(*seeds, kind=Generator):
    return [kind().manual_seed(seed) for seed in seeds]


class Seeds(unittest.TestCase):
    def test_are_torch_s(self):
        self.assertEqual(Generator().initial_seed(), 67280421310721)
        generator = Generator("cpu")
        self.assertIs(generator.manual_seed(42), generator)
        self.assertEqual(generator.initial_seed(), 42)
        self.assertEqual(Generator().manual_seed(-1).initial_seed(), 2**64 - 1)
        for seed in (2**64, -(2**63) - 1):
            with self.assertRaisesRegex(ValueError, "2\\^64-1"):
                Generator().manual_seed(seed)
        for seed in (1.9, 1.0, "7", None):
            with self.assertRaisesRegex(TypeError, "whole number"):
                Generator().manual_seed(seed)
        drawn = generator.seed()
        self.assertEqual(generator.initial_seed(), drawn)
        self.assertNotEqual(generator.seed(), drawn)

    def test_the_device_is_whose_numbers_they_are(self):
        noise = Noise(seed=3, seeding="run", rng="cuda")
        self.assertEqual(read_generators(Generator("cuda:0").manual_seed(3), 1), noise)
        self.assertEqual(Generator("cuda:0").device.type, "cuda")
        with self.assertRaisesRegex(ValueError, "mps"):
            Generator("mps")


class OfACall(unittest.TestCase):
    def setUp(self):
        sys.modules["faketorch"] = types.SimpleNamespace(rand=rand)
        self.addCleanup(sys.modules.pop, "faketorch")

    def test_none_is_random(self):
        self.assertEqual(read_generators(None, 3), Noise())

    def test_one_draws_for_all_pictures(self):
        for kind in (Generator, TorchGenerator):
            noise = Noise(seed=5, seeding="run", rng="cpu")
            self.assertEqual(read_generators(seeded(5, kind=kind)[0], 3), noise)

    def test_a_list_draws_one_picture_each(self):
        for kind in (Generator, TorchGenerator):
            for seeds in ([5, 6, 7], [2**64 - 1, 4, 4]):
                noise = Noise(seeds=seeds, seeding="picture", rng="cpu")
                self.assertEqual(read_generators(seeded(*seeds, kind=kind), 3), noise)

    def test_lists_that_the_library_cannot_do(self):
        for generators, part in (
            (seeded(1, 2, 3), "3 for 2"),
            ([Generator("cpu").manual_seed(1), Generator("cuda").manual_seed(2)], "one device"),
        ):
            with self.assertRaisesRegex(ValueError, part):
                read_generators(generators, 2)
        with self.assertRaisesRegex(ValueError, "twice"):
            read_generators([Generator()] * 2, 2)

    def test_a_used_one_needs_a_seed(self):
        for kind in (Generator, TorchGenerator):
            for generator in (seeded(5, kind=kind)[0], seeded(5, 6, kind=kind)):
                pictures = len(generator) if isinstance(generator, list) else 1
                read_generators(generator, pictures)
                read_generators(generator, pictures)  # reading is no use
                mark_used(generator)
                with self.assertRaisesRegex(ValueError, "manual_seed"):
                    read_generators(generator, pictures)
                for i, one in enumerate(generator if isinstance(generator, list) else [generator]):
                    one.manual_seed(5 + i)
                read_generators(generator, pictures)
        mark_used(None)

    def test_a_torch_generator_that_drew_elsewhere_is_used(self):
        generator = TorchGenerator()
        rand(4, generator=generator, device="cpu")
        with self.assertRaisesRegex(ValueError, "manual_seed"):
            read_generators(generator, 1)

    def test_other_things(self):
        for thing in (42, "seed", object(), [42]):
            with self.assertRaisesRegex(TypeError, "torch.Generator"):
                read_generators(thing, 1)


if __name__ == "__main__":
    unittest.main()
