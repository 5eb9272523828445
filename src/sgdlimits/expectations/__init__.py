"""Gaussian expectations of functions of a few projections, with error estimates."""

import sgdlimits._x64  # noqa: F401
