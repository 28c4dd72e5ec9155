"""How far can a graph of affine maps, networks and kernels be from scikit-learn over a range? `bounds` answers."""
