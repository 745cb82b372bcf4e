"""Train the deep LeNet-5 on scikit-learn's digits, and use it as any other classifier."""

from sklearn.model_selection import train_test_split

from sklenet import DeepLeNetClassifier
from sklenet.datasets import load_digits_images

# 1,797 gray images of 8 x 8 pixels, and the digit that each of them shows. Flat rows
# (`sklearn.datasets.load_digits`) would do as well: the classifier takes either.
X, y = load_digits_images()
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

classifier = DeepLeNetClassifier(random_state=0).fit(X_train, y_train)

print("images         ", X_train.shape)
print("first five     ", classifier.predict(X_test[:5]), "in truth", y_test[:5])
print("how sure it is ", classifier.predict_proba(X_test[:5]).max(axis=1).round(3))
print("accuracy       ", round(classifier.score(X_test, y_test), 3))
