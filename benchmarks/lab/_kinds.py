"""Images of several kinds, to choose recipes on."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from sklenet.datasets import load_image_folder

from ._images import take_subset

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FONTS = ["DejaVu*[!y].ttf", "STIXGeneral*.ttf", "cm[rt]*.ttf", "cmss*.ttf"]  # of matplotlib


class Images(NamedTuple):
    """Images, labels, and the part of the images that are never split (a font), or None."""

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None = None

    def split(self, trial, n_train=None):
        """Return training and validation images, and the labels of both."""
        if self.groups is not None:
            order = np.random.RandomState(trial).permutation(np.unique(self.groups))
            is_train = np.isin(self.groups, order[: len(order) * 2 // 3])
            return self.X[is_train], self.X[~is_train], self.y[is_train], self.y[~is_train]
        n_valid = min(10_000, len(self.y) // 5)
        X, X_valid, y, y_valid = train_test_split(
            self.X, self.y, test_size=n_valid, stratify=self.y, random_state=trial
        )
        X, y = take_subset(X, y, n_train, trial, "--sizes")
        return X, X_valid, y, y_valid


def load_photographs(split="train"):
    """Load the images of a part of cifar10-small, a folder of JPEG files for each class."""
    folder = Path(os.environ.get("SKLENET_DATA", ""), "cifar10-small")
    if not folder.is_dir():
        raise ValueError(
            "the experiment needs photographs, in a folder for each class within "
            f"cifar10-small/{split} of the folder that SKLENET_DATA names: {folder} does not exist"
        )
    return Images(*load_image_folder(folder, split, mode="RGB"))


def draw_letters():
    """Draw the capital letters in the fonts that matplotlib ships, turned and moved at random."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    folder, random = Path(matplotlib.get_data_path(), "fonts", "ttf"), np.random.RandomState(0)
    fonts = sorted(file for pattern in FONTS for file in folder.glob(pattern))
    X, y, groups = [], [], []
    for number, font in enumerate(fonts):
        for letter in LETTERS * 3:
            image = Image.new("L", (28, 28))
            face = ImageFont.truetype(font, random.randint(16, 25))
            place = 14 + random.uniform(-2, 2, size=2)
            ImageDraw.Draw(image).text(tuple(place), letter, fill=255, font=face, anchor="mm")
            X.append(np.asarray(image.rotate(random.uniform(-10, 10), Image.Resampling.BILINEAR)))
            y.append(letter)
            groups.append(number)
    return Images(np.stack(X), np.array(y), np.array(groups))


def draw_dots():
    """Draw a dot of 3 x 3 pixels in noise; the class is its column, of ten that are 3 wide."""
    random = np.random.RandomState(0)
    X = random.randint(0, 100, size=(2_000, 32, 32), dtype=np.uint8)
    y, rows = random.randint(0, 10, size=2_000), random.randint(1, 31, size=2_000)
    for image, column, row in zip(X, y, rows, strict=True):
        image[row - 1 : row + 2, 1 + 3 * column : 4 + 3 * column] = 255
    return Images(X, y)
