"""Train a classifier, export it as a web page that runs it, and serve the page on this computer."""

import argparse
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import sklenet
from sklenet.datasets import fetch_mnist, load_digits_images

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=Path, default=Path("page"), help="folder of the page")
parser.add_argument("--mnist", action="store_true", help="train on MNIST if its files are there")
parser.add_argument("--serve", action="store_true", help="serve the page until Ctrl-C")
options = parser.parse_args()

X, y = load_digits_images()  # 8 x 8 pixels
if options.mnist:
    try:
        X, _, y, _ = fetch_mnist(download_if_missing=False)  # 28 x 28 pixels
    except OSError:
        print("The files of MNIST are missing: training on scikit-learn's digits.")

print(f"Training on {len(X):,} images ...")
classifier = sklenet.DeepLeNetClassifier(random_state=0).fit(X, y)

# One file without any reference to another: it can be opened, sent or put on any web server.
options.out.mkdir(parents=True, exist_ok=True)
page = options.out / "index.html"
sklenet.to_page(classifier, page, title="Draw a digit")
print(f"{page} has {page.stat().st_size / 1e6:.1f} MB")

if options.serve:
    handler = partial(SimpleHTTPRequestHandler, directory=options.out)
    with ThreadingHTTPServer(("localhost", 0), handler) as server:  # 0: any free port
        print(f"http://localhost:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
