"""Compare all methods, and the activations of the deep one, with one plain GridSearchCV."""

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, train_test_split

from sklenet.comparison import search_space
from sklenet.datasets import load_digits_images


def describe(candidate):
    """Show the classifier of a candidate, with its settings, in one line."""
    prefix = "classifier__"
    settings = {k.removeprefix(prefix): v for k, v in candidate.items() if k.startswith(prefix)}
    classifier = clone(candidate["classifier"]).set_params(**settings)
    return " ".join(str(classifier).split())


def main():
    X, y = load_digits_images()
    # A few of the digits keep this short. All the others tell how good the winner
    # is: its score in the search is a little too kind, for it won by that score.
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=300, stratify=y, random_state=0
    )

    # One pipeline whose last step is the method, and one grid that puts each method there.
    pipeline, grid = search_space(random_state=0)
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X_train, y_train)

    results = search.cv_results_
    print("accuracy  candidate")
    for i in results["mean_test_score"].argsort()[::-1]:
        print(f"{results['mean_test_score'][i]:.3f}     {describe(results['params'][i])}")
    print(f"the first one on the other images: {search.score(X_test, y_test):.3f}")


# The processes that n_jobs=2 starts may import this file: they must not start a search themselves.
if __name__ == "__main__":
    main()
