"""What tests do with processes and signals."""

import os
import signal
import time


def take_ctrl_c(test):
    """Has SIGINT raise KeyboardInterrupt until the test ends; programs started in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    test.addCleanup(signal.signal, signal.SIGINT, before)


def in_child(test, function, seconds=60):
    """What a forked child's function() returns, as text; a child that does not end in time fails the test."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        text = "nothing was returned"
        try:
            text = str(function())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, text.encode())
            os._exit(0)
    os.close(writing)
    end = time.monotonic() + seconds
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)
            test.fail("the child hangs")
        time.sleep(0.01)
    with os.fdopen(reading, "rb") as stream:
        return stream.read().decode()
