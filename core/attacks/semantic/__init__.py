"""Attacks that transform a whole cloud: its orientation, form and proportions."""
