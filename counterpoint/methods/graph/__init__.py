"""Graphs whose nodes are the items."""
