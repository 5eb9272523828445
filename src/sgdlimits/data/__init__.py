"""Laws of one sample, as a few projections of it see them."""
