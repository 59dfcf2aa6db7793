"""A running job: callbacks, exceptions, Ctrl-C, what is freed."""

import gc
import os
import signal
import threading
import time
import unittest
from unittest import mock

import sumi
from sumi.engine import Model
from sumi.job import Job

from fake_library import install
from processes import in_child, take_ctrl_c

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
    def setUp(self):
        super().setUp()
        take_ctrl_c(self)

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
            raise AssertionError("no signal was seen")

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


class Ending(JobTest):
    """The end of the interpreter, by the function that it calls."""

    def setUp(self):
        super().setUp()
        take_ctrl_c(self)
        self.addCleanup(sumi.job._exiting.clear)

    def test_what_a_second_ctrl_c_left_is_waited_for(self):
        ended = threading.Event()

        def run(job):
            os.kill(os.getpid(), signal.SIGINT)
            job.cancelled.wait(60)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
            ended.set()
            return job.cancel()

        self.fake.run = run
        with self.assertRaises(KeyboardInterrupt):
            self.job().run()
        self.assertFalse(ended.is_set())
        sumi.job._stop_all()
        self.assertTrue(ended.is_set())
        self.assertEqual(sumi.job._running, set())

    def test_a_daemon_s_job_is_stopped_and_no_other_begins(self):
        begun, said = threading.Event(), []

        def run(job):
            begun.set()
            return job.cancel() if job.cancelled.wait(60) else 0

        def draw():
            for _ in range(2):
                try:
                    self.job().run()
                except sumi.Error as error:
                    said.append((error.kind, str(error)))

        self.fake.run = run
        daemon = threading.Thread(target=draw, daemon=True)
        daemon.start()
        self.assertTrue(begun.wait(60))
        sumi.job._stop_all()
        daemon.join(60)
        self.assertEqual([kind for kind, _ in said], ["cancelled"] * 2)
        self.assertIn("interpreter is ending", said[0][1])
        self.assertEqual(len(self.fake.running_threads), 1)

    def test_the_wait_is_bounded_and_ends_by_ctrl_c(self):
        leave = threading.Event()
        self.addCleanup(leave.set)
        self.fake.run = lambda job: job.cancel() if leave.wait(60) else 0
        daemon = threading.Thread(target=lambda: self.assertRaises(sumi.Error, self.job().run), daemon=True)
        daemon.start()
        while not self.fake.running_threads:
            time.sleep(0.01)
        with mock.patch("sumi.job._EXIT_SECONDS", 0.3):
            sumi.job._stop_all()
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        sumi.job._stop_all()
        timer.join()
        self.assertFalse(leave.is_set())
        leave.set()
        daemon.join(60)


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

    def test_a_forked_child_uses_no_model_of_its_parent(self):
        self.assertIn("open it in this process", in_child(self, lambda: self.job()))
        inherited = self.job()
        self.assertIn("open it in this process", in_child(self, inherited.run))
        self.assertIn("open it in this process", in_child(self, inherited.stop))
        self.job().run()

    def test_a_callback_that_forks(self):
        said = []

        def on_step(done, steps):
            if done == 1:
                said.append(in_child(self, lambda: job._serve()))  # as if the callback returned in the child
            return True

        job = self.job(on_step)
        job.run()
        self.assertIn("open it in this process", said[0])

    def test_a_forked_child_frees_nothing_of_its_parent(self):
        jobs = [self.job()]

        def leave():
            jobs.clear()
            del self.model
            Model({"path": "/m"})  # the parent's engine is replaced
            gc.collect()
            return self.fake.freed

        self.assertEqual(in_child(self, leave), "['model']")

    def test_a_fork_while_another_thread_holds_the_locks(self):
        with sumi.engine._lock, sumi.library._lock:
            self.assertIn("Model", in_child(self, lambda: Model({"path": "/m"})))


if __name__ == "__main__":
    unittest.main()
