"""Methods for tables: one file a paper."""
