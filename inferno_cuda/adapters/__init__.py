"""Modules of other libraries on our kernels, in place and undone again."""
