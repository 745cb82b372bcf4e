"""How fast are folders of image files read?"""

import atexit
import io
import os
import shutil
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter

import numpy as np
import pandas as pd

from sklenet import ImageReader
from sklenet.datasets import fetch_mnist, load_digits_images

from .. import lab

LOOP = "loop over Pillow"
SIDES = [32, 512]  # of the files, in pixels

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"n_files": 500, "rounds": 3},
    mnist={"n_files": 5_000, "rounds": 7},
    device="cpu",
)


def read_with_pillow(files, side):
    from PIL import Image

    images = []
    for file in files:
        image = Image.open(file).convert("RGB")
        if side > 32:
            image = image.resize((32, 32), Image.Resampling.BILINEAR)
        images.append(np.asarray(image))
    return np.stack(images)


def read_with_reader(files, side, n_jobs):
    return ImageReader(size=32, n_jobs=n_jobs).fit_transform(files)


CONTENDERS = {
    LOOP: read_with_pillow,
    "ImageReader": partial(read_with_reader, n_jobs=None),
    "ImageReader, 2 jobs": partial(read_with_reader, n_jobs=2),
}


@experiment.images
def images(options):
    """Write the files of each size, and return their names."""
    X = load_digits_images()[0] * np.uint8(15) if options.data == "digits" else fetch_mnist()[0]
    folder = mkdtemp()
    atexit.register(shutil.rmtree, folder)
    files = {side: [] for side in SIDES}
    for side in SIDES:
        for number, pixels in enumerate(np.resize(X, (options.n_files, *X.shape[1:]))):
            files[side].append(os.path.join(folder, f"{side}_{number}.jpg"))
            Path(files[side][-1]).write_bytes(encode(pixels, side))
    return files


def encode(pixels, side):
    """Return an image as the content of a JPEG file in color."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).resize((side, side)).convert("RGB").save(file, "JPEG")
    return file.getvalue()


@experiment.rows
def cells(options):
    return {"side": SIDES, "round": range(options.rounds), "contender": CONTENDERS}


@experiment.measure
def seconds(side, round, contender, *, images, options):
    if round == 0:
        CONTENDERS[contender](images[side], side)  # starts the processes, which joblib keeps
    start = perf_counter()
    CONTENDERS[contender](images[side], side)
    return {"seconds": perf_counter() - start}


@experiment.table
def contenders(rows, options):
    seconds = rows.pivot(index=["side", "round"], columns="contender", values="seconds")
    ratios = seconds.div(seconds[LOOP], axis=0)
    return pd.DataFrame(
        {"side (pixels)": side, "contender": name}
        | {"seconds": f"{seconds.loc[side, name].median():.3f}"}
        | {"ratio": "" if name == LOOP else lab.format_median(ratios.loc[side, name], ".2f")}
        for side in SIDES
        for name in CONTENDERS
    )
