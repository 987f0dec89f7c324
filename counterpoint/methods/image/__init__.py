"""Papers that began with images; most run on any kind of data."""
