"""How do 130 heights become 24 shape and 8 performance coordinates in one plain scikit-learn Pipeline?

A relu network can carry a value unchanged: x = relu(x) - relu(-x). So one MLPRegressor holds both the exact linear shape
block and the fitted performance head, and no class of our own has to travel with the pickle.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from recommender.contour import SIDE, STATIONS, Array

SHAPE, PERFORMANCE = 24, 8
HIDDEN = (128, 96)
EPOCHS = 25
# Kulfan's wind-tunnel model tolerance, in chords: 4e-4 over the first fifth, 8e-4 behind it.
TOLERANCE: Array = np.where(np.tile(STATIONS, 2) <= 0.2, 4e-4, 8e-4)
# PCA is orthonormal, so with this unit the distance between two shape blocks is the RMS height difference in % chord.
UNIT = 100.0 / np.sqrt(130.0)


@dataclass(frozen=True)
class Encoder:
    """The pipeline that ships; beside it the head it was composed from and the map from 8 coordinates back to quantities."""

    pipeline: Pipeline
    head: MLPRegressor
    behaviour: PCA
    spread: Array
    mean: Array

    def encode(self, heights: Array) -> Array:
        return np.asarray(self.pipeline.predict(heights), dtype=np.float64)

    def decode(self, latents: Array) -> Array:
        """(n, 32) -> (n, 130) heights in chords."""
        return np.asarray(self.pipeline.named_steps["pca"].inverse_transform(latents[:, :SHAPE] / UNIT))

    def predict(self, heights: Array) -> Array:
        """(n, 130) -> (n, 45), in the order of labels.QUANTITIES, before they are reduced to 8 coordinates."""
        return np.asarray(self.head.predict(self.pipeline[:2].transform(heights)) * self.spread + self.mean)

    def quantities(self, latents: Array) -> Array:
        """(n, 32) -> (n, 45), as far as the 8 performance coordinates know them."""
        return np.asarray(self.behaviour.inverse_transform(latents[:, SHAPE:]) * self.spread + self.mean)


def fit(real: Array, behaving: Array, labels: Array, seed: int) -> Encoder:
    """real (n, 130) defines the shape block; the performance head learns labels (m, 45) of the shapes behaving (m, 130)."""
    pca = fit_shape(real, SHAPE)
    scaler = StandardScaler().fit(pca.transform(real))
    inputs = scaler.transform(pca.transform(behaving))
    mean, spread = labels.mean(axis=0), labels.std(axis=0)
    # With this tolerance no epoch counts as an improvement, so training always ends after EPOCHS.
    head = MLPRegressor(hidden_layer_sizes=HIDDEN, batch_size=128, n_iter_no_change=EPOCHS - 2, tol=1e9, random_state=seed)
    head.fit(inputs, (labels - mean) / spread)
    behaviour = PCA(PERFORMANCE, svd_solver="full").fit(head.predict(inputs))
    network = _compose(head, behaviour, scaler)
    pipeline = Pipeline([("pca", pca), ("scaler", scaler), ("network", network)])
    return Encoder(pipeline, head, behaviour, spread, mean)


def fit_shape(real: Array, dimension: int) -> PCA:
    """Orthonormal axes for shapes (n, 130): those that keep them, and the same shapes upside down, in tolerance.

    Upside down, because a section flown inverted is a section too, and it makes every axis pure thickness or pure camber.
    """
    both = np.vstack([real, -np.hstack([real[:, SIDE:], real[:, :SIDE]])])
    centred = (both - both.mean(axis=0)) / TOLERANCE
    plane, _ = np.linalg.qr((np.linalg.svd(centred, full_matrices=False)[2][:dimension] * TOLERANCE).T)
    return PCA(dimension, svd_solver="full").fit((both - both.mean(axis=0)) @ plane @ plane.T + both.mean(axis=0))


def _compose(head: MLPRegressor, behaviour: PCA, scaler: StandardScaler) -> MLPRegressor:
    (w1, w2, w3), (b1, b2, b3) = head.coefs_, head.intercepts_
    both, none, carried = np.hstack([np.eye(SHAPE), -np.eye(SHAPE)]), np.zeros, 2 * SHAPE
    out_shape, turn = both.T * (scaler.scale_ * UNIT), behaviour.components_.T
    network = MLPRegressor(hidden_layer_sizes=(HIDDEN[0] + carried, HIDDEN[1] + carried))
    network.n_features_in_, network.n_outputs_, network.n_layers_ = SHAPE, SHAPE + PERFORMANCE, 4
    network.n_iter_, network.out_activation_ = head.n_iter_, head.out_activation_
    network.coefs_ = [
        np.hstack([w1, both]),
        np.block([[w2, none((len(w2), carried))], [none((carried, w2.shape[1])), np.eye(carried)]]),
        np.block([[none((len(w3), SHAPE)), w3 @ turn], [out_shape, none((carried, PERFORMANCE))]]),
    ]
    network.intercepts_ = [
        np.concatenate([b1, none(carried)]),
        np.concatenate([b2, none(carried)]),
        np.concatenate([scaler.mean_ * UNIT, (b3 - behaviour.mean_) @ turn]),
    ]
    return network
