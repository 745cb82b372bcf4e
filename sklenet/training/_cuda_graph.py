"""The training steps of a CUDA device as one graph."""

import torch

__all__ = ["CapturedSteps"]

_N_WARM_UP = 3  # steps before the capture: they set up the libraries and the optimizer


class CapturedSteps:
    """The batches of a training on a CUDA device, and their steps as one CUDA graph.

    A CPU takes longer to launch the kernels of a step, some two hundred, than a GPU to run them.
    Captured, they are launched at once: from the positions of a batch to the updated weights
    nothing returns to the CPU. `batches` are `RandomBatches`, whose augmentation and whose network
    draw from `generator`, one of the device. The first steps and a smaller last batch run as usual.
    """

    def __init__(self, net, batches, generator):
        self.net, self.batches, self.generator = net, batches, generator
        self.device = torch.device(net.device)
        self.stream = torch.cuda.Stream(self.device)
        self.graph, self.n_eager, self.captured_state = None, 0, None

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        """Yield the batches; that of a captured step takes its values in the step."""
        self._drop_outdated_graph()
        for positions in self.batches.positions():
            if self.graph is not None and len(positions) == len(self.positions):
                self.positions.copy_(positions)
                yield self.batch
            elif self.n_eager >= _N_WARM_UP and len(positions) == self.batches.batch_size:
                self._capture(positions)
                yield self.batch
            else:
                self.n_eager += 1
                yield self.batches.make(positions)

    def __call__(self, batch):
        """Do the training step of a batch."""
        if self.graph is None or batch is not self.batch:
            self.stream.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(self.stream):
                step = self.net.train_step(batch)
            torch.cuda.current_stream(self.device).wait_stream(self.stream)
            return step
        for rate, group in zip(self.rates, self._groups, strict=True):
            rate.fill_(group["lr"])
        self.graph.replay()
        return self.step | {"loss": self.step["loss"].clone()}

    def _drop_outdated_graph(self):
        """Drop the graph if a callback has changed parameters or optimizer since the capture."""
        if self.graph is not None and self._state() != self.captured_state:
            self.graph, self.n_eager = None, 0

    def _state(self):
        """Return what a captured step contains, besides the learning rates."""
        parameters = [(id(each), each.requires_grad) for each in self.net.module_.parameters()]
        options = [dict(group, params=None, lr=None) for group in self._groups]
        return parameters, options

    @property
    def _groups(self):
        return self.net.optimizer_.param_groups

    def _capture(self, positions):
        groups = self._groups
        kept = [dict(group) for group in groups]
        self.rates = [torch.tensor(group["lr"], device=self.device) for group in groups]
        self.positions, graph = positions.clone(), torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        try:
            for group, rate in zip(groups, self.rates, strict=True):
                group |= {"lr": rate, "capturable": True}
            # Other threads may use the device meanwhile.
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                self.batch = self.batches.make(self.positions)
                self.step = self.net.train_step(self.batch)
        finally:
            for group, before in zip(groups, kept, strict=True):
                group.clear()
                group |= before
        self.graph, self.captured_state = graph, self._state()
