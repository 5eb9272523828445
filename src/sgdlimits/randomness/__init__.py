"""Seeds, streams and exact samplers. One integer seed decides everything."""

import sgdlimits._x64  # noqa: F401
