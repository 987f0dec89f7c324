"""Methods for text."""
