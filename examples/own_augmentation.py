"""Train with random changes of the images of your own.

A callable takes a batch of standardized images, a tensor of shape (n_samples, channels, 32, 32),
and returns one of the same shape. The transforms of torchvision (`torchvision.transforms.v2`) and
of kornia (`kornia.augmentation`) are such callables.
"""

import torch

from sklenet import DeepLeNetClassifier
from sklenet.datasets import load_digits_images


class RandomErasing(torch.nn.Module):
    """Erase a square of each image, at a random place.

    Parameters
    ----------
    size : int
        Side of the square, in pixels.
    """

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, images):
        place = torch.randint(33 - self.size, (2, len(images), 1), device=images.device)
        pixel = torch.arange(32, device=images.device)
        rows, columns = ((pixel >= start) & (pixel < start + self.size) for start in place)
        return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


X, y = load_digits_images()
classifier = DeepLeNetClassifier(
    augmentation=("affine", RandomErasing(6)), max_epochs=10, random_state=0
)
classifier.fit(X[:1000], y[:1000])
print(f"Test accuracy: {classifier.score(X[1000:], y[1000:]):.3f}")
