"""Tests that need NeuralFoil run where scripts/train has installed it; those of the committed files run everywhere."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("neuralfoil") else ["test_sources.py", "test_neuralfoil.py", "test_encoder.py", "test_run.py"]
