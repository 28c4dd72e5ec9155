"""The room that ships: answers requests from model.onnx, and never opens a pickle."""
