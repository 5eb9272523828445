"""The papers' figures again, each with a table of checks."""
