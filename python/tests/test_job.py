"""A running job: callbacks, exceptions, Ctrl-C, what is freed."""

import gc
import os
import signal
import threading
import time
import unittest

import sumi
from sumi.engine import Model
from sumi.job import Job

from fake_library import install

REQUEST = {"prompts": ["a", "b"]}


class JobTest(unittest.TestCase):
    def setUp(self):
        self.fake = install(self)
        self.model = Model({"path": "/m"})
        self.steps, self.warnings = [], []

    def job(self, on_step=None):
        def record(done, steps):
            self.steps.append((done, steps, threading.get_ident()))
            return True

        return Job(self.model, REQUEST, on_step or record, self.warnings.append)

    def freed_jobs(self):
        gc.collect()
        return self.fake.freed.count("job")


class Running(JobTest):
    def test_pictures_are_copied_without_the_padding_of_their_rows(self):
        for padding in (0, 5):
            self.fake.run = lambda job: 0 if job.picture(3, padding) else 130
            (picture,) = self.job().run()
            self.assertEqual((picture.width, picture.height), (2, 2))
            self.assertEqual(picture.pixels, bytes([3] * 6 + [4] * 6))
            self.assertEqual(picture.info["seed"], 7)

    def test_steps_are_reported_on_the_calling_thread_and_in_order(self):
        self.job().run()
        here = threading.get_ident()
        self.assertEqual(self.steps, [(done, 3, here) for done in range(4)])
        self.assertNotEqual(self.fake.running_threads, [here])

    def test_warnings(self):
        def run(job):
            job.warn("the prompt was cut")
            return job.take_steps()

        self.fake.run = run
        self.assertEqual(len(self.job().run()), 2)
        self.assertEqual(self.warnings, ["the prompt was cut"])

    def test_a_failed_job_raises_its_own_thread_s_sentence(self):
        self.fake.run = lambda job: self.fake.refuse(70, "numbers are not finite")
        with self.assertRaisesRegex(sumi.Error, "not finite") as caught:
            self.job().run()
        self.assertEqual(caught.exception.kind, "internal")

    def test_a_step_may_stop_it(self):
        with self.assertRaises(sumi.Error) as caught:
            self.job(lambda done, steps: done < 1).run()
        self.assertEqual(caught.exception.kind, "cancelled")

    def test_everything_is_freed_once(self):
        self.job().run()
        self.assertEqual(self.freed_jobs(), 1)
        with self.assertRaises(sumi.Error):
            self.job(lambda done, steps: False).run()
        self.assertEqual(self.freed_jobs(), 2)
        self.fake.fail = (64, "no")
        with self.assertRaises(sumi.Error):
            self.job()
        self.assertEqual(self.freed_jobs(), 2)
        self.assertEqual(self.fake.texts, {})
        del self.model
        gc.collect()
        self.assertEqual(self.fake.freed.count("model"), 1)


class Exceptions(JobTest):
    def test_what_a_callback_raises_cancels_and_is_raised(self):
        def on_step(done, steps):
            raise LookupError("mine")

        job = self.job(on_step)
        with self.assertRaisesRegex(LookupError, "mine"):
            job.run()
        del job
        self.assertEqual(self.freed_jobs(), 1)

    def test_what_goes_wrong_in_a_picture_is_raised(self):
        def run(job):
            return 0 if job.callbacks.picture(None, None, b"{}") == 0 else job.cancel()

        self.fake.run = run
        with self.assertRaises(ValueError):  # a null pointer
            self.job().run()

    def test_ctrl_c_cancels_a_job_that_calls_nothing(self):
        def run(job):
            os.kill(os.getpid(), signal.SIGINT)
            return job.cancel() if job.cancelled.wait(60) else 0

        self.fake.run = run
        with self.assertRaises(KeyboardInterrupt):
            self.job().run()
        self.assertEqual(self.freed_jobs(), 1)

    def test_ctrl_c_in_a_step(self):
        def on_step(done, steps):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)  # until the signal is seen

        with self.assertRaises(KeyboardInterrupt):
            self.job(on_step).run()
        self.assertEqual(self.freed_jobs(), 1)

    def test_a_second_ctrl_c_does_not_wait(self):
        ended, leave = threading.Event(), threading.Event()

        def run(job):
            os.kill(os.getpid(), signal.SIGINT)
            job.cancelled.wait(60)
            os.kill(os.getpid(), signal.SIGINT)
            leave.wait(60)
            ended.set()
            return job.cancel()

        self.fake.run = run
        job = self.job()
        with self.assertRaises(KeyboardInterrupt):
            job.run()
        del job
        self.assertFalse(ended.is_set())
        self.assertEqual(self.freed_jobs(), 0)  # its thread still has it
        leave.set()
        self.assertTrue(ended.wait(60))
        for thread in threading.enumerate():
            if thread.name == "sumi":
                thread.join()
        self.assertEqual(self.freed_jobs(), 1)


class Models(JobTest):
    def test_one_engine_and_names_that_differ(self):
        Model({"path": "/m"})
        self.assertEqual(len(self.fake.engines), 1)
        names = [options["name"] for options in self.fake.models]
        self.assertEqual(len(set(names)), 2)
        self.assertTrue(all(options["path"] == "/m" for options in self.fake.models))

    def test_no_copies(self):
        import copy
        import pickle

        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with self.assertRaises(TypeError):
                make(self.model)

    def test_a_fork_leaves_models_behind(self):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                self.model.check_process()
                os.write(writing, b"nothing was said")
            except sumi.Error as error:
                os.write(writing, str(error).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            self.assertIn(b"open it in this process", stream.read())
        self.model.check_process()


if __name__ == "__main__":
    unittest.main()
