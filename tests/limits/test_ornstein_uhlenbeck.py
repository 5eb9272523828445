"""The linear limit about a fixed point."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import sgdlimits as sl


def _process(a, sigma):
    names = tuple("abc"[: len(a)])
    return sl.OrnsteinUhlenbeck(
        jnp.asarray(np.array(a, float)), jnp.asarray(np.array(sigma, float)), names
    )


_STABLE = _process([[-1.0, 0.7], [-0.4, -2.0]], [[1.0, 0.3], [0.3, 0.5]])
_UNSTABLE = _process([[1.5, 0.7], [0.2, -2.0]], [[1.0, 0.3], [0.3, 0.5]])
_STIFF = _process([[-1.0, 5.0], [0.0, -60.0]], [[1.0, 0.3], [0.3, 0.5]])
_START = np.array([[0.4, -0.1], [-0.1, 0.9]])


def _integrated(process, start, times):
    """Covariance by small steps of C' = A C + C AT + Sigma."""
    a, sigma = np.asarray(process.drift), np.asarray(process.diffusion)
    n = len(a)

    def field(_, flat):
        c = flat.reshape(n, n)
        return (a @ c + c @ a.T + sigma).ravel()

    solution = solve_ivp(
        field, (0, times[-1]), start.ravel(), t_eval=times, method="LSODA", rtol=1e-10, atol=1e-12
    )
    return solution.y.T.reshape(len(times), n, n)


@pytest.mark.parametrize(
    "process", [_STABLE, _UNSTABLE, _STIFF], ids=["stable", "unstable", "stiff"]
)
@pytest.mark.parametrize("start", [np.zeros((2, 2)), _START], ids=["point", "spread"])
def test_covariance_solves_its_equation(process, start):
    times = [0.0, 0.1, 0.7, 1.0]
    np.testing.assert_allclose(
        process.covariance(times, start), _integrated(process, start, times), rtol=1e-6, atol=1e-8
    )


def test_mean_solves_its_equation():
    times, start, a = [0.0, 0.3, 1.0], np.array([1.0, -2.0]), np.asarray(_UNSTABLE.drift)
    solution = solve_ivp(lambda _, y: a @ y, (0, 1), start, t_eval=times, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(_UNSTABLE.mean(times, start), solution.y.T, rtol=1e-7)


@pytest.mark.parametrize("process", [_STABLE, _STIFF], ids=["stable", "stiff"])
@pytest.mark.parametrize("time", [50.0, 2000.0])
def test_covariance_tends_to_the_stationary_one(process, time):
    np.testing.assert_allclose(
        process.covariance([time], _START)[0], process.stationary_covariance(), rtol=1e-9
    )


def test_stationary_covariance_balances_drift_and_noise():
    a, c = np.asarray(_STABLE.drift), _STABLE.stationary_covariance()
    np.testing.assert_allclose(a @ c + c @ a.T, -np.asarray(_STABLE.diffusion), atol=1e-14)
    np.testing.assert_array_equal(c, c.T)


def test_an_unstable_process_has_no_stationary_law():
    assert not _UNSTABLE.stable
    with pytest.raises(ValueError, match=r"not stable.*no stationary covariance"):
        _UNSTABLE.stationary_covariance()


def test_leading_mode():
    rate, left, variance = _UNSTABLE.leading_mode()
    a = np.asarray(_UNSTABLE.drift)
    assert rate == pytest.approx(np.linalg.eigvals(a).max())
    np.testing.assert_allclose(left @ a, rate * left, atol=1e-13)
    assert np.linalg.norm(left) == pytest.approx(1)
    assert left[np.abs(left).argmax()] > 0
    assert variance == pytest.approx(left @ np.asarray(_UNSTABLE.diffusion) @ left)


def test_an_oscillating_mode_is_refused():
    with pytest.raises(ValueError, match="oscillates"):
        _process([[0.0, 1.0], [-1.0, 0.0]], np.eye(2)).leading_mode()


def test_linearise_gives_the_papers_numbers():
    # k = 2: (0, c): A_m = 4 (lam - c), Sigma_m = 8 c^2 for step c; stationary c^2/(c - lam).
    lam, c = 0.5, 0.8
    eff = sl.effective_dynamics(sl.SpikedTensor(snr=lam), sl.OnlineSGD(step=c))
    process = eff.linearise(sl.SpikedStatistics(0.0, c))
    np.testing.assert_allclose(process.drift, np.diag([4 * (lam - c), -8 * c]), atol=1e-13)
    assert float(process.diffusion[0, 0]) == pytest.approx(8 * c**2)
    assert process.stationary_covariance()[0, 0] == pytest.approx(c**2 / (c - lam))
    # k >= 3: variance c.
    eff = sl.effective_dynamics(sl.SpikedTensor(order=3, snr=lam), sl.OnlineSGD(step=c))
    process = eff.linearise(sl.SpikedStatistics(0.0, c))
    assert process.stationary_covariance()[0, 0] == pytest.approx(c)


def test_linearise_refuses_what_is_no_fixed_point():
    eff = sl.effective_dynamics(sl.SpikedTensor(snr=0.5))
    with pytest.raises(ValueError, match=r"u_star=.*no fixed point.*tolerance=1e-06"):
        eff.linearise(sl.SpikedStatistics(0.1, 1.0))
    with pytest.raises(ValueError, match=r"u_star.*batch shape \(2,\)"):
        eff.linearise(sl.SpikedStatistics([0.0, 0.0], [1.0, 1.0]))
    np.testing.assert_allclose(
        eff.linearise(sl.SpikedStatistics(0.1, 1.0), tolerance=10.0).drift.shape, (2, 2)
    )
