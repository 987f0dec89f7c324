"""Methods for time series: one file a paper."""
