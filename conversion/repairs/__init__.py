"""What does skl2onnx get wrong or lack, and how is it put right? One file each, naming the upstream issue.

A module in REPAIRS has NAME, COVERED (classes), register() and applies(step).
"""

from conversion.repairs import mlp_shape

REPAIRS = (mlp_shape,)
