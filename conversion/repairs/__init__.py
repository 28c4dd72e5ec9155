"""What does skl2onnx get wrong or lack, and how is it put right? One file each, naming the upstream issue.

A module in REPAIRS has NAME, COVERED (classes), register() and applies(step).
"""

from conversion.repairs import (
    affine,
    bins,
    centres,
    centroids,
    chains,
    columns,
    covariance,
    dummy,
    encoders,
    indicator,
    isotonic,
    kernels,
    mlp_shape,
    neighbours,
    one_hot,
    propagation,
    random_features,
    searched,
    sgd_labels,
    splines,
    svm,
    targets,
    thresholds,
    ufuncs,
    vectorizers,
    voting,
    whole_labels,
)

REPAIRS = (
    mlp_shape, affine, centroids, chains, covariance, dummy, indicator, isotonic, kernels, propagation,
    random_features, splines,
    columns, encoders, vectorizers,
    bins, centres, neighbours, one_hot, searched, sgd_labels, svm, targets, thresholds, ufuncs, voting, whole_labels,
)  # fmt: skip
