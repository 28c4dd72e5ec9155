"""What does skl2onnx get wrong, and how is it put right? One file each, naming the upstream issue."""
