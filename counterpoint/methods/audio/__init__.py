"""Methods for sound: one file a paper."""
