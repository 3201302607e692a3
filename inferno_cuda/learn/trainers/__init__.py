"""The learning rules."""
