"""What the image is made of: a closure of files, and an archive of it that is the same for whoever builds the same commit."""
