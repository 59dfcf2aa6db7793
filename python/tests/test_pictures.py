"""Pipelines that are given pictures, over a fake library: what reaches the library, and what is refused before."""

import base64
import io
import struct
import unittest
import zlib

import sumi
from sumi import (
    ControlNetModel,
    Error,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
)

from test_pipeline import PipelineTest

try:
    import numpy
except ImportError:
    numpy = None
try:
    import PIL.Image
except ImportError:
    PIL = None

PICTURE = sumi.Image((2, 1), b"\1\2\3\4\5\6")


def unpack(uri):
    """Size and RGB of a PNG in a data URI whose rows have no filter."""
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64", head
    data = base64.b64decode(body)
    width, height = struct.unpack(">II", data[16:24])
    at, packed = 8, b""
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, chunk = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + chunk)
        packed += chunk if kind == b"IDAT" else b""
        at += 12 + size
    raw, row = zlib.decompress(packed), 3 * width + 1
    return (width, height), b"".join(raw[y * row + 1 : (y + 1) * row] for y in range(height))


class PicturesTest(PipelineTest):
    def made(self, kind, **options):
        return kind.from_pretrained(self.file, **options)

    def asked(self, pipe, *arguments, **options):
        pipe(*arguments, **options)
        return self.fake.requests[-1]


class ImageToImage(PicturesTest):
    def test_what_arrives(self):
        request = self.asked(self.made(StableDiffusionImg2ImgPipeline), "a", PICTURE, num_inference_steps=5)
        self.assertEqual(unpack(request["init"]), ((2, 1), b"\1\2\3\4\5\6"))
        self.assertEqual((request["strength"], request["convention"], request["steps"]), (0.8, "diffusers", 5))
        self.assertNotIn("width", request)

    def test_a_path_stays_a_path(self):
        file = self.root / "a.png"
        file.write_bytes(b"x")
        for path in (file, str(file), [file]):
            request = self.asked(self.made(StableDiffusionImg2ImgPipeline), "a", image=path, strength=0.5)
            self.assertEqual((request["init"], request["strength"]), (str(file), 0.5))

    @unittest.skipIf(PIL is None, "without Pillow")
    def test_pils_pictures(self):
        image = PIL.Image.new("RGBA", (3, 2), (10, 20, 30, 0))
        request = self.asked(self.made(StableDiffusionImg2ImgPipeline), "a", image=image)
        with PIL.Image.open(io.BytesIO(base64.b64decode(request["init"].partition(",")[2]))) as read:
            self.assertEqual((read.mode, read.size, read.getpixel((0, 0))), ("RGB", (3, 2), (10, 20, 30)))

    @unittest.skipIf(numpy is None, "without numpy")
    def test_arrays(self):
        pipe = self.made(StableDiffusionImg2ImgPipeline)
        array = numpy.arange(12, dtype=numpy.uint8).reshape(2, 2, 3)
        for given in (array, array[None], (array / 255).astype(numpy.float32)):
            self.assertEqual(unpack(self.asked(pipe, "a", image=given)["init"]), ((2, 2), array.tobytes()))
        for bad in (array[0, 0], array.astype(numpy.int32), array.astype(numpy.float32), array[:0]):
            self.assert_refused(ValueError, "`image`", pipe, "a", image=bad)

    def test_what_is_refused(self):
        pipe = self.made(StableDiffusionImg2ImgPipeline)
        self.assert_refused(ValueError, "`image` must be given", pipe, "a")
        self.assert_refused(ValueError, "`image`: a call takes one picture, not 2", pipe, "a", [PICTURE, PICTURE])
        self.assert_refused(ValueError, "absent.png is not a file", pipe, "a", "absent.png")
        self.assert_refused(TypeError, "`image` must be a picture", pipe, "a", 3)
        self.assert_refused(TypeError, "`strength` must be a number", pipe, "a", PICTURE, strength="x")
        self.assert_refused(TypeError, "StableDiffusionImg2ImgPipeline: `width`", pipe, "a", PICTURE, width=64)
        self.assert_refused(ValueError, "StableDiffusionImg2ImgPipeline: `clip_skip`", pipe, "a", PICTURE, clip_skip=1)


class Inpainting(PicturesTest):
    def test_what_arrives(self):
        request = self.asked(
            self.made(StableDiffusionInpaintPipeline), "a", PICTURE, PICTURE, padding_mask_crop=32, width=64, height=8
        )
        self.assertEqual(unpack(request["mask"])[0], (2, 1))
        expected = {"strength": 1.0, "mask_blur": 0, "mask_padding": 32, "width": 64, "height": 8}
        self.assertEqual({name: request[name] for name in expected}, expected)

    @unittest.skipIf(PIL is None, "without Pillow")
    def test_a_mask_of_pils_is_gray(self):
        mask = PIL.Image.new("1", (2, 2), 1)
        request = self.asked(self.made(StableDiffusionInpaintPipeline), "a", PICTURE, mask)
        with PIL.Image.open(io.BytesIO(base64.b64decode(request["mask"].partition(",")[2]))) as read:
            self.assertEqual((read.mode, read.getpixel((0, 0))), ("L", 255))

    def test_what_is_refused(self):
        pipe = self.made(StableDiffusionInpaintPipeline)
        self.assert_refused(ValueError, "`mask_image` must be given", pipe, "a", PICTURE)
        self.assert_refused(ValueError, "masked_image_latents", pipe, "a", PICTURE, PICTURE, masked_image_latents=1)


class Controls(PicturesTest):
    def setUp(self):
        super().setUp()
        self.net = self.root / "canny"
        self.net.mkdir()

    def test_what_arrives(self):
        net = ControlNetModel.from_pretrained(self.net)
        pipe = self.made(StableDiffusionControlNetPipeline, controlnet=net)
        self.assertIs(pipe.controlnet, net)
        request = self.asked(
            pipe, "a", PICTURE, controlnet_conditioning_scale=0.5, control_guidance_end=0.75, guess_mode=True
        )
        self.assertEqual(request["guess_mode"], True)
        (control,) = request["controls"]
        self.assertEqual(unpack(control.pop("image"))[0], (2, 1))
        self.assertEqual(control, {"model": str(self.net), "weight": 0.5, "start": 0.0, "end": 0.75})

    def test_the_size_is_the_hints(self):
        pipe = self.made(
            StableDiffusionControlNetPipeline, controlnet=ControlNetModel.from_pretrained(self.net)
        )
        hint = sumi.Image((20, 35), bytes(3 * 20 * 35))
        request = self.asked(pipe, "a", hint)
        self.assertEqual((request["width"], request["height"]), (16, 32))
        request = self.asked(pipe, "a", [hint], height=64)
        self.assertEqual((request["width"], request["height"]), (16, 64))
        self.assertNotIn("width", self.asked(pipe, "a", PICTURE))  # too small to be drawn at
        if PIL is not None:
            file = self.root / "hint.png"
            PIL.Image.new("L", (50, 41)).save(file)
            request = self.asked(pipe, "a", file)
            self.assertEqual((request["width"], request["height"]), (48, 40))

    def test_the_librarys_words_are_the_arguments(self):
        words = sumi.errors.in_python_words("`controls[0].weight` is 1, a control's `start`, 0.5")
        self.assertEqual(words, "`controlnet_conditioning_scale` is 1, a control's `control_guidance_start`, 0.5")

    def test_several(self):
        nets = [ControlNetModel.from_pretrained(self.net), ControlNetModel.from_single_file(self.file)]
        pipe = self.made(StableDiffusionControlNetPipeline, controlnet=nets)
        self.assertEqual(pipe.controlnet, nets)
        request = self.asked(pipe, "a", [PICTURE, PICTURE], controlnet_conditioning_scale=[0.5, 1.5])
        self.assertEqual([c["weight"] for c in request["controls"]], [0.5, 1.5])
        self.assertEqual([c["model"] for c in request["controls"]], [str(self.net), str(self.file)])
        self.assert_refused(ValueError, "2 pictures are needed", pipe, "a", PICTURE)
        self.assert_refused(
            ValueError, "2 numbers are needed", pipe, "a", [PICTURE] * 2, control_guidance_start=[0, 0, 0]
        )

    def test_with_a_picture_to_begin_from(self):
        net = ControlNetModel.from_pretrained(self.net)
        pipe = self.made(StableDiffusionControlNetImg2ImgPipeline, controlnet=net)
        request = self.asked(pipe, "a", PICTURE, PICTURE, strength=0.25)
        self.assertEqual((request["strength"], request["controls"][0]["weight"]), (0.25, 0.8))
        self.assert_refused(ValueError, "`control_image` must be given", pipe, "a", PICTURE)

    def test_what_is_refused(self):
        with self.assertRaisesRegex(TypeError, "`controlnet` must be"):
            self.made(StableDiffusionControlNetPipeline)
        with self.assertRaisesRegex(Error, "sumi pull nobody/here"):
            ControlNetModel.from_pretrained("nobody/here")
        with self.assertRaisesRegex(Error, "no such folder"):
            ControlNetModel.from_pretrained(self.net, subfolder="absent")
        pipe = self.made(StableDiffusionControlNetPipeline, controlnet=ControlNetModel(self.net))
        self.assert_refused(ValueError, "`image` must be given", pipe, "a")


class SafetyChecker(PicturesTest):
    def test_a_path_is_run(self):
        pipe = self.made(sumi.StableDiffusionPipeline, safety_checker=self.file)
        self.assertEqual(pipe.safety_checker, str(self.file))
        out = pipe("a")
        self.assertEqual(self.fake.requests[-1]["safety_checker"], str(self.file))
        self.assertEqual(out.nsfw_content_detected, [False])
        self.assertEqual(len(out.to_tuple()), 2)
        pipe.safety_checker = None
        self.assertIsNone(pipe("a").nsfw_content_detected)
        self.assertNotIn("safety_checker", self.fake.requests[-1])

    def test_one_that_is_not_there(self):
        with self.assertRaisesRegex(Error, "`safety_checker`: .*there is no such file"):
            self.made(sumi.StableDiffusionPipeline, safety_checker=self.root / "absent")


if __name__ == "__main__":
    unittest.main()
