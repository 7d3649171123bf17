"""Geometry of clouds, and the attacks that preserve shapes or move, add and drop points."""
