"""The number of PyTorch's threads, on an idle and on a busy machine."""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
import torch
from helpers import Small, exit_code_of_fork, weights_of

from sklenet import ImagePreprocessor, _threads
from sklenet._threads import AdaptiveThreads


@pytest.fixture
def threads():
    """Set PyTorch's number of threads, and restore it."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


class Machine:
    """A clock of a machine on which a step of given threads takes given seconds."""

    def __init__(self, seconds, lost_cores=0.0):
        self.now = np.zeros(3)
        self.seconds = seconds
        self.lost_cores = lost_cores

    def clocks(self):
        return self.now.copy()

    def work(self):
        n_threads = torch.get_num_threads()
        wall = self.seconds(n_threads)
        lost = self.lost_cores if n_threads > 1 else 0
        self.now += wall, wall * (n_threads - lost), wall * (1 - lost / n_threads)


@pytest.fixture
def run(monkeypatch, threads):
    """Return a function that takes steps on a machine and returns the threads of each."""

    def run(machine, n_steps, *, most, n_threads="auto"):
        threads(most)
        monkeypatch.setattr(_threads, "_clocks", machine.clocks)
        used = []
        with AdaptiveThreads(n_threads) as adaptive:
            for _ in range(n_steps):
                with adaptive.step():
                    used.append(torch.get_num_threads())
                    machine.work()
            assert adaptive.n_threads == torch.get_num_threads()
        assert adaptive.used == set(used)
        assert torch.get_num_threads() == most
        return used

    return run


def idle(n_threads):
    return 0.06 / n_threads


def busy(n_threads):
    return 0.06 if n_threads == 1 else 0.3


def test_threads_idle_machine_keeps_number(run):
    assert set(run(Machine(idle, lost_cores=0.1), 200, most=2)) == {2}


def test_threads_slow_first_step_keeps_number(run):
    machine = Machine(lambda n: 5.0 if machine.now[0] == 0 else idle(n))

    def work():
        machine.lost_cores = 1 if machine.now[0] == 0 else 0
        Machine.work(machine)

    machine.work = work
    assert set(run(machine, 100, most=2)) == {2}


def test_threads_thread_that_starts_meanwhile_keeps_number(threads):
    def predict():
        with AdaptiveThreads():
            entered.set()
            left.wait()
        return torch.get_num_threads()

    threads(3)
    entered, left = Event(), Event()
    with ThreadPoolExecutor(1) as pool:
        with AdaptiveThreads(1), AdaptiveThreads() as nested:
            assert nested.n_threads == 1
            other = pool.submit(predict)
            entered.wait()
        assert torch.get_num_threads() == 3
        left.set()
        assert other.result() == 3
    assert torch.get_num_threads() == 3


def test_threads_busy_machine_lowers_number(run):
    used = run(Machine(busy, lost_cores=0.7), 200, most=2)
    assert used[0] == 2
    assert used.count(2) <= 8  # the first step, and a few trials


def test_threads_machine_that_becomes_idle_raises_number(run):
    machine = Machine(busy, lost_cores=0.7)

    def seconds(n_threads):
        if machine.now[0] > 5:
            machine.lost_cores = 0
            return idle(n_threads)
        return busy(n_threads)

    machine.seconds = seconds
    used = run(machine, 600, most=2)
    assert used[20] == 1
    assert used[-1] == 2


def test_threads_lost_cores_without_gain_keeps_number(run):
    used = run(Machine(idle, lost_cores=0.9), 600, most=2)
    assert 0 < used.count(1) < 60
    assert used[-1] == 2


def test_threads_many_cores_lowers_number_as_far_as_it_helps(run):
    used = run(Machine(lambda n: 0.5 / n if n <= 5 else 1.0, lost_cores=0.5), 200, most=8)
    assert used[-1] <= 5
    assert min(used) >= 1


@pytest.mark.parametrize("n_threads", [1, 2])
def test_threads_given_number_is_kept(run, n_threads):
    assert set(run(Machine(busy, 0.7), 50, most=3, n_threads=n_threads)) == {n_threads}


def check_threads_of_fork():
    torch.set_num_threads(1)
    with AdaptiveThreads() as threads:
        assert threads.n_threads == 1
    assert torch.get_num_threads() == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of Python 3.12, for a fork
def test_threads_used_by_thread_leave_those_of_forked_process(threads):
    threads(2)
    is_entered, is_forked = Event(), Event()

    def compute():
        with AdaptiveThreads():
            is_entered.set()
            is_forked.wait()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(compute)
        is_entered.wait()
        try:
            assert exit_code_of_fork(check_threads_of_fork) == 0
        finally:
            is_forked.set()


@pytest.mark.slow
def test_fit_n_threads_is_used_recorded_and_restored(digits, threads):
    X_train, _, y_train, _ = digits
    threads(2)
    classifier = Small(n_threads=1).fit(X_train, y_train)
    assert classifier.n_threads_ == [1]
    assert torch.get_num_threads() == 2
    threads(1)
    again = Small().fit(X_train, y_train)
    assert again.n_threads_ == [1]
    assert torch.equal(weights_of(again), weights_of(classifier))
    assert Small(n_threads=2).fit(X_train, y_train).n_threads_ == [2]
    assert torch.get_num_threads() == 1


@pytest.mark.slow
def test_fit_statistics_of_pixels_take_one_thread(digits, threads, monkeypatch):
    X_train, _, y_train, _ = digits
    threads(2)
    used, fit = [], ImagePreprocessor.fit

    def recorded_fit(*args):
        used.append(torch.get_num_threads())
        return fit(*args)

    monkeypatch.setattr(ImagePreprocessor, "fit", recorded_fit)
    assert Small(n_threads=2).fit(X_train, y_train).n_threads_ == [2]
    assert used == [1]
    assert torch.get_num_threads() == 2


def test_fit_error_restores_number_of_threads(digits, threads):
    X_train, _, y_train, _ = digits
    threads(2)
    with pytest.raises(ValueError, match="diverged"):
        Small(n_threads=1, lr=1e38, optimizer="sgd", lr_schedule="constant").fit(X_train, y_train)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, "all", None, True, 1025, 2**31])
def test_fit_invalid_n_threads_raises(digits, n_threads):
    X_train, _, y_train, _ = digits
    message = f"'n_threads' parameter|n_threads must be .* from 1 to 1024, got {n_threads}"
    with pytest.raises(ValueError, match=message):
        Small(n_threads=n_threads).fit(X_train, y_train)


def test_predict_invalid_n_threads_raises(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small().fit(X_train, y_train).set_params(n_threads="all")
    with pytest.raises(ValueError, match="n_threads must be 'auto' or an integer .*, got 'all'"):
        classifier.predict(X_test)


@pytest.mark.slow
def test_fit_compiled_does_not_adapt(digits, threads, monkeypatch):
    X_train, _, y_train, _ = digits
    monkeypatch.setattr(torch, "compile", lambda function, **kwargs: function)
    monkeypatch.setattr(_threads, "_clocks", Machine(busy, lost_cores=1).clocks)
    monkeypatch.setattr(AdaptiveThreads, "_decide", pytest.fail)
    threads(2)
    assert Small(compile=True).fit(X_train, y_train).n_threads_ == [2]
