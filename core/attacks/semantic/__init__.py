"""Attacks that change what a cloud is a picture of, not its points one by one: its place, form and proportions."""
