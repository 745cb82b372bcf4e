"""What a network has learned, in pictures: its training, kernels, feature maps and mistakes.

The pictures are written into the current folder.
"""

from sklearn.model_selection import train_test_split

from sklenet import DeepLeNetClassifier
from sklenet.callbacks import GradientSize
from sklenet.datasets import load_digits_images
from sklenet.plotting import (
    ActivationDisplay,
    FeatureMapDisplay,
    GradientFlowDisplay,
    KernelDisplay,
    MistakesDisplay,
    TrainingHistoryDisplay,
)

X_train, X_test, y_train, y_test = train_test_split(*load_digits_images(), random_state=0)
classifier = DeepLeNetClassifier(
    max_epochs=8, early_stopping=True, callbacks=[GradientSize()], random_state=0
)
classifier.fit(X_train, y_train)

displays = {
    "training_history.png": TrainingHistoryDisplay.from_estimator(classifier),
    "kernels.png": KernelDisplay.from_estimator(classifier),
    "feature_maps.png": FeatureMapDisplay.from_estimator(classifier, X_test[:1]),
    "gradient_flow.png": GradientFlowDisplay.from_estimator(classifier),
    "mistakes.png": MistakesDisplay.from_estimator(classifier, X_test, y_test),
    "activations.png": ActivationDisplay.from_activations(["sigmoid", "tanh", "relu", "l_relu"]),
}
for name, display in displays.items():
    display.figure_.savefig(name)
    print(f"Written: {name}")
