"""The command `python -m benchmarks`."""

import io
import signal
import sys
from pathlib import Path

from . import claims, pixel_check, readme, recipe, speed
from .lab import Parser, Refusal, add_options, fill_in, judge_result, redraw, render, run
from .speed import gpu

FOLDER = Path(__file__).parent
EXPERIMENTS = {
    each.name: each
    for each in (
        *claims.EXPERIMENTS,
        *speed.EXPERIMENTS,
        pixel_check.experiment,
        recipe.experiment,
        gpu.experiment,
    )
}


def main(argv=None):
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for a terminal without ± or β
    arguments = sys.argv[1:] if argv is None else argv
    parser = make_parser()
    parsed = parser.parse_args(arguments)
    kept = "; the same command resumes" if getattr(parsed, "out", None) else ""

    def interrupt(number, frame):
        parser.exit(130, f"Interrupted{kept}.\n")

    # Not a KeyboardInterrupt: skorch and MLPClassifier take that for the end of their training.
    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        execute(parsed, ["python", "-m", "benchmarks", *arguments])
    except Refusal as refusal:
        parser.error(str(refusal))
    finally:
        signal.signal(signal.SIGINT, previous)


def make_parser():
    parser = Parser("python -m benchmarks", description="Experiments on the deep LeNet-5.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    runs = commands.add_parser("run", help="measure the rows of an experiment")
    names = runs.add_subparsers(required=True, metavar="NAME", dest="name")
    for name, experiment in EXPERIMENTS.items():
        help = experiment.question.replace("%", "%%")
        one = names.add_parser(name, help=help, description=experiment.question)
        add_options(one, experiment.defaults)
        one.add_argument("--out", type=Path, metavar="FOLDER", help="write the result here")
    again = commands.add_parser("redraw", help="remake page and pictures of a result")
    again.add_argument("name", choices=EXPERIMENTS, metavar="NAME", help="see run --help")
    again.add_argument("--out", type=Path, metavar="FOLDER", help="default: results/NAME")
    commands.add_parser("claims", help="write benchmarks/README.md from the results")
    numbers = commands.add_parser("readme", help="update the numbers of README.md")
    numbers.add_argument("--check", action="store_true", help="fail unless they are up to date")
    return parser


def execute(parsed, command):
    match parsed.command:
        case "run":
            experiment = EXPERIMENTS[parsed.name]
            run(experiment, fill_in(parsed, experiment.defaults), parsed.out, command)
        case "redraw":
            redraw(EXPERIMENTS[parsed.name], parsed.out or FOLDER / "results" / parsed.name)
        case "claims":
            (FOLDER / "README.md").write_text(make_readme(), encoding="utf-8")
        case "readme":
            if not readme.update(parsed.check) and parsed.check:
                sys.exit("README.md is not up to date: run python -m benchmarks readme")


def make_readme():
    """Return the page `benchmarks/README.md`, from the results."""
    judged = {
        each: judge_result(each, FOLDER / "results" / each.name) for each in claims.EXPERIMENTS
    }
    return render("readme.md", claims=judged, speed=speed.EXPERIMENTS)


if __name__ == "__main__":
    main()
