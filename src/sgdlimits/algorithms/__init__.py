"""How parameters move, given the gradients of a batch."""
