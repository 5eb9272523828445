"""Names that results use are refused where a statistic would take them."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.engines.table import ENGINES
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.reserved import RESERVED, is_error
from tests.models.custom_examples import regression


@pytest.mark.parametrize("name", [*RESERVED, "m_error", "drift_error", "_error"[1:] + "_error"])
def test_a_custom_statistic_cannot_have_a_name_of_results(name):
    with pytest.raises(ValueError, match=rf"statistics: name '{name}'.*run, time, step, diverged"):
        regression(statistics=lambda w: {"m": w[0], name: jnp.sum(w * w)})


def test_neither_can_a_statistic_or_a_dimension_of_a_class():
    for dims in ({"risk": ()}, {"m_error": ()}, {"m": ("time",)}):
        with pytest.raises(ValueError, match=r"Mine\.dims: name"):
            type(
                "Mine", (AbstractStatistics,), {"dims": dims, "__annotations__": {"dims": ClassVar}}
            )


@pytest.mark.parametrize("engine", list(ENGINES))
def test_every_name_of_results_is_a_statistic_or_reserved(engine):
    model = sl.committee(2, 1, "erf")
    sgd = sl.OnlineSGD(step=0.5)
    ds = sl.simulate(model, sgd, engine, dim=20, time=0.2, record=2, risk=True)
    own = {"v", "M", "Q", "q", "C", "L"}  # C, L: what the neurons of mean_field share
    # Numbers of neurons and directions are axes that only the package's own statistics have.
    names = {str(name) for name in ds.variables if not is_error(name)} - {str(x) for x in ds.dims}
    assert names <= own | set(RESERVED)
    assert {"run", "time", "step"} <= set(RESERVED)


def test_what_lists_statistics_leaves_their_errors_out():
    ds = sl.simulate(regression(), engine="ode", dim=50, time=0.5, record=5, runs=2)
    assert "m_error" in ds
    found = sl.compare(ds, ds.assign(m=ds.m + 0.0)).dataset["statistic"]
    assert found.values.tolist() == ["m", "q"]
    with pytest.raises(ValueError, match=r"of='m_error'.*'m', 'q'"):
        sl.exit_time(ds, 0.5, of="m_error")


def test_observers_cannot_take_the_names_of_errors_or_of_the_risk():
    for name in ("M_error", "risk"):
        with pytest.raises(ValueError, match=f"observe: {name!r} is the name of another"):
            sl.simulate(
                sl.committee(2, 1), engine="sgd", dim=20, time=0.2, record=2,
                observe=[lambda snapshot, name=name: {name: np.zeros(())}],
            )  # fmt: skip
