"""Weights that others published: read without running anything they bring along, and made ours."""
