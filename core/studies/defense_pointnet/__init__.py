"""Reproduces the first paper (Defense-PointNet) by one command: trainings, measurements, and a report."""
