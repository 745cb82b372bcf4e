"""The estimator: `DeepLeNetClassifier`."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import wraps
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, Self, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.callbacks import Callback
from skorch.history import History
from torch import nn

from ._compat import Interval, StrOptions, check_sample_weight, validates_parameters
from ._interrupts import Interrupts, TrainingInterrupted
from ._threads import AdaptiveThreads
from ._torch import PRECISIONS, default_torch_settings, resolve_device
from ._validation import (
    check_callbacks,
    check_discrete,
    check_label_types,
    check_n_threads,
    encode_target,
    is_small_finite_array,
    weigh_classes,
)
from .images import (
    AUGMENTATIONS,
    ImageLayout,
    ImagePreprocessor,
    PixelReference,
    as_array,
    as_tensor,
    tensor_to_array,
    update_reference,
    warn_of_color_rows,
    warn_of_shift,
)
from .network import IMAGE_SIZE, DeepLeNet
from .training import (
    LOSSES,
    LR_SCHEDULES,
    OPTIMIZERS,
    ImageClassifierNet,
    Recipe,
    TrainingSet,
    fit_network,
    predict_logits,
)

__all__ = ["DeepLeNetClassifier"]

P = ParamSpec("P")
R = TypeVar("R")


def _restore_on_error(method: Callable[P, R]) -> Callable[P, R]:
    """Restore the estimator if a method raises an error, but not what was trained until Ctrl-C."""

    @wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        estimator: Any = args[0]
        before = estimator.__dict__.copy()
        try:
            return method(*args, **kwargs)
        except TrainingInterrupted:
            raise KeyboardInterrupt from None  # this class alone ends Python like Ctrl-C
        except BaseException:
            estimator.__dict__ = before
            raise

    return wrapper


def _trains_all_epochs(classifier):
    if classifier.early_stopping:
        raise AttributeError("early_stopping must be False for partial_fit, got True.")
    return True


class DeepLeNetClassifier(ClassifierMixin, BaseEstimator):
    """The deep LeNet-5 as a scikit-learn classifier of small images.

    The network of Zhang, Yu, Lei and Wu [1]_: a LeNet-5 with more kernels and hidden units and the
    logarithmic rectifier as activation, trained by skorch and PyTorch. It supports images of any
    size and number type, and flat rows; see the Notes.

    Parameters
    ----------
    activation : str or callable, default="l_relu"
        The activation: "l_relu" (the paper's logarithmic rectifier, `LReLU`), "sigmoid", "tanh",
        "relu", "leaky_relu", "elu", "gelu" or "silu", or a callable without arguments that returns
        an `nn.Module`: a class, or a `functools.partial` of one.
    conv_channels : sequence of int or int, default=(32, 64)
        Number of kernels of each convolution; each is followed by 2x2 pooling.
    kernel_size : int, default=5
        Height and width of the kernels, in pixels.
    pooling : {"max", "avg"}, default="max"
        The pooling.
    hidden_layer_sizes : sequence of int or int, default=(1024, 67)
        Number of units of each hidden fully connected layer.
    normalization : {"batch"} or None, default="batch"
        "batch" standardizes the output of each hidden layer by the statistics of the batch in
        training, before its activation and without a learned scale [5]_. Afterwards the statistics
        of training images are folded into the weights and biases: the network has the same layers.
    dropout : float, default=0.0
        Probability of zeroing an output of a hidden fully connected layer in training.
    output : {"softmax", "sigmoid"}, default="softmax"
        The loss and the probabilities: "softmax" with the cross-entropy; "sigmoid" with the
        logistic loss of each class against the rest, probabilities normalized over the classes.
    label_smoothing : float, default=0.1
        Share of each training label that is spread evenly over all classes [4]_. It raises the
        accuracy, above all on few images, and bounds `loss_` from below. The probabilities that it
        makes are underconfident: the class scores are divided by a temperature [7]_, within the
        output layer. With `early_stopping` it is fitted on the held-out data, for any smoothing,
        and drawn towards the usual one where they are few; without, it undoes the smoothing on
        training images.
    optimizer : {"adamw", "adam", "sgd"} or callable, default="adamw"
        A name, or a class of `torch.optim` or a `functools.partial` of one, which is called with
        the parameters, `lr` and `weight_decay`. "adamw" and "adam" have the decay rates 0.8 and
        0.95 of their moments, "sgd" does not have momentum.
    lr : float or "auto", default="auto"
        Learning rate; the peak of the schedule. "auto" is 1e-2 with `normalization`, else 5e-3,
        and 5e-4 in `partial_fit`.
    weight_decay : float or "auto", default="auto"
        Weight decay of the optimizer. "auto" is 0.3 for "adamw", which decouples it from the
        gradient [2]_, and the optimizer's own default otherwise.
    lr_schedule : {"auto", "one_cycle", "warmup_stable_decay", "constant"}, default="auto"
        Learning rate schedule of a fit. "one_cycle" raises the rate to `lr` and lowers it to zero,
        batch by batch [3]_. "warmup_stable_decay" holds it at `lr` in between and lowers it in the
        last third of the epochs; `early_stopping` may begin that third. "auto" is the latter with
        `early_stopping`, else the former.
    batch_size : int or "auto", default="auto"
        Images in a batch; the last one of an epoch has half to one and a half as many. "auto" is a
        power of two near the square root of the number of images, from 16 to 512.
    max_epochs : int or "auto", default="auto"
        Passes over the data in `fit`. "auto" is 1300 / n_samples ** 0.5, from 1 to 60: 41 for 1,000
        images, 5 for 60,000; it is twice that with an `augmentation` other than "auto" and None,
        so that a search over `augmentation` should set it.
    augmentation : str, callable, tuple of these or None, default="auto"
        Random changes of each training image in each epoch: more accurate where they preserve the
        class. "shift" shifts by a pixel, "flip" mirrors half of the images horizontally, at random,
        "affine" rotates, scales, shifts and shears slightly, and "elastic" [6]_ bends them besides.
        "auto" is "affine", and None for flat rows that have to be padded, which are hardly images;
        None is more accurate where the classes differ by position. A callable takes a batch of
        standardized images, a tensor of shape (n_samples, channels, 32, 32), and returns one of the
        same shape; it is not trained, and reproducible if it draws from PyTorch's generator. Those
        of a tuple or list are applied in turn.
    early_stopping : bool, default=False
        Whether to hold out a stratified part of the training data and to stop when the accuracy on
        it does not improve for `n_iter_no_change` epochs. "warmup_stable_decay" waits until the
        loss does not improve either, and lowers the learning rate to zero before it stops. The
        weights of the best epoch are restored; with a schedule that lowers the learning rate, those
        of the last epoch whose accuracy is within a standard error of the best.
    validation_fraction : float, default=0.1
        Share of the training data that is held out; used with `early_stopping` only.
    n_iter_no_change : int, default=5
        Epochs without improvement after which training stops; used with `early_stopping` only.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with `sample_weight`. "balanced" weighs them inversely to
        their frequency.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit, with a new schedule.
    image_shape : tuple of int or None, default=None
        (height, width), (height, width, channels) or (channels, height, width) of the images. The
        channels are the first or the last of three numbers, the one that is 1, 3 or 4;
        `ImageLayout.from_images` says which where both are. Needed for flat rows that are not
        square gray images: with (32, 32, 3) a row holds one pixel after the other, with (3, 32, 32)
        one channel after the other. Without it, `fit` warns of rows whose number of features is
        three times a square, which could be color images. Also needed where the position of the
        channels is ambiguous, which either order resolves.
    check_pixels : bool, default=True
        Whether predictions and `score` warn of images whose pixels are unlike those of the training
        images: inverted, on another scale, or of another kind.
    device : str or torch.device, default="auto"
        "auto" is an accelerator that PyTorch supports (CUDA, MPS, ...), else the CPU.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Type in which training computes the layers; weights, loss and predictions are float32.
        "auto" is "bfloat16" where the hardware supports it (recent CUDA devices, CPUs with
        AVX-512 BF16), else "float32"; and "float32" for a custom `activation`, which may not
        support bfloat16. `torch.set_float32_matmul_precision` applies to float32.
    compile : bool, default=False
        Whether training runs the network through `torch.compile`. Compilation takes time before
        the first step and needs a C++ compiler on a CPU; it pays for long fits on GPUs.
    n_threads : int or "auto", default="auto"
        Number of PyTorch's threads on the CPU, at most 1,024. "auto" starts with PyTorch's own
        number and adapts it while other processes take the cores: the numbers, and with them the
        last digits of the weights, are then not reproducible. `n_threads_` has them. With `compile`
        it does not adapt.
    callbacks : list of skorch.callbacks.Callback or None, default=None
        Called in training, as in skorch; tuples of a name and a callback are also accepted. A batch
        is ``({"images": ..., "sample_weight": ...}, target)``, where a target is a position in
        `classes_`; scoring callbacks ignore the weights. In training ``net.module_`` has the layers
        of `normalization` and no temperature. A callback ends the training after the
        epoch by ``net.stop_training_ = True``, or at once by a `KeyboardInterrupt`, as those of
        skorch do. See also `sklenet.callbacks`.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, the order of the batches, dropout, augmentation and the
        hold-out; PyTorch's own generators are neither read nor changed, unless by a custom
        `activation` or `augmentation` or by compiled dropout. With an int, the same values and
        number of threads give the same model, bit by bit on a CPU.
    verbose : int, default=0
        With 1, prints a table of the epochs.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of columns of the flat rows; of images it is height times width times channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has names that are all strings.
    image_shape_ : tuple of int
        (height, width, channels) of the images.
    input_shape_ : tuple of int
        Shape of one training image as it was given: (n_features,) for flat rows.
    input_dtype_ : dtype
        Type of the training images as they were given; of data frames, the common type.
    n_iter_ : int
        Number of epochs. One that was not finished counts if it is the only one of its fit.
    n_threads_ : list of int
        Numbers of threads that the last fit used; a single one is the `n_threads` that repeats it.
    loss_ : float
        Mean training loss of the last epoch, in nats.
    loss_curve_ : list of float
        Mean training loss of each epoch, in nats.
    validation_scores_ : list of float
        Accuracy on the held-out data after each epoch of the last fit; with `early_stopping` only.
    best_validation_score_ : float
        Maximum of `validation_scores_`; with `early_stopping` only.
    preprocessor_ : ImagePreprocessor
        From flat rows to standardized images, a module on the device of `module_`.
    module_ : DeepLeNet
        The trained network: ``module_(preprocessor_(rows))`` are the class scores (logits).
    history_ : skorch.history.History
        skorch's record of the training.
    net_ : skorch.NeuralNetClassifier
        The skorch net.

    See Also
    --------
    sklenet.comparison.make_method : The methods that the paper compares the network with.
    sklearn.neural_network.MLPClassifier : A network without convolutions.

    Notes
    -----
    X may have the shape (n_samples, n_features), (n_samples, height, width), (n_samples, height,
    width, channels) or (n_samples, channels, height, width). Flat rows are square images unless
    `image_shape` says otherwise, and are padded to the next square, so that any table can be
    fitted. Channels are last where the last axis has a length of 1, 3 or 4, else first; images to
    predict may have the other order, flat rows to predict have the order of the training images.
    Images of 24 to 32 pixels are centered in 32x32 and their edge pixels are repeated outwards;
    others are resampled. Pixels are standardized with the mean and standard deviation of the
    training images.

    On a CPU, predictions do not depend on the batch.

    Equal rows of a class are one sample, whose weight is the sum of theirs: a row of weight two is
    the same as the row given twice, and the fit does not depend on the order of the rows, nor on
    the number type that holds their values. A sample is drawn as often as its weight says, and
    each draw has a different augmentation and dropout. The mean weight of the lighter half of the
    samples is one draw in an epoch, which is limited to ten times the number of samples. Rows of
    weight zero are left out.

    The number of `partial_fit` calls is unknown in advance: the learning rate is constant. The
    pixel statistics are those of the first call, the temperature is that of the last one, and the
    statistics of `normalization` are of its chunk and, as of 512 images, of the batches before.

    Ctrl-C ends the training after the current batch, and `fit` raises `KeyboardInterrupt`; a second
    one does not wait for the batch. The classifier is then fitted as far as it was trained. If it
    was fitted before and the interrupted fit did not finish an epoch, it keeps the older model.

    References
    ----------
    .. [1] J. Zhang, X. Yu, X. Lei, C. Wu, "A Novel Deep LeNet-5 Convolutional Neural Network Model
       for Image Recognition", Computer Science and Information Systems 19(3), 2022,
       doi 10.2298/CSIS220120036Z.
    .. [2] I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
       arXiv:1711.05101.
    .. [3] L. N. Smith, N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using
       Large Learning Rates", 2017, arXiv:1708.07120.
    .. [4] C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception
       Architecture for Computer Vision", CVPR 2016, section 7, arXiv:1512.00567.
    .. [5] S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by
       Reducing Internal Covariate Shift", ICML 2015, arXiv:1502.03167.
    .. [6] P. Y. Simard, D. Steinkraus, J. C. Platt, "Best Practices for Convolutional Neural
       Networks Applied to Visual Document Analysis", ICDAR 2003.
    .. [7] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks",
       ICML 2017, arXiv:1706.04599.

    Examples
    --------
    >>> from sklearn.model_selection import train_test_split
    >>> from sklenet import DeepLeNetClassifier
    >>> from sklenet.datasets import load_digits_images
    >>> X_train, X_test, y_train, y_test = train_test_split(
    ...     *load_digits_images(), train_size=500, random_state=0
    ... )
    >>> classifier = DeepLeNetClassifier(max_epochs=5, random_state=0).fit(X_train, y_train)
    >>> classifier.score(X_test, y_test) > 0.95
    True
    """

    _parameter_constraints: dict = {
        "activation": [str, callable],
        "conv_channels": ["array-like", Interval(Integral, 1, None, closed="left")],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "pooling": [StrOptions({"max", "avg"})],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "normalization": [StrOptions({"batch"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "output": [StrOptions(set(LOSSES))],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "lr_schedule": [StrOptions({"auto", *LR_SCHEDULES})],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_epochs": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "augmentation": [StrOptions({"auto", *AUGMENTATIONS}), callable, tuple, list, None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "warm_start": ["boolean"],
        "image_shape": ["array-like", None],
        "check_pixels": ["boolean"],
        "device": [str, torch.device],
        "precision": [StrOptions({"auto", *PRECISIONS})],
        "compile": ["boolean"],
        "n_threads": [StrOptions({"auto"}), Integral],
        "callbacks": [list, tuple, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        activation: str | Callable[[], nn.Module] = "l_relu",
        *,
        conv_channels: Sequence[int] | int = (32, 64),
        kernel_size: int = 5,
        pooling: Literal["max", "avg"] = "max",
        hidden_layer_sizes: Sequence[int] | int = (1024, 67),
        normalization: Literal["batch"] | None = "batch",
        dropout: float = 0.0,
        output: Literal["softmax", "sigmoid"] = "softmax",
        label_smoothing: float = 0.1,
        optimizer: str | Callable[..., torch.optim.Optimizer] = "adamw",
        lr: float | Literal["auto"] = "auto",
        weight_decay: float | Literal["auto"] = "auto",
        lr_schedule: Literal["auto", "one_cycle", "warmup_stable_decay", "constant"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        augmentation: str | Callable | Sequence[str | Callable] | None = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: dict | Literal["balanced"] | None = None,
        warm_start: bool = False,
        image_shape: Sequence[int] | None = None,
        check_pixels: bool = True,
        device: str | torch.device = "auto",
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        compile: bool = False,
        n_threads: int | Literal["auto"] = "auto",
        callbacks: Sequence[Callback | tuple[str, Callback]] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.activation = activation
        self.conv_channels = conv_channels
        self.kernel_size = kernel_size
        self.pooling = pooling
        self.hidden_layer_sizes = hidden_layer_sizes
        self.normalization = normalization
        self.dropout = dropout
        self.output = output
        self.label_smoothing = label_smoothing
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.augmentation = augmentation
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.image_shape = image_shape
        self.check_pixels = check_pixels
        self.device = device
        self.precision = precision
        self.compile = compile
        self.n_threads = n_threads
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    classes_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    image_shape_: tuple[int, int, int]
    _pixel_reference: PixelReference | None = None
    _waiting_images: tuple[np.ndarray, np.ndarray] | None = None  # for a reference
    input_shape_: tuple[int, ...]
    input_dtype_: np.dtype
    n_iter_: int
    n_threads_: list[int]
    loss_: float
    loss_curve_: list[float]
    validation_scores_: list[float]
    best_validation_score_: float
    net_: ImageClassifierNet
    preprocessor_: ImagePreprocessor
    _random_state: np.random.RandomState

    @_restore_on_error
    @validates_parameters
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            The training images, in one of the shapes that the Notes of the class name, of any
            integer or floating type.
        y : array-like of shape (n_samples,)
            The class labels: numbers, strings or booleans.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts; 1 by default.

        Returns
        -------
        self : DeepLeNetClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, which the message explains, or if the training
            diverges.
        TypeError
            If X is sparse or does not hold numbers, or if `activation`, `optimizer` or `callbacks`
            has an invalid type.
        KeyboardInterrupt
            If it is interrupted by Ctrl-C; see the Notes of the class.

        Warns
        -----
        UserWarning
            If flat rows are read as gray images although they could be square color images.
        """
        previous = getattr(self, "net_", None) if self.warm_start else None
        layout, rows, labels, weights = self._check_fit_data(X, y, sample_weight, previous)
        classes = np.unique(labels[weights > 0])
        if len(classes) < 2:
            raise ValueError(
                "y must have at least 2 classes with a positive weight, "
                f"got {len(classes)} class: {classes.tolist()}."
            )
        if previous is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"y must have the classes of the last fit with warm_start=True, "
                f"{self.classes_.tolist()}, got {classes.tolist()}."
            )
        self._train(layout, rows, labels, weights, classes, previous)
        return self

    @available_if(_trains_all_epochs)
    @_restore_on_error
    @validates_parameters
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train the network for one pass over a chunk of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            The images of the chunk, as for `fit`.
        y : array-like of shape (n_samples,)
            Their class labels.
        classes : array-like of shape (n_classes,), default=None
            All class labels of all chunks; needed in the first call, optional later.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample of the chunk counts; 1 by default.

        Returns
        -------
        self : DeepLeNetClassifier
            The classifier.

        Raises
        ------
        ValueError
            As for `fit`; if `classes` is missing in the first call or differs from it later; with
            ``class_weight="balanced"``.
        TypeError
            If X is sparse or does not hold numbers.
        KeyboardInterrupt
            If it is interrupted by Ctrl-C; a classifier that was fitted before keeps its model.
        AttributeError
            With ``early_stopping=True``: a single pass cannot stop early.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight must be a dict or None in partial_fit, got 'balanced': a chunk does "
                "not show how frequent the classes are."
            )
        previous = getattr(self, "net_", None)
        known = self._check_partial_fit_classes(classes)
        layout, rows, labels, weights = self._check_fit_data(X, y, sample_weight, previous)
        unknown = np.setdiff1d(labels, known)
        if len(unknown):
            raise ValueError(
                f"y must have labels from classes={known.tolist()}, got also {unknown.tolist()}."
            )
        self._train(layout, rows, labels, weights, known, previous, is_partial=True)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the class labels of images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            The images, in a shape that fits the training images.

        Returns
        -------
        ndarray of shape (n_samples,)
            The label of each image.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError
            If the shape does not fit, or if the values overflow the network.
        TypeError
            If X is sparse or does not hold numbers.

        Warns
        -----
        UserWarning
            If the images are unlike those of the training; see `check_pixels`.
        """
        best = self._logits(X).argmax(dim=1).numpy()
        return self.classes_[best]

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            The images, as for `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Probabilities, in the order of `classes_`.

        Raises
        ------
        ValueError
            As for `predict`.

        Warns
        -----
        UserWarning
            As for `predict`.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            The images, as for `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Logarithms of the probabilities, in the order of `classes_`.

        Raises
        ------
        ValueError
            As for `predict`.

        Warns
        -----
        UserWarning
            As for `predict`.
        """
        logits = self._logits(X)
        return self.net_.criterion_.log_proba(logits).numpy()

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the class scores of images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            The images; see `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples,), float64
            The logits; with two classes the log-odds of the second.

        Raises
        ------
        ValueError
            As for `predict`.

        Warns
        -----
        UserWarning
            As for `predict`.
        """
        logits = self._logits(X)
        if len(self.classes_) > 2:
            return logits.numpy()
        log_proba = self.net_.criterion_.log_proba(logits).numpy()
        return log_proba[:, 1] - log_proba[:, 0]

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute the accuracy of the predictions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            The images, as for `predict`.
        y : array-like of shape (n_samples,)
            Their class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts; 1 by default.

        Returns
        -------
        float
            The share of right predictions.

        Raises
        ------
        ValueError
            As for `predict`, or if the labels do not fit.

        Warns
        -----
        UserWarning
            As for `predict`.
        """
        # scikit-learn's metrics support the tensors of some devices only.
        y, sample_weight = tensor_to_array(y, "y"), tensor_to_array(sample_weight, "sample_weight")
        return super().score(X, y, sample_weight)

    @property
    def module_(self) -> DeepLeNet:
        """The trained `DeepLeNet`."""
        check_is_fitted(self)
        return self.net_.module_

    @property
    def history_(self) -> History:
        """skorch's record of the training."""
        check_is_fitted(self)
        return self.net_.history_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def _logits(self, X):
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)  # slow for a fitted estimator
        rows = self.preprocessor_.layout.flatten(as_array(X), self.n_features_in_)
        if hasattr(self, "feature_names_in_") or not is_small_finite_array(
            rows, self.n_features_in_
        ):
            rows = validate_data(self, rows, reset=False)
        module, device = self.net_.module_, torch.device(self.net_.device)
        check_n_threads(self.n_threads)
        with AdaptiveThreads(self.n_threads) as threads:
            logits = predict_logits(module, self.preprocessor_, as_tensor(rows), device, threads)
        logits = logits.double()
        if not logits.isfinite().all():
            raise ValueError(
                "X must have values near those of the training images, got values that overflow "
                "the network."
            )
        reference = self._pixel_reference
        if self.check_pixels and reference is not None:
            warn_of_shift(reference, rows, self.preprocessor_.layout)
        return logits

    def _check_partial_fit_classes(self, classes):
        if classes is not None:
            check_label_types(classes, "classes")
            classes = unique_labels(tensor_to_array(classes, "classes"))
        if not hasattr(self, "net_"):
            if classes is None or len(classes) < 2:
                raise ValueError(
                    "classes must list all class labels, at least two, in the first call of "
                    f"partial_fit, got {classes!r}."
                )
            return classes
        if classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"classes must be those of the last fit or partial_fit, {self.classes_.tolist()}, "
                f"got {classes.tolist()}."
            )
        return self.classes_

    def _check_fit_data(self, X, y, sample_weight, previous):
        X, y = as_array(X), tensor_to_array(y, "y")
        check_label_types(y)
        if previous is None:
            layout = ImageLayout.from_images(X, self.image_shape)
            rows = layout.flatten(X)
            self.input_shape_ = tuple(X.shape[1:])
        else:
            layout = self.preprocessor_.layout
            rows = layout.flatten(X, self.n_features_in_)
            shape = self.image_shape
            if shape is not None and ImageLayout.from_images(X, shape) != layout:
                raise ValueError(
                    f"image_shape must be that of the last fit, {layout.shape}, whose training "
                    f"continues, got {shape}."
                )
        rows, y = validate_data(self, rows, y, reset=previous is None)
        if previous is None:
            self.input_dtype_ = rows.dtype
        check_discrete(y)
        sample_weight = check_sample_weight(
            tensor_to_array(sample_weight, "sample_weight"),
            rows,
            dtype=np.float64,
            ensure_non_negative=True,
        )
        if previous is None and self.image_shape is None and len(X.shape) == 2:
            warn_of_color_rows(layout, X.shape[1])
        return layout, rows, y, sample_weight

    @default_torch_settings()
    def _train(self, layout, rows, y, sample_weight, classes, previous, *, is_partial=False):
        check_callbacks(
            self.callbacks or (),
            has_validation_data=self.early_stopping,
            has_schedule=self.lr_schedule != "constant" and not is_partial,
        )
        check_n_threads(self.n_threads)
        resolve_device(self.device)  # refused before the rows are compared
        target = encode_target(y, sample_weight, classes)
        sample_weight = weigh_classes(self.class_weight, y, target, sample_weight, classes)
        train, valid = TrainingSet.from_arrays(rows, target, sample_weight), None
        if previous is None:
            random_state = check_random_state(self.random_state)
            preprocessor = ImagePreprocessor(layout, IMAGE_SIZE)
        else:
            random_state = deepcopy(self._random_state)  # an error leaves it where it was
            preprocessor = deepcopy(self.preprocessor_)
        if self.early_stopping:
            train, valid = train.split(self.validation_fraction, random_state)
        recipe = Recipe.from_parameters(
            self.get_params(deep=False),
            train.n_draws,
            is_partial=is_partial,
            is_table=train.rows.shape[1] != layout.n_values,
        )
        with Interrupts() as interrupts, AdaptiveThreads(self.n_threads) as threads:
            if previous is None:
                # Two threads save 0.1 s with all of MNIST, and stall for seconds on a busy machine.
                with AdaptiveThreads(1):
                    preprocessor.fit(train.rows, train.sample_weight, train.index)
            samples = (train.rows.numpy(), train.index.numpy(), train.target.numpy(), layout)
            if is_partial:
                seen = self._pixel_reference, self._waiting_images
                reference, waiting = update_reference(*seen, *samples)
            else:
                reference, waiting = PixelReference.fit(*samples), None
            net = fit_network(
                recipe,
                preprocessor,
                train,
                valid,
                n_classes=len(classes),
                seed=random_state.randint(2**31 - 1),
                callbacks=self.callbacks or (),
                verbose=int(self.verbose),
                previous=previous,
                with_optimizer=is_partial,
                interrupts=interrupts,
                threads=threads,
            )
            n_epochs_before = 0 if previous is None else len(previous.history_)
            # Less than an epoch does not replace a model, but it is better than none.
            evidence = "dur" if hasattr(self, "net_") else "train_loss"
            is_trained = any(evidence in epoch for epoch in net.history_[n_epochs_before:])
            if interrupts.arrived() and not is_trained:
                raise KeyboardInterrupt
            self.net_ = net
            self.classes_ = classes
            self.image_shape_ = layout.shape
            self.preprocessor_ = preprocessor
            self._pixel_reference, self._waiting_images = reference, waiting
            self._random_state = random_state
            self._summarize(net.history_, n_epochs_before)
        self.n_threads_ = sorted(threads.used)
        if interrupts.arrived():
            raise TrainingInterrupted

    def _summarize(self, history, n_epochs_before):
        """Set the attributes that describe the training, from its history."""
        epochs = [epoch for epoch in history if "train_loss" in epoch]
        self.n_iter_ = len(epochs)
        self.loss_curve_ = [float(epoch["train_loss"]) for epoch in epochs]
        self.loss_ = self.loss_curve_[-1] if epochs else math.nan
        for name in ("validation_scores_", "best_validation_score_"):
            self.__dict__.pop(name, None)
        if self.early_stopping:
            last_fit = [epoch for epoch in history[n_epochs_before:] if "valid_acc" in epoch]
            self.validation_scores_ = [epoch["valid_acc"] for epoch in last_fit]
            self.best_validation_score_ = max(self.validation_scores_, default=math.nan)
