"""Experiments on the deep LeNet-5: `python -m benchmarks --help`."""
