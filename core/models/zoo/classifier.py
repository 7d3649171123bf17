"""The fully connected layers with which most classifiers of point clouds end."""

from torch import nn


def classifier(inputs: int, classes: int, dropout: float, slope: float = 0.0, first_bias: bool = True) -> nn.Sequential:
    """Layers of 512 and 256 features, each with batch norm, leaky ReLU and dropout, then one output a class.

    Parameters
    ----------
    dropout : share of the features dropped in training.
    slope : of leaky ReLU for negative values; 0 is ReLU.
    first_bias : whether the first layer has a bias.
    """
    return nn.Sequential(
        nn.Linear(inputs, 512, bias=first_bias), nn.BatchNorm1d(512), nn.LeakyReLU(slope), nn.Dropout(dropout),
        nn.Linear(512, 256), nn.BatchNorm1d(256), nn.LeakyReLU(slope), nn.Dropout(dropout),
        nn.Linear(256, classes),
    )  # fmt: skip
