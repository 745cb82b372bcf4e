"""Write `benchmarks/README.md`: the paper's claims and what became of each, from the results.

It has no arguments: `python benchmarks/claims.py`.
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parent
EXPERIMENTS = [
    "paper_table",
    "generalization",
    "activation_convergence",
    "gradient_flow",
    "architecture_ablation",
]  # in the order of the page


def main():
    (FOLDER / "README.md").write_text(make_page(), encoding="utf-8")


def make_page():
    lines, pictures = [], []
    for name in EXPERIMENTS:
        folder = f"results/{name}"
        result = json.loads((FOLDER / folder / f"{name}.json").read_text())
        if result["data"]["name"] != "mnist":
            raise ValueError(f"{folder} has a result on the digits, the page is about MNIST")
        pictures.append(f"[All numbers of {name}.py]({folder}/{name}.md):")
        for claim in result["claims"]:
            cells = [
                claim["claim"],
                f"**{claim['verdict']}**",
                claim["effect"],
                f"[{name}.py]({name}.py)",
                f"[picture]({folder}/{claim['picture']})",
            ]
            lines.append("| " + " | ".join(cells) + " |")
        names = dict.fromkeys(claim["picture"] for claim in result["claims"])
        pictures += [f"![{name}]({folder}/{picture})" for picture in names]
    table = "\n".join(
        ["| claim | verdict | effect | script | picture |", "| :--- " * 5 + "|", *lines]
    )
    return PAGE.format(table=table, pictures="\n\n".join(pictures))


PAGE = """# Benchmarks

Each script here measures all contenders in one run and writes a page, its numbers as JSON, and its
pictures, if it has any, into a folder of `results/`. The command that made a result stands at its
end. The first lines of a script say what it measures and, of the paper's claims, what came of them.

## The paper's claims

J. Zhang, X. Yu, X. Lei and C. Wu (2022,
[doi 10.2298/CSIS220120036Z](https://doi.org/10.2298/CSIS220120036Z)) argue that KNN, the SVM and
the basic neural network generalise badly to images, that LeNet-5 generalises but learns slowly
because the gradient of its sigmoid vanishes, and that a wider LeNet-5 with a logarithmic rectifier
cures that. Each part of this is an experiment, here on MNIST. A comparison is ahead or behind where
its 95 % interval (after ± or in brackets) or its p says so, and else open; in the ablation that is
the wider interval of the corrected resampled t-test. A claim holds where all of its comparisons are
ahead, holds in part where some are and no more are behind, is open where all are open, and fails
else. There are many comparisons: one in twenty of no difference is expected to seem one. This page
is made from the results by `python benchmarks/claims.py`.

The deep LeNet-5 is also called Deep LeNet and `deep_lenet`, the original one LeNet-5 and `lenet5`;
C1 and C3 are their convolutions, F5 and F6 their hidden layers. `l_relu` is the logarithmic
rectifier ln(1 + β max(0, x)), whose β is one unless it is said. LeCun's initial weights have the
standard deviation fan_in ** -0.5, sklenet's are larger by the gain that suits the activation. Plain
descent is stochastic gradient descent at a constant rate; the default recipe is that of
`DeepLeNetClassifier`. Shifts, blurs and erased squares are in pixels, rotations in degrees, noise
and contrast in shares of the range.

{table}

{pictures}

## Running them

With `pip install '.[plots,accelerate]'`, each runs on scikit-learn's digits in two minutes on two
idle cores, and with `--data mnist` on MNIST; `--help` lists the rest. With `--out FOLDER` an
experiment keeps every measurement as soon as it is made: the same command goes on after an
interruption. `--redraw` makes the page and the pictures of a folder anew from its numbers.

```sh
python benchmarks/gradient_flow.py --out build/gradient_flow
```

| module | what the experiments share |
| :--- | :--- |
| [experiments.py](experiments.py) | how an experiment runs, from the arguments to the pages |
| [trials.py](trials.py) | the images of each trial, and those to choose recipes on |
| [journal.py](journal.py) | measurements that outlive an interruption |
| [verdicts.py](verdicts.py) | intervals, comparisons, verdicts |
| [corruptions.py](corruptions.py) | shifted, rotated, scaled, blurred, noisy, ... images |
| [reporting.py](reporting.py) | arguments, the description of a run, tables and files |

## How fast, how accurate

The results are in the folders of the same names, those of `compare_methods.py` in
[`mnist`](results/mnist).

| script | what it measures |
| :--- | :--- |
| [compare_methods.py](compare_methods.py) | [every method](results/mnist/comparison.md) |
| [training_speed.py](training_speed.py) | training against other loops and the machine's bounds |
| [time_to_accuracy.py](time_to_accuracy.py) | seconds until an accuracy is reached |
| [prediction_speed.py](prediction_speed.py) | predictions against the bare network |
| [scaling.py](scaling.py) | time and memory over the size of the data, and searches |
"""


if __name__ == "__main__":
    main()
