"""What figures of one neuron and one direction show: distances from the teacher."""

import xarray as xr


def distance(result: xr.Dataset, of: str = "") -> xr.DataArray:
    """|R - w*|² against run and time, of the parameters or of what is remembered (``of``)."""
    M, Q = (_alone(result[f"{name}{of}"]) for name in "MQ")
    return 1 - 2 * M + Q


def _alone(x: xr.DataArray) -> xr.DataArray:
    return x.isel({d: 0 for d in x.dims if d not in ("run", "time")}, drop=True)
