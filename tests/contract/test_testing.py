"""The checker finds what is right right, and what is subtly wrong wrong."""

import sys

import jax
import jax.numpy as jnp
import pytest

import sgdlimits as sl
from sgdlimits.algorithms.rules import AbstractRule
from sgdlimits.randomness.chi_square import ChiSquare
from sgdlimits.testing.check import subject_of
from sgdlimits.testing.laws import laws
from sgdlimits.testing.limits import limits
from sgdlimits.testing.one_step import one_step
from sgdlimits.testing.report import Report, Row
from sgdlimits.testing.states import states
from tests.contract.examples import LinearRegression, TwoScales

_SGD = sl.OnlineSGD(step=0.6)
_CHECK = sys.modules["sgdlimits.testing.check"]  # the module, which its function hides


def _failed(rows) -> set[str]:
    return {row.name for row in rows if not row.good}


@pytest.mark.stat
def test_a_good_model_passes_and_its_report_is_a_table(monkeypatch):
    # All groups run on all models in test_contract.
    monkeypatch.setattr(_CHECK, "GROUPS", {"states": states, "one step": one_step})
    report = sl.testing.check(sl.SpikedTensor(), _SGD)
    assert report.passed
    assert report["default steps"].score == "z"
    lines = str(report).splitlines()
    assert lines[1].split()[:3] == ["check", "compared", "with"]
    assert len(lines) >= len(report.rows) + 4
    assert "at most 0.001" in lines[-1]
    # The controls had their say, and what they said was no.
    assert "step 10 % longer: rejected" in report["chain in a huge dim"].control


class HalfTheGradient(sl.SpikedTensor):
    """The cross term 2 E[g s] of dQ without its factor 2."""

    def expectations(self, u):
        e = super().expectations(u)
        return e._replace(gs=e.gs / 2)


@pytest.mark.stat
def test_expectations_that_lose_a_factor_are_found():
    subject = subject_of(HalfTheGradient(), _SGD)
    assert "chain in a huge dim" in _failed(one_step(subject))
    assert {"moments' growth over 1/dim", "gradient of the risk"} <= _failed(limits(subject))


class LouderSamples(TwoScales):
    """A law whose real samples are 5 % larger than it says."""

    def sample(self, key, frame, dtype):
        x, _ = super().sample(key, frame, dtype)
        z = jax.random.normal(jax.random.fold_in(key, 2), (1,), dtype)
        x = x * jnp.asarray(1.05, dtype)
        return x, self.label(jnp.zeros((), int), frame @ x, z)


@pytest.mark.stat
def test_a_data_law_that_samples_another_deviation_is_found():
    subject = subject_of(LinearRegression(LouderSamples()), sl.OnlineSGD(step=0.5))
    found = one_step(subject)
    assert {"default steps", "literal steps"} <= _failed(found)
    assert "chain in a huge dim" not in _failed(found)  # the formulas are right
    assert "default steps in law" in _failed(laws(subject))


class Clipped(AbstractRule):
    """Not linear: parameters are kept in a box."""

    def update(self, parameters, gradient, delta, time):
        return jnp.clip(parameters - delta * gradient, -0.3, 0.3)


@pytest.mark.stat
def test_a_rule_that_is_not_linear_is_found():
    subject = subject_of(sl.SpikedTensor(), sl.OnlineSGD(step=0.6, rule=Clipped()))
    rows = [*one_step(subject), *laws(subject)]
    assert "literal steps in law" in _failed(rows)


class _Mean(ChiSquare):
    def from_normals(self, z):
        return jnp.broadcast_to(self.mean, z.shape[1:])


@pytest.mark.stat
def test_a_chain_that_forgets_fluctuations_is_found(monkeypatch):
    monkeypatch.setattr("sgdlimits.process.outside.ChiSquare", _Mean)
    subject = subject_of(sl.SpikedTensor(snr=1.7), sl.OnlineSGD(step=0.61))
    assert "chain steps" in _failed(one_step(subject))


class Misses(sl.SpikedTensor):
    """Lifts to vectors that are a little too long."""

    def lift(self, key, u, frame):
        return super().lift(key, u, frame) * 1.0001


def test_a_failing_check_raises_with_its_table(monkeypatch):
    monkeypatch.setattr(_CHECK, "GROUPS", {"states": states})
    report = sl.testing.check(Misses(), _SGD, throw=False)
    assert _failed(report.rows) == {"lifted vectors"}
    with pytest.raises(AssertionError, match=r"lifted vectors .* FAILED"):
        sl.testing.check(Misses(), _SGD)


def test_what_a_control_should_see_and_does_not_fails():
    blind = Row("x", "y", 1.0, 2.0, True, control_failed=True)
    assert not Report("", (blind,)).passed
    assert "BLIND" in str(Report("", (blind,)))


@pytest.mark.parametrize(
    ("argument", "value"),
    [("dim", 2), ("dim", 5.0), ("draws", 100), ("draws", "many"), ("seed", -1)],
)
def test_bad_arguments_are_refused_by_name(argument, value, as_users_run):
    with pytest.raises((TypeError, ValueError), match=f"{argument}={value!r}"):
        sl.testing.check(sl.SpikedTensor(), **{argument: value})


def test_one_state_without_an_axis_is_refused(as_users_run):
    with pytest.raises(ValueError, match=r"batch shape \(\): expected one axis"):
        sl.testing.check(sl.SpikedTensor(), points=sl.SpikedStatistics(0.1, 0.2))
