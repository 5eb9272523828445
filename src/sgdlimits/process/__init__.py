"""The one step that joins a model and an algorithm, and what follows from it."""
