"""Methods for several kinds of observation of the same items."""
