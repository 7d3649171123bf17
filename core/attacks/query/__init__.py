"""Attacks that ask a model for its answers alone, never for a gradient."""
