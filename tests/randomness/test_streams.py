"""Keys: one per seed, purpose and run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgdlimits.randomness.streams import check_seed, run_keys, stream_key

_STREAMS = ("initial", "lift", "sgd", "chain", "sde", "search", "test")


def _bits(keys):
    return np.asarray(jax.random.key_data(keys)).reshape(-1, 2)


def test_no_two_purposes_seeds_or_runs_share_a_key():
    runs = jnp.arange(50)
    keys = [_bits(run_keys(seed, stream, runs)) for seed in (0, 1, 2**40) for stream in _STREAMS]
    everything = np.concatenate(keys)
    assert len(np.unique(everything, axis=0)) == len(everything) == 1050


def test_the_key_of_a_run_does_not_depend_on_its_company():
    alone = _bits(run_keys(3, "chain", jnp.array([17])))
    together = _bits(run_keys(3, "chain", jnp.arange(10, 20)))
    np.testing.assert_array_equal(alone[0], together[7])


def test_stream_numbers_are_part_of_stored_results():
    # Renumbering would silently change what a seed means.
    for number, stream in enumerate(_STREAMS):
        expected = jax.random.fold_in(jax.random.key(5), number)
        np.testing.assert_array_equal(_bits(stream_key(5, stream)), _bits(expected))


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, "0", None, True])
def test_bad_seeds_are_refused(seed):
    with pytest.raises((TypeError, ValueError), match=r"seed=.*expected an integer"):
        check_seed(seed)


@pytest.mark.parametrize("seed", [0, 2**63 - 1, np.int64(4)])
def test_good_seeds_are_kept(seed):
    assert check_seed(seed) == int(seed)
    assert type(check_seed(seed)) is int
