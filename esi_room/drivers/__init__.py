"""Serial protocols, one file each, sans-I/O: bytes in, readings out."""
