"""Attacks that use the outputs of the attacked model, never its gradients."""
