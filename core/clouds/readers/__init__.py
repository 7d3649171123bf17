"""Readers of single file formats in numpy: strict, and exact about where a file goes wrong."""
