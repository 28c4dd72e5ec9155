"""What does skl2onnx get wrong or lack, and how is it put right? One file each, naming the upstream issue.

A module in REPAIRS has NAME, COVERED (classes), register() and applies(step).
"""

from conversion.repairs import (
    affine,
    bagging,
    bins,
    centres,
    centroids,
    chains,
    covariance,
    discriminant,
    dummy,
    gaussian_processes,
    indicator,
    isotonic,
    kernels,
    linear,
    mixtures,
    mlp_shape,
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
    splines,
    svm,
    targets,
    term_weights,
    thresholds,
    ufuncs,
    voting,
    whole_labels,
)

REPAIRS = (
    mlp_shape, affine, centroids, chains, covariance, dummy, indicator, isotonic, kernels, propagation, random_features,
    splines, bagging, bins, centres, neighbours, one_hot, searched, svm, targets, thresholds, ufuncs, voting, linear,
    discriminant, gaussian_processes, mixtures, naive_bayes, normaliser, polynomial, power, quantiles, term_weights,
    whole_labels,
)  # fmt: skip
