"""Every bad input of the battery is refused: by name, in this package's words, within a second."""

import itertools
import time
import traceback
import warnings

import pytest

from tests.bad_input.battery import inputs
from tests.bad_input.objects import namespace

pytestmark = pytest.mark.usefixtures("as_users_run")

_SECOND = 1.0
_GROUPS = {
    key: list(group)
    for key, group in itertools.groupby(inputs(), lambda x: f"{x.call.split('(')[0]}:{x.argument}")
}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    return namespace(tmp_path_factory.mktemp("battery"))


def _complaint(call, argument, names):
    """What is wrong with how an input is answered; None: nothing."""
    start = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other libraries, before the refusal
            eval(call, names)
    except (TypeError, ValueError, OSError) as error:
        took = time.process_time() - start
        if "sgdlimits" not in traceback.extract_tb(error.__traceback__)[-1].filename:
            return f"a traceback of others: {error!r}"
        if argument not in str(error)[:400]:
            return f"{argument!r} is not named: {error}"
        return f"{took:.1f} s" if took > _SECOND else None
    except BaseException as error:
        return f"no TypeError, ValueError or OSError: {error!r}"
    return "accepted"


def test_there_are_enough():
    assert len(set(inputs())) >= 2500
    assert len(_GROUPS) >= 150


@pytest.mark.parametrize("group", _GROUPS)
def test_it_is_refused(group, names):
    complaints = {
        x.call: complaint
        for x in _GROUPS[group]
        if (complaint := _complaint(x.call, x.argument, names)) is not None
    }
    assert not complaints


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("sl.SpikedTensor(2, 1.5)", "accepted"),  # what is right passes, and the battery would say
        ("np.zeros(-1)", "a traceback of others"),
        ("{}[3]", "no TypeError"),
        ("sl.SpikedTensor(2, -1)", "'order' is not named"),
    ],
)
def test_the_battery_complains(call, words, names):
    assert words in _complaint(call, "order", names)


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ("sl.OnlineSGD(lr=0.1)", "the learning rate is step / dim: give step"),
        ("sl.OnlineSGD(learning_rate=0.1)", "give step"),
        ("sl.OnlineSGD(momentum=0.9)", "see sgdlimits.rules: give rule"),
        ("sl.OnlineSGD(batch_size=4)", "give batch"),
        ("sl.OnlineSGD(stp=0.1)", "did you mean step?"),
        ("sl.simulate(M, dim=20, time=1.0, lr=0.1)", "give sgd=OnlineSGD(...)"),
        ("sl.simulate(M, dim=20, time=1.0, engine='ODE')", "did you mean 'ode'?"),
        ("sl.simulate(M, dim=20, time=1.0, n_steps=5)", "give time"),
        ("sl.k_gmm(3, 10.)", "for the signal-to-noise ratio write snr="),
        ("sl.single_index('erf', 'sigmoid')", "link='sigmoid': expected 'erf'"),
        ("sl.simulate(M, dim=20, time=0.5, runs=10**9)", "would fit"),
        ("sl.initial(M, 20, 10**12, 0)", "would fit"),
        ("sl.lift(M, U, 10**12, 0)", "would fit"),
    ],
)
def test_hints(call, hint, names):
    with pytest.raises((TypeError, ValueError)) as caught:
        eval(call, names)
    assert hint in str(caught.value)
