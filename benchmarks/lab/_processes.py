"""Processes in which a measurement does not depend on those before it."""

import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def run_in_new_process(function, *args):
    """Return what a function returns in a new process, which Ctrl-C ends without a traceback."""
    handler = signal.SIGINT, signal.SIG_DFL
    with ProcessPoolExecutor(1, get_context("spawn"), signal.signal, handler) as process:
        return process.submit(function, *args).result()
