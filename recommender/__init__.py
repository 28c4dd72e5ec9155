"""What does a geometry encoder offer an engineer: the same part, similar parts, and the way they differ?"""
