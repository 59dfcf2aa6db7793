"""The package over the real library, with small synthetic models."""

import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings
import zlib
from pathlib import Path

import sumi
from sumi import Error, Generator, StableDiffusionPipeline

from processes import in_child, take_ctrl_c

NEEDED = ("SUMI_LIBRARY", "SUMI_MAKE_SYNTHETIC", "SUMI_PROGRAM")
MISSING = [name for name in NEEDED if not os.environ.get(name)]
DATA = Path(__file__).parents[2] / "tests" / "data"
BUNDLED = Path(__file__).parents[2] / "models" / "emoji" / "emoji.safetensors"
SMALL = {"width": 64, "height": 64, "num_inference_steps": 3}


def setUpModule():
    if MISSING:
        raise unittest.SkipTest(f"without {', '.join(MISSING)} there is no library to test with; ctest sets them")
    global FOLDER, FILE, ROOT
    temporary = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(temporary.cleanup)
    ROOT = Path(temporary.name)
    os.environ["SUMI_HOME"] = str(ROOT / "home")  # nothing of this machine's own is found
    os.environ["HF_HUB_CACHE"] = str(ROOT / "hub")
    FOLDER, FILE = ROOT / "tiny", ROOT / "tiny.safetensors"
    make = [os.environ["SUMI_MAKE_SYNTHETIC"], "tiny"]
    subprocess.run([*make, "--format", "diffusers", "--dtype", "f16", "--out", FOLDER], check=True, capture_output=True)
    subprocess.run([*make, "--out", FILE], check=True, capture_output=True)


def read_png(path):
    """Width, height, RGB and texts of a PNG of 8 bits a value without interlacing."""
    data = Path(path).read_bytes()
    position, packed, texts = 8, b"", {}
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        position += 12 + length
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert (depth, colour, interlaced) == (8, 2, 0)
        elif kind == b"IDAT":
            packed += body
        elif kind == b"tEXt":
            key, _, text = body.partition(b"\0")
            texts[key.decode()] = text.decode("latin-1")
        elif kind == b"iTXt":
            key, _, rest = body.partition(b"\0")
            texts[key.decode()] = rest[2:].split(b"\0", 2)[2].decode()
    return width, height, unfilter(zlib.decompress(packed), 3 * width, height), texts


def unfilter(raw, row, height):
    above, out = bytearray(row), bytearray()
    for y in range(height):
        kind, line = raw[y * (row + 1)], bytearray(raw[y * (row + 1) + 1 : (y + 1) * (row + 1)])
        for x in range(row):
            a, b, c = (line[x - 3] if x >= 3 else 0), above[x], (above[x - 3] if x >= 3 else 0)
            if kind == 4:
                p = a + b - c
                nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            else:
                nearest = (0, a, b, (a + b) // 2)[kind]
            line[x] = (line[x] + nearest) & 255
        out += line
        above = line
    return bytes(out)


def seeded(seed=42):
    return Generator("cpu").manual_seed(seed)


def clip_vocabulary():
    """The folder of CLIP's vocabulary, which is not shipped."""
    home = Path(os.environ.get("HOME", "/"))
    for folder in (os.environ.get("SUMI_CLIP_DIR"), home / ".local/share/sumi/tokenizer"):
        if folder and Path(folder, "vocab.json").exists():
            return folder
    return None


class WithLibrary(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pipe = StableDiffusionPipeline.from_pretrained(FOLDER, safety_checker=None)

    def draw(self, prompt="a red apple", pipe=None, **arguments):
        """The pixels of each picture."""
        images = (pipe or self.pipe)(prompt, **{"generator": seeded(), **SMALL, **arguments}).images
        return [image.tobytes() for image in images]

    def program(self, *words):
        subprocess.run([os.environ["SUMI_PROGRAM"], *map(str, words)], check=True, capture_output=True)


class Pictures(WithLibrary):
    def test_the_call_of_the_tutorials(self):
        with self.assertWarnsRegex(UserWarning, "revision 'fp16' was not applied"):
            pipe = StableDiffusionPipeline.from_pretrained(FOLDER, torch_dtype="float16", revision="fp16").to("cpu")
        image = pipe(
            "a red apple",
            num_inference_steps=3,
            guidance_scale=7.5,
            width=64,
            height=128,
            negative_prompt="blurry",
            num_images_per_prompt=1,
            eta=0.0,
            generator=seeded(7),
            callback_on_step_end=lambda pipe, step, timestep, tensors: tensors,
        ).images[0]
        self.assertEqual(image.size, (64, 128))
        path = ROOT / "apple.png"
        image.save(path)
        width, height, pixels, texts = read_png(path)
        self.assertEqual((width, height, pixels), (64, 128, image.tobytes()))
        self.assertEqual(texts["parameters"], image.info["parameters"])
        for part in ("a red apple", "Negative prompt: blurry", "Steps: 3", "CFG scale: 7.5", "Seed: 7", "Size: 64x128"):
            self.assertIn(part, texts["parameters"])

    def test_are_those_of_the_command_line(self):
        out = ROOT / "cli"
        words = ["--prompt", "a red apple", "--ckpt", FOLDER, "--outdir", out, "--ddim_steps", 3, "--n_iter", 1]
        words += ["--n_samples", 2, "--W", 64, "--H", 64, "--seed", 42, "--sampler", "plms", "--schedule", "leading"]
        self.program("txt2img", *words)
        drawn = self.draw(num_images_per_prompt=2)
        for number, pixels in enumerate(drawn):
            self.assertEqual(read_png(out / "samples" / f"{number:05}.png")[2], pixels)

    def test_of_a_prompt_list_and_of_a_generator_each(self):
        both = self.draw(["a red apple", "a green pear"], generator=[seeded(5), seeded(99)])
        self.assertEqual(len(both), 2)
        self.assertEqual(both[0], self.draw("a red apple", generator=seeded(5))[0])
        self.assertEqual(both[1], self.draw("a green pear", generator=seeded(99))[0])

    def test_a_random_seed_is_written_down(self):
        first, second = (self.pipe("x", **SMALL).images[0] for _ in range(2))
        self.assertNotEqual(first.tobytes(), second.tobytes())
        seed = int(first.info["parameters"].partition("Seed: ")[2].partition(",")[0])
        self.assertEqual(self.draw("x", generator=seeded(seed)), [first.tobytes()])

    def test_the_bundled_model_has_its_own_defaults(self):
        image = StableDiffusionPipeline.from_single_file(BUNDLED)("red apple", generator=seeded()).images[0]
        self.assertEqual(image.size, (128, 128))
        for part in ("Steps: 20", "CFG scale: 3", "Sampler: DDIM"):
            self.assertIn(part, image.info["parameters"])

    def test_the_original_s_picture(self):
        vocabulary = clip_vocabulary()
        if vocabulary is None:
            self.skipTest("CLIP's vocabulary is not on this machine: set SUMI_CLIP_DIR or run `sumi pull tokenizer`")
        pipe = StableDiffusionPipeline.from_single_file(FILE, config=DATA / "tiny.yaml", tokenizer=vocabulary)
        prompt = "a photograph of an astronaut riding a horse"
        images = pipe(prompt, 128, 128, 20, num_images_per_prompt=2, generator=seeded(42)).images
        for number, image in enumerate(images):
            want = read_png(DATA / f"e2e_tiny_ddim_s42_{number}.png")[2]
            differences = [abs(a - b) for a, b in zip(image.tobytes(), want)]
            self.assertLessEqual(max(differences), 1)  # float rounding may tip a truncation
            self.assertGreaterEqual(differences.count(0), 0.99 * len(want))

    def test_other_types(self):
        pipe = StableDiffusionPipeline.from_pretrained(FOLDER)
        exact = self.draw(pipe=pipe)[0]
        for dtype in ("float16", "bfloat16"):
            rounded = self.draw(pipe=pipe.to(dtype))[0]
            self.assertNotEqual(rounded, exact)
            difference = sum(abs(a - b) for a, b in zip(rounded, exact)) / len(exact)
            self.assertLess(difference, 32)  # of 255; other pictures differ by 60 and more
        self.assertEqual(self.draw(pipe=pipe.to("float32"))[0], exact)


class Choices(WithLibrary):
    def tearDown(self):
        self.pipe.scheduler = sumi.PNDMScheduler.from_config(self.pipe.scheduler.config, skip_prk_steps=True)
        self.pipe.unload_lora_weights()

    def test_every_scheduler_draws(self):
        config, drawn = self.pipe.scheduler.config, {}
        for name, cls in sumi.schedulers.CLASSES.items():
            self.pipe.scheduler = cls.from_config(config)
            drawn[name] = self.draw()[0]
        self.pipe.scheduler = sumi.DPMSolverMultistepScheduler.from_config(config, use_karras_sigmas=True)
        drawn["karras"] = self.draw()[0]
        self.pipe.scheduler = "DPM++ 2M Karras"
        drawn["k-diffusion's karras"] = self.draw()[0]
        self.assertEqual(len(set(drawn.values())), len(drawn))
        self.pipe.scheduler = sumi.PNDMScheduler.from_config(config)
        self.assertEqual(self.draw()[0], drawn["PNDMScheduler"])

    def test_eta_is_ddim_s(self):
        with self.assertRaisesRegex(Error, "`eta`|eta"):
            self.draw(eta=0.5)
        self.pipe.scheduler = "ddim"
        self.assertNotEqual(self.draw(eta=0.5), self.draw())

    def test_a_lora(self):
        file = ROOT / "style.safetensors"
        write_lora(file)
        plain = self.draw()
        self.pipe.load_lora_weights(file)
        full, half = self.draw(), self.draw(cross_attention_kwargs={"scale": 0.5})
        self.assertEqual(len({plain[0], full[0], half[0]}), 3)
        self.pipe.fuse_lora(lora_scale=0.5)
        self.pipe.unload_lora_weights()
        self.assertEqual(self.draw(), half)
        self.pipe.unfuse_lora()
        self.assertEqual(self.draw(), plain)

    def test_tiles(self):
        self.pipe.enable_vae_tiling()
        self.addCleanup(self.pipe.disable_vae_tiling)
        self.draw()


def write_lora(file):
    """A LoRA of rank 1 on one weight of the small model, made of small numbers."""
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    values = {f"{name}.lora_down.weight": ([1, 32], 0.5), f"{name}.lora_up.weight": ([32, 1], 0.5)}
    header, data = {}, b""
    for key, (shape, value) in values.items():
        packed = struct.pack("<32f", *(value * (1 if i % 3 else -1) for i in range(32)))
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = str(header).replace("'", '"').encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


class Stopping(WithLibrary):
    LONG = {"num_inference_steps": 900, "width": 64, "height": 64}

    def setUp(self):
        take_ctrl_c(self)

    def test_ctrl_c(self):
        def interrupt(pipe, step, timestep, tensors):
            os.kill(os.getpid(), signal.SIGINT)

        before = self.draw()
        with self.assertRaises(KeyboardInterrupt):
            self.pipe("x", callback_on_step_end=interrupt, **self.LONG)
        self.assertEqual(self.draw(), before)

    def test_ctrl_c_while_nothing_calls_back(self):
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        self.addCleanup(timer.cancel)
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            for _ in range(100):
                self.pipe("x", **self.LONG)
        timer.join()

    def test_interrupting(self):
        steps = []

        def stop(pipe, step, timestep, tensors):
            steps.append(step)
            pipe._interrupt = step == 1

        with self.assertRaises(Error) as caught:
            self.pipe("x", callback_on_step_end=stop, **self.LONG)
        self.assertEqual((caught.exception.kind, steps), ("cancelled", [0, 1]))

    def test_interrupting_one_of_two_threads(self):
        met, kinds = threading.Barrier(2, timeout=60), [None, None]

        def draw(number):
            def on_step(pipe, step, timestep, tensors):
                if step == 0:
                    met.wait()
                    pipe._interrupt = number == 0
                    met.wait()

            try:
                self.pipe("x", callback_on_step_end=on_step, **SMALL)
            except Error as error:
                kinds[number] = error.kind

        threads = [threading.Thread(target=draw, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(kinds, ["cancelled", None])

    def test_what_a_callback_raises(self):
        def fail(*_):
            raise LookupError("mine")

        with self.assertRaisesRegex(LookupError, "mine"):
            self.pipe("x", callback_on_step_end=fail, **self.LONG)
        self.draw()

    def test_several_threads_get_the_bytes_they_get_alone(self):
        alone = [self.draw(generator=seeded(seed))[0] for seed in range(4)]
        drawn = [None] * 4

        def draw(seed):
            drawn[seed] = self.draw(generator=seeded(seed))[0]

        threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(drawn, alone)


class Processes(WithLibrary):
    OPENING = """
import os, signal, sys, threading, time, sumi
signal.signal(signal.SIGINT, signal.default_int_handler)
pipe = sumi.StableDiffusionPipeline.from_pretrained(sys.argv[1], safety_checker=None)
LONG = {"num_inference_steps": 900, "width": 64, "height": 64}
"""

    def run_program(self, text, *options):
        return subprocess.run(
            [sys.executable, *options, "-c", self.OPENING + text, FOLDER], capture_output=True, text=True, timeout=120
        )

    def test_the_interpreter_ends_while_a_daemon_draws(self):
        program = """
begun = threading.Event()
threading.Thread(target=lambda: pipe("x", callback_on_step_end=lambda *_: begun.set(), **LONG), daemon=True).start()
begun.wait(60)
print("ending", flush=True)
"""
        for _ in range(8):
            done = self.run_program(program)
            self.assertEqual((done.returncode, done.stdout), (0, "ending\n"), done.stderr)
            self.assertNotIn("FATAL", done.stderr)

    def test_a_second_ctrl_c(self):
        program = """
def press():
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)

def on_step(pipe, step, timestep, tensors):
    threading.Thread(target=press).start()
    time.sleep(60)

pipe("x", callback_on_step_end=on_step, **LONG)
"""
        for _ in range(5):
            done = self.run_program(program)
            self.assertIn("KeyboardInterrupt", done.stderr)
            self.assertNotIn("FATAL", done.stderr)
            self.assertEqual(done.returncode, -signal.SIGINT, done.stderr)

    def test_a_forked_child_opens_the_model_anew(self):
        before = self.draw()

        def child():
            said = []
            try:
                self.draw()
            except Error as error:
                said.append(str(error))
            WithLibrary.pipe = type(self).pipe = None  # the parent's
            pipe = StableDiffusionPipeline.from_pretrained(FOLDER, safety_checker=None)
            return said + [self.draw(pipe=pipe) == before]

        said = in_child(self, child)
        self.assertRegex(said, "open it in this process.*True")
        self.assertEqual(self.draw(), before)

    def test_a_forked_child_ends(self):
        program = """
pipe("x", 64, 64, 2)
if os.fork() == 0:
    sys.exit(3)  # with all that Python does at its end
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
        done = self.run_program(program)
        self.assertEqual((done.returncode, done.stdout), (0, "3\n"), done.stderr)


class BadInput(WithLibrary):
    def assert_refused(self, kind, part, function, *arguments, **options):
        with self.assertRaises(Error) as caught:
            function(*arguments, **options)
        self.assertEqual(caught.exception.kind, kind, caught.exception)
        self.assertRegex(str(caught.exception), part)
        self.assertNotIn("\n", str(caught.exception))

    def test_a_folder_without_a_scheduler_is_told_of(self):
        folder = ROOT / "unscheduled"
        shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("scheduler_config.json"))
        with self.assertWarnsRegex(UserWarning, "has no scheduler/scheduler_config.json") as caught:
            StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
        self.assertEqual(Path(caught.filename).name, Path(__file__).name)

    def test_models(self):
        opened = StableDiffusionPipeline.from_pretrained
        self.assert_refused("no_input", "nowhere", opened, "/nowhere/model.ckpt")
        bad = ROOT / "bad.safetensors"
        for content in (b"", b"\0" * 7, b"\xff" * 64, b"<html>", b"version https://git-lfs.github.com/spec/v1\n"):
            bad.write_bytes(content)
            self.assert_refused("data|no_input".partition("|")[0], "bad.safetensors", opened, bad)
        self.assert_refused("unavailable", "cpu", self.pipe.to, "cuda")

    def test_requests(self):
        before = self.draw()
        for arguments, part in (
            ({"width": 0}, "`width`"),
            ({"width": 513}, "`width`"),
            ({"height": -8}, "`height`"),
            ({"height": 10**9}, "`height`"),
            ({"num_inference_steps": 0}, "`num_inference_steps`"),
            ({"num_inference_steps": 10**9}, "`num_inference_steps`"),
            ({"guidance_scale": 10**6}, "`guidance_scale`"),
            ({"eta": -1.0}, "`eta`"),
        ):
            self.assert_refused("usage", part, self.draw, **arguments)
        for prompt in ("x" * 100_000, "a\0b"):
            self.assert_refused("usage", "prompt", self.draw, prompt)
        self.assert_refused("usage|no_input".partition("|")[0], "lora", self.draw, "<lora:../../x:1>")
        self.assertEqual(self.draw(), before)

    def test_prompts_that_are_odd_but_fine(self):
        for prompt in ("", "🍎 تفاحة é", "(" * 1000):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.draw(prompt)

    def test_a_long_prompt_is_cut_with_a_warning(self):
        with self.assertWarnsRegex(UserWarning, "tokens do not fit") as caught:
            self.draw("apple " * 200)
        self.assertEqual(Path(caught.filename).name, Path(__file__).name)

    def test_a_lora_that_is_none(self):
        file = ROOT / "broken.safetensors"
        file.write_bytes(b"\xff" * 64)
        self.pipe.load_lora_weights(file)
        self.addCleanup(self.pipe.unload_lora_weights)
        self.assert_refused("data", "broken.safetensors", self.draw)

    def test_an_output_that_cannot_be_written(self):
        image = sumi.Image((8, 8), bytes(192))
        self.assert_refused("cannot_create", "nowhere", image.save, ROOT / "nowhere" / "a.png")

    def test_a_file_that_is_cut_short_while_it_is_open(self):
        program = f"""
import os, sumi
pipe = sumi.StableDiffusionPipeline.from_single_file({str(ROOT / "cut.safetensors")!r}, config={str(DATA / "tiny.yaml")!r},
                                                     tokenizer={str(FOLDER / "tokenizer")!r})
os.truncate({str(ROOT / "cut.safetensors")!r}, 100_000)
try:
    pipe("x", 64, 64, 2)
except sumi.Error as error:
    print(error.kind, error)
"""
        (ROOT / "cut.safetensors").write_bytes(FILE.read_bytes())
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, "^(data|io) .*cut.safetensors")


class PicturesIn(unittest.TestCase):
    """Pictures that go in and come out of the real library."""

    @classmethod
    def setUpClass(cls):
        cls.picture = sumi.Image((64, 64), bytes((3 * x + y) % 251 for y in range(64) for x in range(3 * 64)))

    def test_image_to_image(self):
        pipe = sumi.StableDiffusionImg2ImgPipeline.from_pretrained(FOLDER, safety_checker=None)
        draw = lambda strength: pipe(  # noqa: E731
            "a", self.picture, strength, num_inference_steps=4, generator=Generator().manual_seed(1)
        ).images[0]
        near, far = draw(0.25), draw(0.75)
        self.assertEqual(near.size, (64, 64))
        self.assertNotEqual(near.tobytes(), far.tobytes())
        self.assertIn("Denoising strength: 0.25", near.info["parameters"])
        self.assertIn("Convention: diffusers", near.info["parameters"])

    def test_inpainting_keeps_what_is_black(self):
        pipe = sumi.StableDiffusionInpaintPipeline.from_pretrained(FOLDER, safety_checker=None)
        mask = sumi.Image((64, 64), b"".join(b"\xff" * 96 + b"\0" * 96 for _ in range(64)))
        out = pipe("a", self.picture, mask, num_inference_steps=3, generator=Generator().manual_seed(1)).images[0]
        before, after = self.picture.tobytes(), out.tobytes()
        self.assertNotEqual(before, after)
        for y in range(64):
            row = slice(192 * y + 96, 192 * (y + 1))
            self.assertEqual(before[row], after[row])

    def test_a_controlnet_that_is_none_is_refused(self):
        net = sumi.ControlNetModel.from_pretrained(FILE)
        pipe = sumi.StableDiffusionControlNetPipeline.from_pretrained(FOLDER, controlnet=net, safety_checker=None)
        with self.assertRaisesRegex(Error, "tiny.safetensors"):
            pipe("a", self.picture, **SMALL)


if __name__ == "__main__":
    unittest.main()
