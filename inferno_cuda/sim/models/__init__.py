"""Network models from the literature."""
