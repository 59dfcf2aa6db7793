"""Pictures without Pillow, and with it."""

import io
import os
import tempfile
import unittest

import sumi.image
from sumi import Image
from sumi.image import make_image

from fake_library import install

try:
    import numpy
except ImportError:
    numpy = None
try:
    import PIL.Image
except ImportError:
    PIL = None

PIXELS = bytes(range(18))  # 3 wide, 2 high


class Own(unittest.TestCase):
    def test_its_parts(self):
        image = Image((3, 2), PIXELS, {"parameters": "Steps: 3"})
        self.assertEqual((image.size, image.width, image.height, image.mode), ((3, 2), 3, 2, "RGB"))
        self.assertEqual(image.tobytes(), PIXELS)
        self.assertEqual(image, Image((3, 2), PIXELS))
        self.assertNotEqual(image, Image((2, 3), PIXELS))
        for size in ((3, 3), (0, 0), (-3, -2)):
            with self.assertRaises(ValueError):
                Image(size, PIXELS)

    def test_a_png_has_its_parameters(self):
        fake = install(self)
        Image((3, 2), PIXELS, {"parameters": "Größe"}).save("/tmp/ü.png")
        self.assertEqual(fake.written, (os.fsencode("/tmp/ü.png"), 3, 2, PIXELS))
        self.assertEqual(fake.parameters, "Größe".encode())
        Image((3, 2), PIXELS).save("a.PNG")
        self.assertIsNone(fake.parameters)

    def test_other_formats_need_pillow(self):
        for path, format in (("a.jpg", None), ("a", None), ("a.png", "JPEG")):
            with self.assertRaisesRegex(ValueError, "without Pillow"):
                Image((3, 2), PIXELS).save(path, format)
        install(self)
        with self.assertRaisesRegex(sumi.Error, "null"):
            Image((3, 2), PIXELS).save("a\0.png")

    def test_is_made_where_pillow_is_not(self):
        before, sumi.image._PIL = sumi.image._PIL, None
        self.addCleanup(setattr, sumi.image, "_PIL", before)
        image = make_image((3, 2), PIXELS, "x")
        self.assertIsInstance(image, Image)
        self.assertEqual(image.info, {"parameters": "x"})

    @unittest.skipUnless(numpy, "numpy is not installed")
    def test_as_an_array(self):
        array = numpy.asarray(Image((3, 2), PIXELS))
        self.assertEqual((array.shape, array.dtype), ((2, 3, 3), numpy.uint8))
        self.assertEqual(array.tobytes(), PIXELS)


@unittest.skipUnless(PIL, "Pillow is not installed")
class Pillow(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_is_pil_s(self):
        image = make_image((3, 2), PIXELS, "x")
        self.assertIsInstance(image, PIL.Image.Image)
        self.assertEqual((image.size, image.mode, image.tobytes()), ((3, 2), "RGB", PIXELS))
        self.assertEqual(image.resize((6, 4)).info["parameters"], "x")

    def test_a_png_has_its_parameters(self):
        for text in ("Steps: 3", "Größe, 火"):
            path = os.path.join(self.folder, "a.png")
            make_image((3, 2), PIXELS, text).save(path)
            with PIL.Image.open(path) as read:
                self.assertEqual(read.info["parameters"], text)
                self.assertEqual(read.tobytes(), PIXELS)
        stream = io.BytesIO()
        make_image((3, 2), PIXELS, "x").save(stream, format="png")
        self.assertEqual(PIL.Image.open(stream).info["parameters"], "x")

    def test_other_formats(self):
        path = os.path.join(self.folder, "a.jpg")
        make_image((3, 2), PIXELS, "x").save(path, quality=90)
        with PIL.Image.open(path) as read:
            self.assertEqual(read.format, "JPEG")


if __name__ == "__main__":
    unittest.main()
