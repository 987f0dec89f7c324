"""Volumes: what is where in a body."""
