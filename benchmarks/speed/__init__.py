"""Experiments on the time and the memory that training and prediction take."""

EXPERIMENTS = []
