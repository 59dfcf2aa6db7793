"""The pipeline over a fake library: what reaches the library, and what is refused before."""

import json
import os
import re
import tempfile
import threading
import unittest
import warnings
from pathlib import Path
from unittest import mock

import sumi
import sumi.no_effect
from sumi import Error, Generator, StableDiffusionPipeline

from fake_library import Fake, install
from test_schedulers import STABLE_DIFFUSION

try:
    import numpy
except ImportError:
    numpy = None


class Dtype:
    """Stands for torch's types and devices, which say their names."""

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name


class PipelineTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        patch = mock.patch.dict(os.environ, {"SUMI_HOME": str(self.root / "sumi"), "HF_HUB_CACHE": str(self.root)})
        patch.start()
        self.addCleanup(patch.stop)
        self.fake = install(self)
        self.file = self.root / "model.safetensors"
        self.file.write_bytes(b"\2\0\0\0\0\0\0\0{}")
        warnings.simplefilter("always")
        self.addCleanup(warnings.resetwarnings)

    def diffusers_folder(self, scheduler=STABLE_DIFFUSION, files=("unet/model.safetensors",), **index):
        folder = self.root / "folder"
        for name, text in {
            "model_index.json": json.dumps(index),
            **({"scheduler/scheduler_config.json": json.dumps(scheduler)} if scheduler else {}),
            **dict.fromkeys(files, ""),
        }.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return folder

    def open(self, name=None, **options):
        return StableDiffusionPipeline.from_pretrained(name or self.file, **options)

    def request(self, pipe=None, prompt="a red apple", **arguments):
        """What the library is asked for."""
        (pipe or self.open())(prompt, **arguments)
        return self.fake.requests[-1]

    def assert_refused(self, kind, part, function, *arguments, **options):
        requests = len(self.fake.requests)
        with self.assertRaisesRegex(kind, part):
            function(*arguments, **options)
        self.assertEqual(len(self.fake.requests), requests)


class Calls(PipelineTest):
    def test_defaults_are_the_original_s(self):
        self.assertEqual(
            self.request(),
            {
                "prompts": ["a red apple"],
                "batch": 1,
                "sampler": "ddim",
                "loras": [],
                "tiled_decode": False,
                "syntax": "exact",
                "defaults": "original",
            },
        )

    def test_every_argument_arrives(self):
        request = self.request(
            prompt="x",
            num_inference_steps=20,
            guidance_scale=5,
            width=640,
            height=512,
            negative_prompt="blurry",
            num_images_per_prompt=3,
            eta=0.5,
            generator=Generator("cpu").manual_seed(7),
        )
        expected = {
            "prompts": ["x"] * 3,
            "batch": 3,
            "steps": 20,
            "scale": 5.0,
            "width": 640,
            "height": 512,
            "negative_prompt": "blurry",
            "eta": 0.5,
            "seed": 7,
            "seeding": "run",
            "rng": "cpu",
        }
        self.assertEqual({name: request[name] for name in expected}, expected)

    def test_several_prompts_are_drawn_at_once_in_diffusers_order(self):
        request = self.request(prompt=["a", "b"], num_images_per_prompt=2, negative_prompt=["n", "n"])
        self.assertEqual((request["prompts"], request["batch"]), (["a", "a", "b", "b"], 4))
        self.assertEqual(request["negative_prompt"], "n")

    def test_a_generator_for_each_picture(self):
        generators = [Generator().manual_seed(seed) for seed in (8, 3)]
        request = self.request(num_images_per_prompt=2, generator=generators)
        self.assertEqual((request["seeds"], request["seeding"]), ([8, 3], "picture"))
        self.assertNotIn("seed", request)

    def test_a_generator_serves_one_call(self):
        pipe, generator = self.open(), Generator().manual_seed(1)
        self.request(pipe, generator=generator)
        self.assert_refused(ValueError, "manual_seed", pipe, "x", generator=generator)
        self.request(pipe, generator=generator.manual_seed(1))

    def test_a_refused_request_leaves_the_generator_fresh(self):
        pipe, generator = self.open(), Generator().manual_seed(1)
        self.fake.fail = (64, "`width` must be a multiple of 8")
        with self.assertRaises(Error):
            pipe("x", width=3, generator=generator)
        self.request(pipe, generator=generator)

    def test_guidance_up_to_one_is_none_as_in_diffusers(self):
        for scale in (1, 0.5, 0, -3):
            self.assertEqual(self.request(guidance_scale=scale)["scale"], 1.0)

    def test_what_is_refused(self):
        pipe = self.open()
        for arguments, kind, part in (
            ({"latents": object()}, ValueError, "`latents`"),
            ({"prompt_embeds": object()}, ValueError, "`prompt_embeds`"),
            ({"timesteps": [1]}, ValueError, "`timesteps`"),
            ({"ip_adapter_image": object()}, ValueError, "`ip_adapter_image`"),
            ({"clip_skip": 1}, ValueError, "`clip_skip`"),
            ({"guidance_rescale": 0.7}, ValueError, "`guidance_rescale`"),
            ({"callback_on_step_end_tensor_inputs": ["prompt_embeds"]}, ValueError, "tensor_inputs"),
            ({"callback_on_step_end_tensor_inputs": None}, TypeError, "`callback_on_step_end_tensor_inputs`"),
            ({"callback_on_step_end": 3}, TypeError, "`callback_on_step_end` must be a function"),
            ({"callback": print}, TypeError, "`callback`"),
            ({"strength": 0.5}, TypeError, "`strength`"),
            ({"output_type": "latent"}, ValueError, "'latent' is not supported"),
            ({"output_type": "pt"}, ValueError, "'pt' is not supported"),
            ({"cross_attention_kwargs": {"gligen": 1}}, ValueError, "'gligen'"),
            ({"cross_attention_kwargs": [1]}, TypeError, "`cross_attention_kwargs` must be a dictionary"),
            ({"negative_prompt": ["a", "b"]}, ValueError, "2 entries for 1 prompts"),
            ({"negative_prompt": "a\0b"}, ValueError, "`negative_prompt` has a null character at position 1"),
            ({"negative_prompt": ["ü" * 40000]}, ValueError, "`negative_prompt` has 80000 bytes"),
            ({"negative_prompt": 3}, TypeError, "`negative_prompt`"),
            ({"width": 512.5}, TypeError, "`width` must be a whole number"),
            ({"num_inference_steps": "many"}, TypeError, "`num_inference_steps`"),
            ({"guidance_scale": float("nan")}, ValueError, "`guidance_scale` must be a finite"),
            ({"guidance_scale": "much"}, TypeError, "`guidance_scale` must be a number"),
            ({"eta": float("inf")}, ValueError, "`eta`"),
            ({"num_images_per_prompt": 0}, ValueError, "`num_images_per_prompt`"),
            ({"num_images_per_prompt": 10**12}, ValueError, "`num_images_per_prompt` must be from 1 to 1024"),
            ({"generator": 42}, TypeError, "`generator`"),
        ):
            self.assert_refused(kind, part, pipe, "x", **arguments)
        for prompt, part in ((None, "NoneType"), (3, "int"), ([], "empty"), (["a", 3], "list"), ("a\udc80", "Unicode")):
            self.assert_refused(ValueError, part, pipe, prompt)
        self.assert_refused(ValueError, "one negative prompt", pipe, ["a", "b"], negative_prompt=["c", "d"])
        self.assert_refused(ValueError, "1500: give fewer texts", pipe, ["a"] * 3, num_images_per_prompt=500)
        self.assert_refused(ValueError, "70000: give fewer texts", pipe, ["a"] * 70000)
        self.request(pipe, clip_skip=None, guidance_rescale=0, callback_on_step_end_tensor_inputs=["latents"])

    def test_what_a_call_returns(self):
        pipe = self.open()
        out = pipe("x", num_images_per_prompt=2)
        self.assertEqual([image.tobytes()[0] for image in out.images], [0, 1])
        self.assertEqual(out.images[1].info["parameters"], "Größe, picture 1")
        self.assertIs(out[0], out.images)
        self.assertIs(out["images"], out.images)
        self.assertIsNone(out.nsfw_content_detected)
        images, nsfw = pipe("x", return_dict=False)
        self.assertEqual((len(images), nsfw), (1, None))

    @unittest.skipUnless(numpy, "numpy is not installed")
    def test_arrays(self):
        array = self.open()("x", num_images_per_prompt=2, output_type="np").images
        self.assertEqual((array.shape, array.dtype), ((2, 2, 2, 3), numpy.float32))
        self.assertAlmostEqual(float(array[1].max()), 2 / 255)

    @unittest.skipIf(numpy, "numpy is installed")
    def test_arrays_need_numpy(self):
        self.assert_refused(ValueError, "numpy", self.open(), "x", output_type="np")

    def test_the_library_s_sentences(self):
        pipe = self.open()
        self.fake.fail = (64, "`scale` must be from 0 to 1000, not 2000")
        with self.assertRaisesRegex(Error, "`guidance_scale` must be from 0"):
            pipe("x", guidance_scale=2000)

        def run(job):
            job.warn("the prompt was cut at 77 tokens")
            return job.take_steps()

        self.fake.run = run
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pipe("x")
        self.assertEqual([str(warning.message) for warning in caught], ["the prompt was cut at 77 tokens"])
        self.assertEqual(caught[0].filename, __file__)


class Callbacks(PipelineTest):
    def test_each_step(self):
        self.fake.settings = {"timesteps": [981, 661, 341]}
        seen = []
        pipe = self.open()
        pipe("x", callback_on_step_end=lambda *given: seen.append(given))
        self.assertEqual([given[1:3] for given in seen], [(0, 981), (1, 661), (2, 341)])
        self.assertIs(seen[0][0], pipe)
        self.assertEqual(pipe.num_timesteps, 3)
        with self.assertRaisesRegex(KeyError, "latents"):
            seen[0][3]["latents"]

    def test_interrupting(self):
        def stop(pipe, step, timestep, tensors):
            pipe._interrupt = True
            return tensors

        pipe = self.open()
        with self.assertRaises(Error) as caught:
            pipe("x", callback_on_step_end=stop)
        self.assertEqual(caught.exception.kind, "cancelled")
        self.assertTrue(pipe.interrupt)
        self.request(pipe)  # the next call begins anew

    def test_interrupting_a_call_within_a_callback(self):
        kinds = []

        def stop(pipe, step, timestep, tensors):
            pipe._interrupt = True

        def inner(pipe, step, timestep, tensors):
            if not kinds:
                try:
                    pipe("y", callback_on_step_end=stop)
                except Error as error:
                    kinds.append(error.kind)
            self.assertFalse(pipe.interrupt)

        pipe = self.open()
        pipe("x", callback_on_step_end=inner)
        self.assertEqual(kinds, ["cancelled"])
        self.assertFalse(pipe.interrupt)

    def test_interrupting_from_another_thread(self):
        def from_elsewhere(pipe, step, timestep, tensors):
            thread = threading.Thread(target=setattr, args=(pipe, "_interrupt", True))
            thread.start()
            thread.join()

        with self.assertRaises(Error) as caught:
            self.open()("x", callback_on_step_end=from_elsewhere)
        self.assertEqual(caught.exception.kind, "cancelled")

    def test_a_failed_call_is_none_that_runs(self):
        pipe = self.open()
        self.fake.fail = (64, "no")
        with self.assertRaises(Error):
            pipe("x")
        self.assertEqual(pipe._calls._running, [])

    def test_tensors_cannot_be_written(self):
        for write in (
            lambda tensors: tensors.__setitem__("latents", 0),
            lambda tensors: tensors.update(latents=0),
            lambda tensors: tensors.update({"latents": 0}),
            lambda tensors: tensors.setdefault("latents", 0),
            lambda tensors: tensors.__ior__({"latents": 0}),
        ):
            with self.assertRaisesRegex(TypeError, "'latents'. cannot be set"):
                self.open()("x", callback_on_step_end=lambda pipe, step, timestep, tensors: write(tensors) and None)

    def test_tensors_cannot_be_changed(self):
        with self.assertRaisesRegex(ValueError, "returned tensors"):
            self.open()("x", callback_on_step_end=lambda *_: {"latents": 0})

    def test_what_one_raises(self):
        def fail(*_):
            raise LookupError("mine")

        with self.assertRaisesRegex(LookupError, "mine"):
            self.open()("x", callback_on_step_end=fail)


class Opening(PipelineTest):
    def test_a_file(self):
        self.open()
        options = self.fake.models[-1]
        self.assertEqual(options.pop("name").partition("#")[0], str(self.file))
        self.assertEqual(options, {"path": str(self.file), "dtype": "auto", "precision": "full"})

    def test_the_engine_has_the_command_line_s_folders(self):
        self.open()
        self.assertEqual(
            self.fake.engines,
            [{"catch_truncated_files": True, "data_folder": str(self.root / "sumi"), "hub_cache": str(self.root)}],
        )

    def test_types(self):
        for given, dtype, precision, shown in (
            (None, "auto", "full", "float32"),
            ("float32", "auto", "full", "float32"),
            (Dtype("torch.float16"), "f16", "f16", "float16"),
            (Dtype("torch.bfloat16"), "bf16", "bf16", "bfloat16"),
            ("half", "f16", "f16", "float16"),
            ("q8_0", "q8_0", "full", "q8_0"),
        ):
            pipe = self.open(torch_dtype=given)
            options = self.fake.models[-1]
            self.assertEqual((options["dtype"], options["precision"], pipe.dtype), (dtype, precision, shown))
        for given in ("float64", Dtype("torch.int8"), 16):
            self.assert_refused(ValueError, "`torch_dtype`", self.open, torch_dtype=given)

    @unittest.skipUnless(numpy, "numpy is not installed")
    def test_numpy_s_types(self):
        for given in (numpy.float16, numpy.dtype("float16")):
            self.assertEqual(self.open(torch_dtype=given).dtype, "float16")

    def test_the_call_of_the_tutorials(self):
        snapshot = self.root / "models--CompVis--stable-diffusion-v1-4"
        (snapshot / "refs").mkdir(parents=True)
        (snapshot / "refs" / "fp16").write_text("abc")
        folder = snapshot / "snapshots" / "abc"
        folder.mkdir(parents=True)
        (folder / "model_index.json").write_text("{}")
        pipe = StableDiffusionPipeline.from_pretrained(
            "CompVis/stable-diffusion-v1-4",
            torch_dtype=Dtype("torch.float16"),
            revision="fp16",
            use_auth_token=True,
            safety_checker=None,
            requires_safety_checker=False,
            low_cpu_mem_usage=True,
            local_files_only=True,
            use_safetensors=True,
        ).to("cpu")
        self.assertEqual(self.fake.models[-1]["path"], str(folder))
        self.assertEqual(len(self.fake.models), 1)
        self.assertEqual(pipe.device.type, "cpu")

    def test_a_model_that_is_not_there(self):
        self.assert_refused(Error, "`sumi pull owner/name`", self.open, "owner/name")

    def test_unknown_arguments(self):
        for name, value in (("custom_pipeline", "x"), ("unet", object()), ("device_map", "auto")):
            self.assert_refused(TypeError, f"`{name}`", self.open, **{name: value})
        self.assert_refused(ValueError, "`safety_checker`", self.open, safety_checker=object())
        self.assert_refused(ValueError, "`feature_extractor`", self.open, feature_extractor=object())
        self.assert_refused(TypeError, "`tokenizer`", self.open, tokenizer=object())
        self.assert_refused(ValueError, "`prediction_type`", self.open, prediction_type="v")
        with self.assertRaises(TypeError):
            StableDiffusionPipeline(vae=None)

    def test_prediction_and_tokenizer(self):
        self.open(prediction_type="v_prediction", tokenizer=str(self.root))
        options = self.fake.models[-1]
        self.assertEqual((options["prediction"], options["tokenizer"]), ("v", str(self.root)))

    def test_variants(self):
        full = self.diffusers_folder()
        self.assert_refused(Error, "has no variant fp16", self.open, full, variant="fp16")
        self.assert_refused(Error, "has no variant fp16", self.open, self.file, variant="fp16")
        self.assert_refused(ValueError, "`variant`", self.open, full, variant="ema")
        half = self.diffusers_folder(files=["unet/diffusion_pytorch_model.fp16.safetensors"])
        self.assertEqual(self.open(half, variant="fp16").dtype, "float16")
        self.assertEqual(self.open(half, variant="fp16", torch_dtype="float32").dtype, "float32")

    def test_a_revision_that_was_not_recorded(self):
        pulled = self.root / "sumi" / "models" / "a--b"
        pulled.mkdir(parents=True)
        (pulled / "model_index.json").write_text("{}")
        with self.assertWarnsRegex(UserWarning, "revision 'fp16' was not applied") as caught:
            self.open("a/b", revision="fp16")
        self.assertEqual(caught.filename, __file__)
        with self.assertWarnsRegex(UserWarning, "revision 'fp16' was not applied"):
            self.open(revision="fp16")
        with self.assertWarnsRegex(UserWarning, "revision 'fp16' was not applied"):
            StableDiffusionPipeline.from_single_file(self.file, revision="fp16")

    def test_what_the_library_says_of_a_model_is_told(self):
        self.fake.info["warnings"] = ["the model names no `sampler`", "it is odd"]
        for opened in (StableDiffusionPipeline.from_pretrained, StableDiffusionPipeline.from_single_file):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                pipe = opened(self.file)
                pipe.to("float16")  # nothing new
            self.assertEqual([str(one.message) for one in caught], ["the model names no `scheduler`", "it is odd"])
            self.assertEqual({one.filename for one in caught}, {__file__})

    def test_a_safety_checker_is_told_of(self):
        folder = self.diffusers_folder(safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
        with self.assertWarnsRegex(UserWarning, "safety checker, which sumi does not run") as caught:
            pipe = self.open(folder)
        self.assertEqual(caught.filename, __file__)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.open(folder, safety_checker=None)
        pipe.safety_checker = None
        with self.assertRaises(ValueError):
            pipe.safety_checker = lambda images, **_: (images, None)

    def test_single_files(self):
        config = self.root / "v1.yaml"
        config.write_text("")
        StableDiffusionPipeline.from_single_file(self.file, config=str(config), torch_dtype="float16")
        options = self.fake.models[-1]
        self.assertEqual((options["config"], options["dtype"]), (str(config), "f16"))
        single = StableDiffusionPipeline.from_single_file
        self.assert_refused(Error, "`config`", single, self.file, config="owner/name")
        self.assert_refused(ValueError, "mean the same", single, self.file, config=config, original_config=config)
        self.assert_refused(Error, "from_pretrained", single, self.diffusers_folder())
        self.assert_refused(TypeError, "`scheduler_type`", single, self.file, scheduler_type="ddim")
        self.assert_refused(Error, "nothing is downloaded", single, "https://example.org/model.ckpt")


class Moving(PipelineTest):
    def test_where_there_is_no_graphics_card(self):
        pipe = self.open()
        for device in ("cuda", "cuda:1", Dtype("cuda"), "cpu:1", "tpu"):
            with self.assertRaisesRegex(Error, "computes on cpu") as caught:
                pipe.to(device)
            self.assertEqual(caught.exception.kind, "unavailable")

    def test_to_where_it_is(self):
        pipe = self.open()
        self.assertIs(pipe.to("cpu").to(Dtype("cpu")).to(device="cpu").to("float32"), pipe)
        self.assertEqual(len(self.fake.models), 1)

    def test_another_type(self):
        pipe = self.open()
        pipe.to("cpu", Dtype("torch.float16"))
        self.assertEqual((self.fake.models[-1]["dtype"], pipe.dtype), ("f16", "float16"))
        pipe.to(dtype=Dtype("torch.float32"))
        self.assertEqual((self.fake.models[-1]["dtype"], pipe.dtype), ("auto", "float32"))
        self.assertEqual(len(self.fake.models), 3)


    def test_what_to_does_not_take(self):
        pipe = self.open()
        for arguments, options, part in (
            (("cpu",), {"device": "cuda"}, "`device` is given twice, as 'cuda' and 'cpu'"),
            (("cpu", "cpu"), {}, "`device` is given twice"),
            (("cpu", "float16", "float32"), {}, "`dtype` is given twice"),
            (("float16",), {"dtype": "float32"}, "`dtype` is given twice"),
        ):
            self.assert_refused(TypeError, part, pipe.to, *arguments, **options)
        for name in ("float64", "fp16", "bf16", "int8", "uint8", "double", "q5_k", "float8_e4m3fn"):
            self.assert_refused(ValueError, f"`dtype`: '{name}' is not supported", pipe.to, name)
        self.assert_refused(ValueError, "`dtype`: 'int8' is not supported", pipe.to, Dtype("torch.int8"))
        self.assertEqual((len(self.fake.models), pipe.dtype), (1, "float32"))


class OfSchedulers(PipelineTest):
    def test_a_folder_s_own(self):
        pipe = self.open(self.diffusers_folder())
        self.assertIsInstance(pipe.scheduler, sumi.PNDMScheduler)
        request = self.request(pipe)
        self.assertEqual((request["sampler"], request["schedule"]), ("plms", "leading"))

    def test_one_named_by_the_library(self):
        self.fake.info = {"prediction": "eps", "sampler": "dpmpp_2m", "schedule": "karras"}
        request = self.request()
        self.assertEqual((request["sampler"], request["schedule"]), ("dpmpp_2m", "karras"))

    def test_replacing_it(self):
        for pipe in (self.open(), self.open(self.diffusers_folder()), self.open(self.diffusers_folder(None))):
            pipe.scheduler = sumi.DPMSolverMultistepScheduler.from_config(pipe.scheduler.config, use_karras_sigmas=True)
            self.assertEqual(self.request(pipe)["schedule"], "linspace_karras")
            pipe.scheduler = "EulerDiscreteScheduler"
            self.assertEqual(self.request(pipe)["sampler"], "euler")
            pipe.scheduler = "Euler a"
            self.assertEqual(
                (self.request(pipe)["sampler"], "schedule" in self.request(pipe)), ("euler_ancestral", False)
            )

    def test_refused_ones_leave_the_old(self):
        pipe = self.open(self.diffusers_folder())
        for scheduler in (
            "nothing",
            sumi.EulerDiscreteScheduler(),  # with other betas
            sumi.DDIMScheduler.from_config(STABLE_DIFFUSION, thresholding=True),
            sumi.DDIMScheduler.from_config(STABLE_DIFFUSION, prediction_type="v_prediction"),
        ):
            with self.assertRaises(ValueError):
                pipe.scheduler = scheduler
        self.assertIsInstance(pipe.scheduler, sumi.PNDMScheduler)

    def test_one_that_sumi_does_not_have_is_refused_by_the_call(self):
        pipe = self.open(self.diffusers_folder({**STABLE_DIFFUSION, "_class_name": "DEISMultistepScheduler"}))
        self.assert_refused(ValueError, "DEISMultistepScheduler", pipe, "x")
        pipe.scheduler = sumi.DDIMScheduler.from_config(pipe.scheduler.config)
        self.request(pipe)

    def test_given_to_the_constructor_it_is_corrected_as_in_diffusers(self):
        ddim = sumi.DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False
        )
        pipe = self.open(scheduler=ddim)
        self.assertEqual(self.request(pipe)["schedule"], "leading")
        with self.assertRaisesRegex(ValueError, "steps_offset"):
            pipe.scheduler = ddim

    def test_a_velocity_model(self):
        self.fake.info = {"prediction": "v", "sampler": "", "schedule": ""}
        pipe = self.open(self.diffusers_folder(), prediction_type="v_prediction")
        pipe.scheduler = sumi.EulerDiscreteScheduler.from_config(pipe.scheduler.config)
        self.request(pipe)

    def test_a_model_with_its_own_noise(self):
        self.file.write_bytes(b"\x1c\0\0\0\0\0\0\0" + b'{"sumi.config": "model: ..."}')
        pipe = self.open()
        pipe.scheduler = sumi.DDIMScheduler.from_config(pipe.scheduler.config)
        self.request(pipe)
        with self.assertRaisesRegex(ValueError, "configuration of its own"):
            pipe.scheduler = sumi.LMSDiscreteScheduler(beta_start=0.00085, beta_schedule="scaled_linear")


class OfLoras(PipelineTest):
    def setUp(self):
        super().setUp()
        self.lora = self.root / "style.safetensors"
        self.lora.write_text("")
        self.pipe = self.open()

    def weights(self, **arguments):
        return [(lora["file"], lora["weight"]) for lora in self.request(self.pipe, **arguments)["loras"]]

    def test_load_scale_and_unload(self):
        self.pipe.load_lora_weights(self.lora)
        self.assertEqual(self.weights(), [(str(self.lora), 1.0)])
        self.assertEqual(self.weights(cross_attention_kwargs={"scale": 0.5}), [(str(self.lora), 0.5)])
        self.pipe.unload_lora_weights()
        self.assertEqual(self.weights(), [])

    def test_by_folder_and_name(self):
        self.pipe.load_lora_weights(str(self.root), weight_name="style.safetensors", adapter_name="style")
        self.pipe.set_adapters("style", 0.75)
        self.assertEqual(self.weights(), [(str(self.lora), 0.75)])
        self.assertEqual(self.pipe.get_active_adapters(), ["style"])
        self.assertEqual(self.pipe.get_list_adapters(), {"unet": ["style"], "text_encoder": ["style"]})

    def test_fusing(self):
        self.pipe.load_lora_weights(self.lora)
        self.pipe.fuse_lora(lora_scale=0.5)
        self.pipe.unload_lora_weights()
        self.assertEqual(self.weights(cross_attention_kwargs={"scale": 3}), [(str(self.lora), 0.5)])
        self.pipe.unfuse_lora()
        self.assertEqual(self.weights(), [])

    def test_refusals(self):
        self.assert_refused(TypeError, "`hotswap`", self.pipe.load_lora_weights, self.lora, hotswap=True)
        self.assert_refused(Error, "no such file", self.pipe.load_lora_weights, "nowhere.safetensors")
        self.assert_refused(ValueError, "`components`", self.pipe.fuse_lora, components=["unet"])
        self.assert_refused(ValueError, "`safe_fusing`", self.pipe.fuse_lora, safe_fusing=True)
        self.assert_refused(ValueError, "'scale'", self.pipe, "x", cross_attention_kwargs={"scale": float("nan")})


class Attributes(PipelineTest):
    def test_tiles(self):
        pipe = self.open()
        pipe.enable_vae_tiling()
        self.assertTrue(self.request(pipe)["tiled_decode"])
        pipe.disable_vae_tiling()
        self.assertFalse(self.request(pipe)["tiled_decode"])

    def test_what_has_no_effect_says_so_once(self):
        sumi.no_effect._told.clear()
        pipe = self.open()
        with self.assertWarnsRegex(UserWarning, "enable_attention_slicing has no effect"):
            pipe.enable_attention_slicing("max")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pipe.enable_attention_slicing()

    def test_parts_that_cannot_be_reached(self):
        pipe = self.open()
        for name in ("unet", "vae", "text_encoder", "tokenizer", "encode_prompt", "enable_freeu", "_guidance_scale"):
            with self.assertRaisesRegex(AttributeError, f"{name}: "):
                getattr(pipe, name)
            with self.assertRaisesRegex(AttributeError, f"{name}: "):
                setattr(pipe, name, None)
        self.assertFalse(hasattr(pipe, "anything_else"))

    def test_arguments_of_a_call_are_no_attributes(self):
        pipe = self.open()
        for name in ("guidance_scale", "clip_skip", "num_inference_steps", "cross_attention_kwargs", "prompt"):
            with self.assertRaisesRegex(AttributeError, f"{name}: it is"):
                setattr(pipe, name, 2)

    def test_the_progress_bar(self):
        pipe = self.open()
        pipe.set_progress_bar_config(disable=True)
        self.request(pipe)
        with self.assertRaisesRegex(TypeError, "`colour`"):
            pipe.set_progress_bar_config(colour="red")


class Progress(unittest.TestCase):
    class Terminal:
        def __init__(self):
            self.text = ""

        def isatty(self):
            return True

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    def test_on_a_terminal(self):
        for options, shown in (({"desc": "drawing"}, True), ({"disable": True}, False)):
            with mock.patch("sys.stderr", self.Terminal()) as terminal:
                bar = sumi.pipeline.Progress(**options)
                for done in range(3):
                    bar.update(done, 2)
                bar.close()
            self.assertEqual("drawing: [" in terminal.text and "2/2" in terminal.text, shown)
            self.assertEqual(terminal.text.endswith("\n"), shown)


class Packaging(unittest.TestCase):
    def test_the_version_is_the_project_s(self):
        lists = Path(__file__).parents[2] / "CMakeLists.txt"
        self.assertRegex(lists.read_text(), rf"project\(sumi VERSION {sumi.__version__} ")

    def test_every_function_of_the_header_is_declared(self):
        header = (Path(__file__).parents[2] / "include" / "sumi.h").read_text()
        declared = re.findall(r"^SUMI_C_API [^(]*?(\w+)\(", header, re.MULTILINE)
        self.assertEqual(sorted(declared), sorted(sumi.library._FUNCTIONS))
        for name in declared:
            self.assertTrue(hasattr(Fake(), name))


if __name__ == "__main__":
    unittest.main()
