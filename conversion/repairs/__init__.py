"""What does skl2onnx get wrong or lack, and how is it put right? One file each, naming the upstream issue.

A module in REPAIRS has NAME, COVERED (classes), register() and applies(step).
"""

from conversion.repairs import (
    affine,
    binary,
    bins,
    calibrated,
    centres,
    centroids,
    chains,
    covariance,
    dummy,
    imputers,
    indicator,
    isotonic,
    kernels,
    mlp_shape,
    neighbours,
    one_hot,
    propagation,
    radius,
    random_features,
    searched,
    selection,
    several,
    several_trees,
    sgd_labels,
    splines,
    stacking,
    svm,
    targets,
    thresholds,
    ufuncs,
    voting,
    whole_labels,
)

REPAIRS = (
    mlp_shape, affine, centroids, chains, covariance, dummy, imputers, indicator, isotonic, kernels, propagation,
    random_features, splines,
    binary, bins, calibrated, centres, neighbours, one_hot, radius, searched, selection, several, several_trees, sgd_labels,
    stacking, svm, targets, thresholds, ufuncs, voting, whole_labels,
)  # fmt: skip
