"""Vendor only: makes the image, and the signed bundle that carries it and the model to a customer."""
