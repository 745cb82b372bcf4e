"""Ctrl-C that waits for a safe point: `Interrupts`."""

import signal
import threading

__all__ = ["Interrupts", "TrainingInterrupted"]


class TrainingInterrupted(Exception):
    """Ctrl-C ended a training, whose estimator is fitted as far as it was trained."""


class Interrupts:
    """Tell an interruption by the user (SIGINT) from a `KeyboardInterrupt` of a callback.

    In the main thread it replaces the handler of SIGINT until it is left. With `deferred`, the
    first signal waits for `arrived`, which is also to be asked after leaving. The second signal,
    and any without `deferred`, goes to the previous handler at once; Python's handler raises
    `KeyboardInterrupt`.
    """

    def __init__(self, deferred=True):
        self._deferred = deferred
        self._pending = None
        self._arrived = False
        self._handler = None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                outer = getattr(handler, "__self__", None)
                # An outer one that defers would keep it from ending the inner computation.
                self._hand_on = outer._deliver if isinstance(outer, Interrupts) else handler
                self._handler = handler
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, error, *details):
        if self._handler is not None and signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, self._handler)
        if self._pending is not None and error is not None:
            self._deliver(*self._pending)

    def arrived(self):
        """Return whether the user has interrupted, after handing on what waits."""
        if self._pending is not None:
            try:
                self._deliver(*self._pending)
            except KeyboardInterrupt:
                self._arrived = True
        return self._arrived

    def _handle(self, signum, frame):
        if self._deferred and self._pending is None:
            self._pending = signum, frame
        else:
            self._deliver(signum, frame)

    def _deliver(self, signum, frame):
        self._pending = None
        self._arrived = True
        self._hand_on(signum, frame)
        self._arrived = False  # a handler that does not raise takes care of it
