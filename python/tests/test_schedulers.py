"""Diffusers' schedulers as samplers and schedules."""

import json
import os
import struct
import tempfile
import unittest
from pathlib import Path

import sumi
from sumi.scheduler import Config, Scheduler, UnsupportedScheduler, read_config
from sumi.schedulers import CLASSES, adopt_scheduler, find_class, scheduler_of_model

from fake_library import SAMPLERS, SCHEDULES

# As in Stable Diffusion's folders.
STABLE_DIFFUSION = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
NOISE = {name: STABLE_DIFFUSION[name] for name in ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")}
GOLDEN = Path(__file__).parents[2] / "tests" / "data" / "tiny_samplers_diffusers.safetensors"


def golden_classes():
    """Name of a reference latent: diffusers' class that made it."""
    with open(GOLDEN, "rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        metadata = json.loads(stream.read(length))["__metadata__"]
    return {key[len("class.") :]: value for key, value in metadata.items() if key.startswith("class.")}


class ClassesTest(unittest.TestCase):
    def test_the_references_made_by_diffusers(self):
        """Samplers are tested against these latents by name; here each class finds the name."""
        classes = golden_classes()
        self.assertGreater(len(classes), 30)
        for name, class_name in classes.items():
            sampler, _, spacing = name.replace("vpred_", "").rpartition("_")
            arguments = {"use_karras_sigmas": True} if spacing == "karras" else {"timestep_spacing": spacing}
            if name == "lcm":
                sampler, arguments = "lcm", {}
            if sampler == "dpmpp_2m_sde":
                arguments["algorithm_type"] = "sde-dpmsolver++"
            schedule = {"karras": "karras" if sampler == "euler" else "linspace_karras", "": None}.get(spacing, spacing)
            scheduler = find_class(class_name).from_config(STABLE_DIFFUSION, **arguments)
            self.assertEqual(scheduler.resolve(), (sampler, schedule if name != "lcm" else None), name)

    def test_defaults_are_those_of_diffusers(self):
        spacings = {
            "DDIMScheduler": ("ddim", "leading"),
            "PNDMScheduler": ("plms", "leading"),
            "DDPMScheduler": ("ddpm", "leading"),
            "LMSDiscreteScheduler": ("lms", "linspace"),
            "EulerDiscreteScheduler": ("euler", "linspace"),
            "EulerAncestralDiscreteScheduler": ("euler_ancestral", "linspace"),
            "HeunDiscreteScheduler": ("heun", "linspace"),
            "KDPM2DiscreteScheduler": ("dpm_2", "linspace"),
            "KDPM2AncestralDiscreteScheduler": ("dpm_2_ancestral", "linspace"),
            "DPMSolverSDEScheduler": ("dpmpp_sde", "linspace"),
            "DPMSolverMultistepScheduler": ("dpmpp_2m", "linspace"),
            "UniPCMultistepScheduler": ("unipc", "linspace"),
            "LCMScheduler": ("lcm", None),
        }
        self.assertEqual(set(spacings), set(CLASSES))
        for name, expected in spacings.items():
            scheduler = CLASSES[name].from_config(STABLE_DIFFUSION)
            self.assertEqual(scheduler.resolve(), expected, name)
            scheduler.check_model(NOISE, "epsilon")
            self.assertIs(getattr(sumi, name), CLASSES[name])

    def test_defaults_of_one_class_do_not_reach_the_next(self):
        euler = sumi.EulerDiscreteScheduler.from_config(STABLE_DIFFUSION)
        ddim = sumi.DDIMScheduler.from_config(euler.config)
        self.assertEqual(ddim.schedule, "leading")
        ddim.check_model(NOISE, "epsilon")
        trailing = sumi.EulerDiscreteScheduler.from_config(STABLE_DIFFUSION, timestep_spacing="trailing")
        self.assertEqual(sumi.DDIMScheduler.from_config(trailing.config).schedule, "trailing")

    def test_the_scheduler_of_the_first_tutorials(self):
        lms = sumi.LMSDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
        lms.check_model(NOISE, "epsilon")
        self.assertEqual(lms.request(), {"sampler": "lms", "schedule": "linspace"})
        self.assertEqual(lms.config.beta_start, 0.00085)
        self.assertEqual(lms.config["timestep_spacing"], "linspace")

    def test_karras_on_other_grids(self):
        karras = {"use_karras_sigmas": True}
        with self.assertRaisesRegex(ValueError, "timestep_spacing='leading'"):
            sumi.EulerDiscreteScheduler.from_config(STABLE_DIFFUSION, timestep_spacing="leading", **karras).resolve()
        solver = sumi.DPMSolverMultistepScheduler.from_config(STABLE_DIFFUSION, timestep_spacing="trailing", **karras)
        self.assertEqual(solver.resolve(), ("dpmpp_2m", "linspace_karras"))
        euler = sumi.EulerDiscreteScheduler.from_config(STABLE_DIFFUSION, use_exponential_sigmas=True)
        self.assertEqual(euler.schedule, "exponential")

    def test_refused_values_name_the_argument(self):
        for cls, arguments in (
            (sumi.DDIMScheduler, {"thresholding": True}),
            (sumi.DDIMScheduler, {"rescale_betas_zero_snr": True}),
            (sumi.DDIMScheduler, {"steps_offset": 0}),
            (sumi.DDIMScheduler, {"timestep_spacing": "zigzag"}),
            (sumi.DDIMScheduler, {"trained_betas": [0.1]}),
            (sumi.DDPMScheduler, {"variance_type": "learned"}),
            (sumi.PNDMScheduler, {"skip_prk_steps": False}),
            (sumi.PNDMScheduler, {"timestep_spacing": "trailing"}),
            (sumi.EulerDiscreteScheduler, {"interpolation_type": "log_linear"}),
            (sumi.EulerDiscreteScheduler, {"use_beta_sigmas": True}),
            (sumi.DPMSolverSDEScheduler, {"noise_sampler_seed": 1}),
            (sumi.DPMSolverMultistepScheduler, {"solver_order": 3}),
            (sumi.DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver"}),
            (sumi.DPMSolverMultistepScheduler, {"use_exponential_sigmas": True}),
            (sumi.DPMSolverMultistepScheduler, {"euler_at_final": True}),
            (sumi.UniPCMultistepScheduler, {"disable_corrector": [0]}),
            (sumi.LCMScheduler, {"original_inference_steps": 40}),
        ):
            with self.assertRaisesRegex(ValueError, f"{cls.__name__}: {next(iter(arguments))}="):
                cls.from_config(STABLE_DIFFUSION, **arguments).resolve()
        with self.assertRaisesRegex(ValueError, "use_exponential_sigmas"):
            sumi.EulerDiscreteScheduler(use_karras_sigmas=True, use_exponential_sigmas=True).resolve()

    def test_unknown_arguments(self):
        with self.assertRaisesRegex(TypeError, "`spacing`"):
            sumi.DDIMScheduler(spacing="leading")
        with self.assertRaisesRegex(TypeError, "`use_karras_sigmas`"):
            sumi.DDIMScheduler.from_config(STABLE_DIFFUSION, use_karras_sigmas=True)

    def test_a_default_that_sumi_cannot_do_is_refused_too(self):
        with self.assertRaisesRegex(ValueError, "clip_sample=True, diffusers' default,"):
            sumi.DDIMScheduler().resolve()
        self.assertIn("unsupported", repr(sumi.DDIMScheduler()))


class OfAModel(unittest.TestCase):
    def test_its_own(self):
        scheduler = scheduler_of_model(STABLE_DIFFUSION)
        self.assertIsInstance(scheduler, sumi.PNDMScheduler)
        self.assertEqual(scheduler.request(), {"sampler": "plms", "schedule": "leading"})
        self.assertIn("plms leading", repr(scheduler))

    def test_what_the_pipeline_corrects(self):
        outdated = {**STABLE_DIFFUSION, "steps_offset": 0, "_class_name": "DDIMScheduler", "clip_sample": True}
        self.assertEqual(scheduler_of_model(outdated).resolve(), ("ddim", "leading"))

    def test_one_that_sumi_does_not_have(self):
        scheduler = scheduler_of_model({**STABLE_DIFFUSION, "_class_name": "DEISMultistepScheduler"})
        self.assertIsInstance(scheduler, UnsupportedScheduler)
        with self.assertRaisesRegex(ValueError, "DEISMultistepScheduler is not"):
            scheduler.request()
        self.assertEqual(sumi.DDIMScheduler.from_config(scheduler.config).sampler, "ddim")
        for config in ({}, {"_class_name": ["custom", "x"]}):
            self.assertIsInstance(scheduler_of_model(config), UnsupportedScheduler)

    def test_another_model_s(self):
        for change in ({"beta_end": 0.02}, {"beta_schedule": "linear"}, {"num_train_timesteps": 500}):
            scheduler = sumi.DDIMScheduler.from_config({**STABLE_DIFFUSION, **change})
            with self.assertRaisesRegex(ValueError, next(iter(change))):
                scheduler.check_model(NOISE, "epsilon")
        velocity = sumi.DDIMScheduler.from_config(STABLE_DIFFUSION, prediction_type="v_prediction")
        velocity.check_model(NOISE, "v_prediction")
        with self.assertRaisesRegex(ValueError, "prediction_type"):
            velocity.check_model(NOISE, "epsilon")

    def test_a_model_with_a_forward_process_of_its_own(self):
        with self.assertRaisesRegex(ValueError, "configuration of its own"):
            sumi.DDIMScheduler.from_config(STABLE_DIFFUSION).check_model(None, "epsilon")
        unknown = {**STABLE_DIFFUSION, **dict.fromkeys(NOISE)}
        sumi.DDIMScheduler.from_config(unknown).check_model(None, "epsilon")


class EulerDiscreteScheduler:
    """Stands for diffusers' own."""

    def __init__(self, **config):
        self.config = config


class Assigned(unittest.TestCase):
    def adopt(self, value):
        return adopt_scheduler(value, STABLE_DIFFUSION, SAMPLERS, SCHEDULES)

    def test_names(self):
        for name, expected in (
            ("ddim", ("ddim", None)),
            ("Euler A", ("euler_ancestral", None)),
            ("DPM++ 2M Karras", ("dpmpp_2m", "karras")),
            ("dpmpp_2m normal", ("dpmpp_2m", "discrete")),
            ("EulerDiscreteScheduler", ("euler", "linspace")),
        ):
            self.assertEqual(self.adopt(name).resolve(), expected)
            self.assertEqual(self.adopt(name).config.beta_end, 0.012)  # for the class that comes next
        for name in ("", "fast", "ddim fast", "FastScheduler"):
            with self.assertRaisesRegex(ValueError, "ddim|DDIMScheduler"):
                self.adopt(name)

    def test_objects(self):
        self.assertEqual(self.adopt(Scheduler("ddim")).resolve(), ("ddim", None))
        mine = sumi.DDIMScheduler.from_config(STABLE_DIFFUSION)
        self.assertIs(self.adopt(mine), mine)
        config = {**STABLE_DIFFUSION, "timestep_spacing": "trailing", "_use_default_values": ["timestep_spacing"]}
        self.assertEqual(self.adopt(EulerDiscreteScheduler(**config)).resolve(), ("euler", "trailing"))
        self.assertEqual(self.adopt(EulerDiscreteScheduler(**config)).corrected().resolve(), ("euler", "trailing"))
        for thing in (None, 3, sumi.DDIMScheduler, object()):
            with self.assertRaises(TypeError):
                self.adopt(thing)


    def test_what_comes_after_an_object_of_diffusers(self):
        """As diffusers' EulerDiscreteScheduler.from_config leaves it: what the class does not know is kept."""
        config = {
            **STABLE_DIFFUSION,
            "timestep_spacing": "linspace",
            "use_karras_sigmas": False,
            "prediction_type": "epsilon",
            "_use_default_values": ["timestep_spacing", "use_karras_sigmas", "prediction_type"],
        }
        adopted = self.adopt(EulerDiscreteScheduler(**config))
        for euler in (adopted, adopted.corrected()):
            self.assertEqual(euler.resolve(), ("euler", "linspace"))
            ddim = adopt_scheduler("DDIMScheduler", euler.config, SAMPLERS, SCHEDULES)
            self.assertEqual(ddim.resolve(), ("ddim", "leading"))
            ddim.check_model(NOISE, "epsilon")
        config["_use_default_values"] = []
        adopted = self.adopt(EulerDiscreteScheduler(**config))
        chosen = adopt_scheduler("DDIMScheduler", adopted.config, SAMPLERS, SCHEDULES)
        self.assertEqual(chosen.resolve(), ("ddim", "linspace"))


class Files(unittest.TestCase):
    def test_from_a_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "scheduler"))
            file = Path(folder, "scheduler", "scheduler_config.json")
            file.write_text(json.dumps(STABLE_DIFFUSION))
            scheduler = sumi.EulerDiscreteScheduler.from_pretrained(
                folder, subfolder="scheduler", timestep_spacing="trailing"
            )
            self.assertEqual(scheduler.resolve(), ("euler", "trailing"))
            for text in ("", "[]", "{", "[" * 100000):
                file.write_text(text)
                with self.assertRaisesRegex(sumi.Error, "JSON"):
                    read_config(file.parent)
            with self.assertRaisesRegex(sumi.Error, "cannot be read"):
                sumi.DDIMScheduler.from_pretrained(folder)

    def test_attributes_of_a_configuration(self):
        with self.assertRaises(AttributeError):
            Config().beta_start


if __name__ == "__main__":
    unittest.main()
