"""`predict_logits`: class scores that do not depend on the batch or the mode."""

import pytest
import torch
from helpers import Small
from skorch.callbacks import Callback

from sklenet import DeepLeNet, ImageLayout, ImagePreprocessor
from sklenet.training import predict_logits
from sklenet.training._predict import forward_padded

CPU = torch.device("cpu")


@pytest.fixture
def rows(digits):
    """Return 300 test images, more than a chunk."""
    return torch.from_numpy(digits[1]).flatten(1)


@pytest.fixture
def preprocessor(rows):
    return ImagePreprocessor(ImageLayout(8, 8)).fit(rows)


def make_network(**options):
    torch.manual_seed(0)
    return DeepLeNet(**options).to(memory_format=torch.channels_last).eval()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "elu"},
        {"activation": "sigmoid", "conv_channels": (5, 7), "hidden_layer_sizes": (31,)},
        {"activation": "gelu"},
        {"activation": "silu", "conv_channels": (6, 16), "hidden_layer_sizes": (120, 84)},
        {"activation": "sigmoid", "conv_channels": (6, 16), "hidden_layer_sizes": (120, 84)},
        {"conv_channels": (5, 7), "kernel_size": 3, "pooling": "avg"},
        {"kernel_size": 1, "conv_channels": (3,)},
        {"kernel_size": 1},
        {"hidden_layer_sizes": (31,)},
        {"activation": torch.nn.Softplus},
    ],
    ids=str,
)
def test_predict_logits_some_rows_equals_that_of_all_rows(rows, preprocessor, options):
    network = make_network(**options)
    expected = predict_logits(network, preprocessor, rows, CPU)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    for n_rows in (1, 2, 3, 5, 13, 17, 31, 129, 255, 300):
        selected = order[:n_rows]
        found = predict_logits(network, preprocessor, rows[selected], CPU)
        assert torch.equal(found, expected[selected])


def test_predict_logits_network_in_training_mode_predicts_without_dropout(rows, preprocessor):
    network = make_network(dropout=0.5)
    expected = predict_logits(network, preprocessor, rows, CPU)
    assert torch.equal(predict_logits(network.train(), preprocessor, rows, CPU), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int64])
def test_predict_logits_rows_of_other_dtype_gives_same_logits(rows, preprocessor, dtype):
    network = make_network()
    expected = predict_logits(network, preprocessor, rows, CPU)
    logits = predict_logits(network, preprocessor, rows.to(dtype), CPU)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_predict_logits_float64_rows_are_independent(rows, preprocessor):
    network, rows = make_network(), rows.double() / 3
    expected = predict_logits(network, preprocessor, rows, CPU)
    assert torch.equal(predict_logits(network, preprocessor, rows[7:20], CPU), expected[7:20])


def test_predict_logits_chunks_equals_network_of_all_images(rows, preprocessor):
    network = make_network()
    with torch.no_grad():
        expected = network(preprocessor(rows))
    logits = predict_logits(network, preprocessor, rows, CPU)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    assert not logits.requires_grad


def test_predict_logits_within_autocast_is_float32(rows, preprocessor):
    network = make_network()
    expected = predict_logits(network, preprocessor, rows, CPU)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(predict_logits(network, preprocessor, rows, CPU), expected)


@pytest.mark.parametrize(("n_images", "n_padded"), [(1, 32), (32, 32), (33, 64)])
def test_forward_padded_odd_batch_is_padded_and_cut(n_images, n_padded):
    network, seen = make_network(activation="gelu"), []
    network.register_forward_pre_hook(lambda network, inputs: seen.append(len(inputs[0])))
    with torch.no_grad():
        logits = forward_padded(network, torch.randn(n_images, 1, 32, 32))
    assert (len(logits), seen) == (n_images, [n_padded])


def test_predict_logits_in_callback_does_not_change_training(digits):
    class PredictEachBatch(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            predict_logits(net.module_, preprocessor, rows, CPU)

    X_train, X_test, y_train, _ = digits
    rows = torch.from_numpy(X_test[:3]).flatten(1)
    preprocessor = ImagePreprocessor(ImageLayout(8, 8))
    plain = Small(dropout=0.5, max_epochs=1).fit(X_train, y_train)
    predicting = Small(dropout=0.5, max_epochs=1, callbacks=[PredictEachBatch()])
    assert predicting.fit(X_train, y_train).loss_curve_ == plain.loss_curve_
