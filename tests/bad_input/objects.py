"""What the calls of the battery name."""

import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

import sgdlimits as sl


def namespace(tmp: Path) -> dict[str, Any]:
    """Names with working objects; making them compiles little."""
    model = sl.SpikedTensor(snr=2.0)
    committee = sl.committee(2, 1)
    mixture = sl.binary_gmm()
    dynamics = sl.effective_dynamics(model)

    def make_committee(**changes: Any) -> Any:
        given = dict(
            student=committee.student,
            teacher=committee.teacher,
            width=2,
            gram=((1.0,),),
            second_layer=(1.0, 1.0),
            teacher_second_layer=(1.0,),
            noise=0.0,
            train_second_layer=False,
            rule=committee.rule,
        )
        return sl.Committee(**{**given, **changes})

    def make_process(**changes: Any) -> Any:
        given = dict(drift=-np.eye(2), diffusion=np.eye(2), names=("a", "b"))
        return sl.OrnsteinUhlenbeck(**{**given, **changes})

    dataset = xr.Dataset(
        {"m": (("run", "time"), np.full((3, 3), 0.5)), "diverged": ("run", [np.nan] * 3)},
        {"run": [0, 1, 2], "time": [0.0, 1.0, 2.0], "step": ("time", [0, 10, 20])},
        {"model": '{"order":2,"type":"SpikedTensor"}', "engine": "chain", "dim": 10, "seed": 0},
    )
    return {
        "np": np,
        "jnp": jnp,
        "math": math,
        "sl": sl,
        "nan": math.nan,
        "inf": math.inf,
        "tmp": tmp,
        "M": model,
        "S": sl.OnlineSGD(),
        "C": committee,
        "G": mixture,
        "D": sl.GaussianMixture(np.eye(2), np.eye(2)),
        "N": sl.Network(lambda v, s: s, width=2, layer=0),
        "U": sl.SpikedStatistics(0.1, 1.0),
        "UC": sl.Statistics([], np.ones((2, 1)) / 10, np.eye(2)),
        "UG": sl.Statistics(np.ones(2), np.zeros((2, 1)), np.eye(2)),
        "E": dynamics,
        "R": dynamics.rescale("m"),
        "EL": sl.EscapeLaw(1.0, 1.0, 1.0, 1.0, 100),
        "MD": sl.Mediocrity(0.1),
        "ON": sl.OneNeuron(0.1),
        "SI": sl.SingleIndexSphere([0, 1], [0, 1], 0.1),
        "T": sl.spectra.TestData(9),
        "DS": dataset,
        "P": lambda snr: {"model": sl.SpikedTensor(2, snr), "dim": 20, "time": 1.0},
        "Committee": make_committee,
        "OU": make_process,
    }
