"""Summary statistics: the few numbers that the high-dimensional process is seen through."""
