"""Reducers: what is kept of a series of observations."""
