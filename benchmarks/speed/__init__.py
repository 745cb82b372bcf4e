"""Experiments on the time and the memory that training and prediction take."""

from . import (
    busy_machine,
    image_files,
    prediction_speed,
    scaling,
    time_to_accuracy,
    training_speed,
)

EXPERIMENTS = [
    time_to_accuracy.experiment,
    training_speed.experiment,
    prediction_speed.experiment,
    image_files.experiment,
    scaling.experiment,
    busy_machine.experiment,
]
