"""Train the network with an activation function of your own."""

from functools import partial

import torch
from sklearn.model_selection import train_test_split
from torch import nn

from sklenet import DeepLeNetClassifier, LReLU
from sklenet.datasets import load_digits_images


class SquaredReLU(nn.Module):
    """max(0, x) squared. Any PyTorch module that works element by element will do."""

    def forward(self, x):
        return torch.relu(x).square()


X, y = load_digits_images()
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# `activation` takes a name, or whatever makes a module when it is called without arguments: a
# class, or functools.partial where the class has parameters. Not a module (`LReLU()`): each
# classifier makes its own, so that clones and grid searches share nothing.
activations = {
    "l_relu": "l_relu",
    "l_relu with beta=2": partial(LReLU, beta=2.0),
    "squared ReLU": SquaredReLU,
}
for name, activation in activations.items():
    classifier = DeepLeNetClassifier(activation, max_epochs=5, random_state=0)
    accuracy = classifier.fit(X_train, y_train).score(X_test, y_test)
    print(f"{name:20} accuracy {accuracy:.3f}")
