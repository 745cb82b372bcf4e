"""Processes in which a measurement does not depend on those before it."""

import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

# On Linux new processes are forks of one that has imported the packages, which takes seconds.
_START = "forkserver" if sys.platform == "linux" else "spawn"
_PACKAGES = ["skorch", "pandas", "sklearn.svm", "sklearn.neighbors", "sklearn.neural_network"]


def run_in_new_process(function, *args):
    """Return what a function returns in a new process, which Ctrl-C ends without a traceback."""
    context, handler = get_context(_START), (signal.SIGINT, signal.SIG_DFL)
    context.set_forkserver_preload(_PACKAGES)
    with ProcessPoolExecutor(1, context, signal.signal, handler) as process:
        return process.submit(function, *args).result()
