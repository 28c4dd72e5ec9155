"""What does skl2onnx get wrong or lack, and how is it put right? One file each, naming the upstream issue.

A module in REPAIRS has NAME, COVERED (classes), register() and applies(step).
"""

from conversion.repairs import (
    affine,
    bins,
    centres,
    centroids,
    chains,
    covariance,
    discriminant,
    dummy,
    gaussian_processes,
    indicator,
    isomap,
    isotonic,
    iterations,
    kernels,
    mixtures,
    mlp_shape,
    multi_output,
    naive_bayes,
    neighbours,
    normaliser,
    one_hot,
    polynomial,
    power,
    propagation,
    quantiles,
    random_features,
    searched,
    sgd_labels,
    splines,
    svm,
    targets,
    thresholds,
    ufuncs,
    voting,
    whole_labels,
)

REPAIRS = (
    mlp_shape, affine, centroids, chains, covariance, dummy, indicator, isotonic, kernels, propagation,
    random_features, splines,
    discriminant, gaussian_processes, isomap, iterations, mixtures, multi_output, naive_bayes,
    normaliser, polynomial, power, quantiles,
    bins, centres, neighbours, one_hot, searched, sgd_labels, svm, targets, thresholds, ufuncs, voting, whole_labels,
)  # fmt: skip
