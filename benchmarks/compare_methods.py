"""Compare the deep LeNet-5 with the original LeNet-5, the SVM, the MLP and KNN.

python benchmarks/compare_methods.py --data mnist --out build/mnist
"""

import io
import json
import sys
from pathlib import Path

from sklearn.model_selection import GridSearchCV

if not __package__:  # run as a file
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import lab
from sklenet._torch import resolve_device
from sklenet.comparison import METHODS, compare_methods, make_method, search_grid
from sklenet.comparison._report import report_files
from sklenet.datasets._sources import load_source


def main(argv=None):
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for a terminal without ±
    arguments = sys.argv[1:] if argv is None else argv
    parser = make_parser()
    options = parser.parse_args(arguments)
    command = ["python", "benchmarks/compare_methods.py", *arguments]
    try:
        compare(options, command)
    except (OSError, ValueError, lab.Refusal) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, "Interrupted; nothing was written.\n")


def make_parser():
    parser = lab.Parser("compare_methods.py", description=__doc__.splitlines()[0])
    add, number = parser.add_argument, {"type": lab.positive, "metavar": "N"}
    add(
        "--data",
        default="digits",
        help="'digits' (scikit-learn's, 8x8), 'mnist' (from SKLENET_DATA, else fetched), a folder "
        "with the four IDX files of a data set like MNIST, a folder with a folder of images for "
        "each class, or a CSV file of image files and labels; default: digits",
    )
    add("--split", metavar="NAME", help="which data set or part of a folder with several")
    add("--n-train", **number, help="training images; default: all")
    cv_help = "folds of a cross-validation instead of a test set; default: 5 for the digits"
    add("--cv", **number, help=cv_help)
    add("--methods", nargs="+", choices=METHODS, default=METHODS, help="default: all")
    tune_help = "search the settings by 3-fold cross-validation, which counts as fit time"
    add("--tune", action="store_true", help=tune_help)
    add("--device", default="auto", help="device of the networks: cpu, cuda, mps; default: auto")
    add("--accelerate", action="store_true", help="use scikit-learn-intelex for the SVM and KNN")
    add("--seed", type=int, default=0, metavar="N", help="default: 0")
    n_jobs_help = "parallel fits; default: 1, with more the times are not comparable"
    add("--n-jobs", **number, default=1, help=n_jobs_help)
    add("--out", type=Path, metavar="FOLDER", help="write the table and the pictures here")
    return parser


def compare(options, command):
    resolve_device(options.device)
    if not 0 <= options.seed < 2**32:
        raise ValueError(f"argument --seed: must be from 0 to {2**32 - 1}, got {options.seed}")
    if options.accelerate:
        lab.check_installed("--accelerate", "sklearnex")
    if options.out:
        lab.check_installed("--out", "matplotlib")
    X, y, X_test, y_test = load_data(options)
    out = vars(options).pop("out")
    if out:
        with lab.refusing("argument --out: "):
            lab.write_files(out, {})
    methods = {name: make_contender(name, options) for name in options.methods}
    comparison = compare_methods(
        X, y, methods, options.cv, options.n_jobs, X_test, y_test, options.seed
    )
    print(comparison)
    if out:
        run = lab.describe_run("compare_methods", options, command, options.device)
        run |= {key: getattr(comparison, key) for key in ("protocol", "significance_test")}
        footer = lab.render("_made_by.md", run=run, source="compare_methods.py").rstrip()
        files = report_files(comparison, X if X_test is None else X_test, footer)
        files["rows.csv"] = comparison.to_frame().to_csv().encode()
        files["run.json"] = (json.dumps(run, indent=2) + "\n").encode()
        lab.write_files(out, files)
        print(f"Written to {out}")


def load_data(options):
    """Return training and test images and labels; without a test set these are None."""
    source = load_source(options.data, options.split)
    X, y = lab.take_subset(source.X, source.y, options.n_train, options.seed)
    if source.X_test is None:
        options.cv = options.cv or 5
    return (X, y, None, None) if options.cv else (X, y, source.X_test, source.y_test)


def make_contender(name, options):
    method = make_method(name, random_state=options.seed, device=options.device)
    if options.accelerate:
        method = lab.accelerate(method)
    if options.tune:
        method = GridSearchCV(method, search_grid(name), cv=3, error_score="raise")
    return method


if __name__ == "__main__":
    main()
