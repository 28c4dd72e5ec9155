"""The room that may open a pickle: translates a fitted scikit-learn object to ONNX and proves that nothing changed.

It stays with the vendor. Nothing imports it but convert.py.
"""
