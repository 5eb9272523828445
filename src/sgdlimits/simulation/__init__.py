"""One process, several magnifications, one call; its storage and sweeps."""
