"""Which activation function suits the data? A plain GridSearchCV answers."""

from sklearn.model_selection import GridSearchCV

from sklenet import DeepLeNetClassifier
from sklenet.datasets import load_digits_images


def main():
    X, y = load_digits_images()
    X, y = X[:900], y[:900]  # half of them, to keep this short

    # A few epochs are enough to tell the functions apart; the default would train for longer.
    classifier = DeepLeNetClassifier(max_epochs=4, random_state=0)
    grid = {"activation": ["sigmoid", "tanh", "relu", "l_relu"]}

    # Two trainings at a time, each in its own process, on three folds each.
    search = GridSearchCV(classifier, grid, cv=3, n_jobs=2).fit(X, y)

    print("activation  accuracy (mean and standard deviation of three folds)")
    results = search.cv_results_
    columns = results["param_activation"], results["mean_test_score"], results["std_test_score"]
    for activation, mean, std in zip(*columns, strict=True):
        print(f"{activation:11} {mean:.3f} ± {std:.3f}")
    print("best:", search.best_params_["activation"])


# The processes that n_jobs=2 starts may import this file: they must not start a search themselves.
if __name__ == "__main__":
    main()
