"""The room that ships: answers requests from model.onnx, and never opens a pickle."""

VERSION = "0.1.0"
