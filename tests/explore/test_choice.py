"""What can be set on the page, and what it says as a program; no Panel needed."""

import ast
import re

import numpy as np
import pytest

from sgdlimits.explore import Choice, as_python, curves, pictures
from sgdlimits.explore.choice import MODELS, MOST_STEPS, RULES, SLIDERS


@pytest.mark.parametrize("model", MODELS)
def test_every_model_starts_within_its_sliders_and_can_be_built(model):
    choice = Choice.of(model)
    built, sgd = choice.problem()
    assert sgd.step == choice.step
    assert set(choice.own) <= set(choice.sliders) <= set(SLIDERS)
    for name in choice.sliders:
        assert SLIDERS[name].low <= getattr(choice, name) <= SLIDERS[name].high
    assert built.statistics_class is not None


def test_addresses_say_what_to_choose():
    choice = Choice.from_query({"model": "committee of erf", "width": "3", "noise": "0.25"})
    assert (choice.model, choice.width, choice.noise) == ("committee of erf", 3, 0.25)
    assert choice.time == MODELS["committee of erf"].start["time"]
    assert Choice.from_query({}) == Choice.of("spiked matrix")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"snr": "much"}, "snr='much': expected a number"),
        ({"snr": "1e9"}, "snr"),
        ({"snr": "nan"}, "snr"),
        ({"width": "2.5"}, "width"),
        ({"dim": "1"}, "dim"),
        ({"model": "../../etc/passwd"}, "model='../../etc/passwd': expected one of"),
        ({"rule": "<script>"}, "rule="),
        ({"colour": "red"}, "colour: not known; expected some of model, rule"),
        ({"runs": "0"}, "runs"),
        ({"seed": "x"}, "seed='x'"),
    ],
)
def test_bad_addresses_are_refused_by_name(query, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        Choice.from_query(query)


def test_long_chains_get_fewer_runs():
    quick = Choice(dim=50, time=2.0, runs=64)
    slow = Choice(dim=2000, time=40.0, step=0.05, runs=64)
    assert quick.affordable_runs == 64
    assert slow.affordable_runs == 4  # no fewer
    middle = Choice(dim=2000, time=20.0, step=0.5, runs=64)
    assert 4 < middle.affordable_runs < 64
    assert middle.affordable_runs * middle.time * middle.dim / middle.step <= MOST_STEPS


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("rule", RULES)
def test_scripts_build_the_same_problem(model, rule):
    choice = Choice.from_query({"model": model, "rule": rule, "batch": "2"})
    tree = ast.parse(as_python(choice))
    tree.body = tree.body[:3]  # import, model, algorithm
    names: dict = {}
    exec(compile(tree, "script", "exec"), names)
    built, sgd = choice.problem()
    assert str(names["model"]) == str(built)
    assert str(names["sgd"]) == str(sgd)


def test_pictures_of_one_choice():
    choice = Choice(dim=50, time=1.0, runs=4)
    chain, limit = curves.chain(choice), curves.limit(choice)
    assert np.array_equal(chain.m[:4, 0], limit.m[:, 0])  # one start
    assert len(pictures.statistics([chain, limit]).axes) == 2
    (axis,) = pictures.plane(choice, [chain, limit]).axes
    fixed = [line for line in axis.lines if line.get_marker() in ("x", "o")]
    assert len(fixed) >= 1
