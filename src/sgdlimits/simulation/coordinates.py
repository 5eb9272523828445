"""Coordinates of results along neurons, directions and blocks, counted from 1 as names count them.

``M.sel(neuron=1, direction=2)`` is M_12. Stores that were written without them get them when they
are read: nothing in a run's identity or numbers depends on them.
"""

import numpy as np
import xarray as xr

#: Dimensions of statistics that count something.
COUNTED = {
    "neuron": "neuron, from 1",
    "other_neuron": "neuron, from 1",
    "direction": "fixed direction, from 1",
    "weight": "number of the second layer, from 1",
    "block": "block of eigenvalues of the covariance, from 1",
}


def labelled(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with a coordinate along each dimension that counts something and has none."""
    missing = {
        name: xr.Variable(name, np.arange(1, dataset.sizes[name] + 1), {"long_name": meaning})
        for name, meaning in COUNTED.items()
        if name in dataset.dims and name not in dataset.coords
    }
    return dataset.assign_coords(missing)
