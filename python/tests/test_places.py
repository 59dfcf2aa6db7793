"""Where models and LoRAs are looked for."""

import os
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import sumi
from sumi import Error
from sumi.adapters import find_lora
from sumi.places import data_folder, find_file, find_model, find_repository, hub_cache, is_repository_name


class PlacesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.environment = {"SUMI_HOME": str(self.root / "sumi"), "HF_HUB_CACHE": str(self.root / "hub")}
        patch = mock.patch.dict(os.environ, self.environment, clear=True)
        patch.start()
        self.addCleanup(patch.stop)

    def make(self, *parts, text=""):
        file = self.root.joinpath(*parts)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def cache(self, revision, commit, file="model_index.json"):
        self.make("hub", "models--a--b", "refs", revision, text=commit)
        return self.make("hub", "models--a--b", "snapshots", commit, file)

    def assert_refused(self, kind, part, function, *arguments, **options):
        with self.assertRaises(Error) as caught:
            function(*arguments, **options)
        self.assertEqual(caught.exception.kind, kind)
        self.assertIn(part, str(caught.exception))


class FoldersOfTheEnvironment(PlacesTest):
    def folders(self, **environment):
        with mock.patch.dict(os.environ, environment, clear=True):
            return data_folder(), hub_cache()

    def test_the_first_that_is_set_counts_and_an_empty_one_is_unset(self):
        home = {"HOME": "/home/x"}
        self.assertEqual(self.folders(), (None, None))
        self.assertEqual(
            self.folders(**home), (Path("/home/x/.local/share/sumi"), Path("/home/x/.cache/huggingface/hub"))
        )
        self.assertEqual(
            self.folders(**home, XDG_DATA_HOME="/data", HF_HOME="/hf"), (Path("/data/sumi"), Path("/hf/hub"))
        )
        self.assertEqual(
            self.folders(**home, XDG_DATA_HOME="/data", SUMI_HOME="/own", HF_HOME="/hf", HF_HUB_CACHE="/cache"),
            (Path("/own"), Path("/cache")),
        )
        self.assertEqual(self.folders(SUMI_HOME="", HF_HUB_CACHE=""), (None, None))


class Repositories(PlacesTest):
    def test_names(self):
        for name in ("CompVis/stable-diffusion-v1-4", "a/b", "a_b/c.d"):
            self.assertTrue(is_repository_name(name), name)
        for name in ("a", "a/b/c", "../b", "a/..", ".a/b", "a/b..c", "a b/c", "a/", "/b", "a/b\n"):
            self.assertFalse(is_repository_name(name), name)

    def test_what_sumi_pulled_comes_first(self):
        self.cache("main", "c0ffee")
        pulled = self.make("sumi", "models", "a--b", "model_index.json").parent
        self.assertEqual(find_model("a/b"), pulled)

    def test_a_revision_is_looked_up_in_the_cache(self):
        self.make("sumi", "models", "a--b", "model_index.json")
        self.cache("main", "c0ffee")
        fp16 = self.cache("fp16", "decade").parent
        self.assertEqual(find_model("a/b", "fp16"), fp16)
        self.assertEqual(find_model("a/b", "c0ffee").name, "c0ffee")

    def test_what_was_pulled_stands_for_a_revision_that_is_nowhere_else(self):
        self.make("sumi", "models", "a--b", "model_index.json")
        with self.assertWarnsRegex(UserWarning, "revision 'fp16' was not applied"):
            find_model("a/b", "fp16")

    def test_a_revision_that_is_not_applied_is_told_of_everywhere(self):
        file = self.make("sumi", "models", "a--b", "v1.safetensors")
        self.make("sumi", "models", "a--b", "scheduler_config.json", text="{}")
        for function, *arguments in (
            (find_model, file, "fp16"),
            (find_model, file.parent, "fp16"),
            (find_model, "a/b", "fp16"),
            (find_file, file, "fp16"),
            (find_file, "a/b/v1.safetensors", "fp16"),
            (find_file, "https://hub.example/a/b/blob/fp16/v1.safetensors"),
            (find_lora, file, None, None, "fp16"),
            (find_lora, file.parent, None, None, "fp16"),
            (find_lora, "a/b", None, None, "fp16"),
        ):
            with self.assertWarnsRegex(UserWarning, "revision 'fp16' was not applied") as caught:
                function(*arguments)
            self.assertEqual(caught.filename, __file__)
            self.assertEqual(len(caught.warnings), 1)
        for name in (file.parent, "a/b"):
            with self.assertWarnsRegex(UserWarning, "revision 'fp16' was not applied"):
                sumi.DDIMScheduler.from_pretrained(name, revision="fp16")

    def test_a_revision_that_is_applied_or_not_given_is_not(self):
        self.cache("fp16", "decade", "v1.safetensors")
        file = self.make("sumi", "models", "a--b", "v1.safetensors")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            find_model("a/b", "fp16")
            find_file("https://hub.example/a/b/blob/fp16/v1.safetensors")
            find_file("https://hub.example/a/b/blob/main/v1.safetensors")
            find_lora("a/b", revision="decade")
            find_lora(file)

    def test_another_cache(self):
        self.make("other", "models--a--b", "refs", "main", text="abc\n")
        snapshot = self.make("other", "models--a--b", "snapshots", "abc", "model_index.json").parent
        self.assertEqual(find_model("a/b", cache_dir=self.root / "other"), snapshot)

    def test_missing_ones_are_to_be_pulled(self):
        self.assert_refused("no_input", "`sumi pull a/b`", find_model, "a/b")
        self.assert_refused("no_input", "`sumi pull a/b --revision fp16`", find_model, "a/b", "fp16")
        self.cache("main", "c0ffee")
        self.assert_refused("no_input", "fp16", find_model, "a/b", "fp16")
        for revision in ("../../../etc", "../main", "a/../../b"):
            self.assert_refused("no_input", "sumi pull", find_repository, "a/b", revision)

    def test_a_reference_leads_nowhere_else(self):
        self.make("hub", "models--a--b", "refs", "main", text="../../other")
        self.make("hub", "models--a--b", "snapshots", "x")
        self.make("hub", "other", "model_index.json")
        self.assert_refused("no_input", "sumi pull", find_repository, "a/b")


class Models(PlacesTest):
    def test_a_folder_is_a_model_or_has_one_checkpoint(self):
        self.make("m", "notes.txt")
        self.assert_refused("no_input", "neither", find_model, self.root / "m")
        one = self.make("m", "one.safetensors")
        self.assertEqual(find_model(self.root / "m"), one)
        self.make("m", "two.ckpt")
        self.assert_refused("data", "one.safetensors, two.ckpt", find_model, self.root / "m")
        self.make("m", "model_index.json")
        self.assertEqual(find_model(str(self.root / "m")), self.root / "m")

    def test_a_file_and_no_file(self):
        file = self.make("m.ckpt")
        self.assertEqual(find_model(file), file)
        self.assert_refused("no_input", "owner/name", find_model, "nowhere.ckpt")
        for name in ("/nowhere/at/all", "x" * 5000, "a\0b", ""):
            self.assert_refused("no_input", "", find_model, name)
            self.assert_refused("no_input", "", find_file, name)
            self.assert_refused("no_input", "", find_lora, name + ".safetensors")

    def test_files_of_a_repository(self):
        file = self.make("sumi", "models", "a--b", "v1.safetensors")
        self.assertEqual(find_file("a/b/v1.safetensors"), file)
        self.assertEqual(find_file("https://hub.example/a/b/blob/main/v1.safetensors"), file)
        self.assert_refused("no_input", "sumi pull a/b", find_file, "a/b/v2.safetensors")
        self.assert_refused("no_input", "sumi pull c/d", find_file, "https://hub.example/c/d/resolve/main/x.ckpt")
        self.assert_refused("no_input", "nothing is downloaded", find_file, "https://hub.example/x.ckpt")
        for name in ("x.ckpt", "a/b", "a/b/../c--d/x"):
            self.assert_refused("no_input", "no such file", find_file, name)


class Loras(PlacesTest):
    def test_by_file_folder_and_name(self):
        file = self.make("loras", "style.safetensors")
        self.assertEqual(find_lora(file), file)
        self.assertEqual(find_lora(file.parent), file)
        self.assertEqual(find_lora(file.parent, weight_name="style.safetensors"), file)
        self.assertEqual(find_lora(self.root, subfolder="loras"), file)
        pulled = self.make("sumi", "models", "a--b", "pytorch_lora_weights.safetensors")
        self.make("sumi", "models", "a--b", "other.safetensors")
        self.assertEqual(find_lora("a/b"), pulled)

    def test_a_file_has_no_files(self):
        file = self.make("loras", "style.safetensors")
        for name in ("weight_name", "subfolder"):
            with self.assertRaisesRegex(ValueError, f"`{name}` is 'other', but .*style.safetensors is a file"):
                find_lora(file, **{name: "other"})

    def test_an_empty_name_is_not_the_current_folder(self):
        self.make("style.safetensors")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root)
        self.assert_refused("no_input", "empty", find_lora, "")
        self.assertEqual(find_lora("."), Path("style.safetensors"))

    def test_what_is_not_there_or_not_clear(self):
        self.make("loras", "notes.txt")
        self.assert_refused("no_input", "holds no LoRA", find_lora, self.root / "loras")
        self.make("loras", "a.safetensors")
        self.make("loras", "b.safetensors")
        self.assert_refused("data", "weight_name", find_lora, self.root / "loras")
        self.assert_refused("no_input", "no such file", find_lora, self.root / "loras", weight_name="c.safetensors")
        self.assert_refused("no_input", "no such file", find_lora, self.root / "nowhere.safetensors")
        self.assert_refused("no_input", "sumi pull a/b", find_lora, "a/b")
        with self.assertRaises(TypeError):
            find_lora({})


if __name__ == "__main__":
    unittest.main()
