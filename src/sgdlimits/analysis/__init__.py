"""Questions asked of simulations and of the limit: when, how often, how long."""
