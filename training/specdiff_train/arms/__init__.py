"""Drafters and trainings that were tried beside the shipped one, and the command that compares them."""
