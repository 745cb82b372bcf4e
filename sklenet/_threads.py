"""PyTorch's number of threads: `AdaptiveThreads`."""

import math
import os
from contextlib import contextmanager
from threading import Lock, local
from time import perf_counter, process_time, thread_time

import numpy as np
import torch

__all__ = ["AdaptiveThreads"]

_WINDOW = 0.1  # seconds of computation that a decision is based on
_LOST_CORES = 0.3  # threads of an idle machine, which spin between kernels, lose less than 0.1
_WORTHWHILE = 0.9  # share of the time of a step that another number of threads may take at most
_PATIENCE = 2.0  # seconds until the next trial; doubled with each one in vain


class AdaptiveThreads:
    """Set PyTorch's number of threads, and lower it while other processes take their cores.

    The threads of a kernel spin until the last one arrives. Where another process runs on the core
    of one, all others wait: two threads take longer than one. "auto" starts with PyTorch's number.
    If the threads get less of the cores than they ask for, fewer are tried, later more again, and
    the number with which a step takes less time is kept.

    Enter it, then enter `step` for each of many equal computations; `used` are their numbers of
    threads. Leaving restores PyTorch's number.
    """

    _lock = Lock()
    _n_entered = 0
    _original = 0  # PyTorch's number before any was entered
    _nested = local()

    @classmethod
    def _forget_other_threads(cls):
        """Count only what this thread has entered: a forked process does not have the others."""
        cls._lock, cls._n_entered = Lock(), getattr(cls._nested, "depth", 0)

    def __init__(self, n_threads="auto"):
        self._asked = n_threads

    def __enter__(self):
        self._before = self._enter()
        self._use(self._before if self._asked == "auto" else self._asked)
        self._most = self.n_threads
        self.used, self._is_warm = set(), False
        self._trial = None  # number of threads and seconds of a step before the trial
        self._patience, self._next_trial = _PATIENCE, -math.inf
        self._spent, self._n_steps = np.zeros(3), 0
        return self

    def __exit__(self, *error):
        self._use(self._before)
        self.used = self.used or {self._most}
        self._nested.depth -= 1
        with self._lock:
            AdaptiveThreads._n_entered -= 1

    def _enter(self):
        """Return the number to restore.

        A thread that calls PyTorch for the first time starts with what another one has set.
        """
        depth = getattr(self._nested, "depth", 0)
        self._nested.depth = depth + 1
        with self._lock:
            if self._n_entered == 0:
                AdaptiveThreads._original = torch.get_num_threads()
            AdaptiveThreads._n_entered += 1
            return torch.get_num_threads() if depth else self._original

    @contextmanager
    def step(self):
        """Time a step; after some of them, decide on the number of threads."""
        self.used.add(self.n_threads)
        # The first step also allocates memory and creates kernels.
        if self._asked != "auto" or self._most == 1 or not self._is_warm:
            yield
            self._is_warm = True
            return
        start = _clocks()
        yield
        end = _clocks()
        self._spent += end - start
        self._n_steps += 1
        if self._spent[0] >= _WINDOW:
            self._decide(now=end[0])
            self._spent, self._n_steps = np.zeros(3), 0

    def _decide(self, now):
        wall, process, thread = self._spent
        seconds = wall / self._n_steps
        # Other work of this process may hide what its threads lose; the current one shows it.
        lost = max(self.n_threads - process / wall, 1 - thread / wall)
        is_crowded = lost > _LOST_CORES and self.n_threads > 1
        fewer = max(1, min(self.n_threads - 1, int(process / wall)))
        if self._trial is not None:
            n_before, seconds_before = self._trial
            if is_crowded and self.n_threads < n_before:
                self._use(fewer)
                return
            self._trial = None
            in_vain = seconds > _WORTHWHILE * seconds_before
            self._patience = 2 * self._patience if in_vain else _PATIENCE
            self._next_trial = now + self._patience
            if in_vain:
                self._use(n_before)
        elif is_crowded and now >= self._next_trial:
            self._begin_trial(fewer, seconds)
        elif self.n_threads < self._most and now >= self._next_trial:
            self._begin_trial(min(self._most, 2 * self.n_threads), seconds)

    def _begin_trial(self, n_threads, seconds):
        self._trial = self.n_threads, seconds
        self._use(n_threads)

    def _use(self, n_threads):
        if n_threads != torch.get_num_threads():
            torch.set_num_threads(n_threads)
        self.n_threads = n_threads


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=AdaptiveThreads._forget_other_threads)


def _clocks():
    return np.array([perf_counter(), process_time(), thread_time()])
