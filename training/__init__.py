"""How were model.pkl, the catalogue and polar.onnx made from real airfoils?

Vendor only. The way is sources -> labels -> mixing -> encoder -> evaluation -> artifacts, with polar beside it.
"""
