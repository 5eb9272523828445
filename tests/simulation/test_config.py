"""Configuration files."""

import re

import pytest

import sgdlimits as sl
from sgdlimits import config

_FILE = """
dim = 50
time = 0.2
{engine}
[model]
type = "SpikedTensor"
snr = 1.2
[algorithm]
step = 0.5
"""


def _read(tmp_path, engine, where="top"):
    path = tmp_path / "config.toml"
    if where == "top":
        path.write_text(_FILE.format(engine=engine))
    else:
        path.write_text(_FILE.format(engine="") + engine)
    return config.read(path)


def test_a_file_is_the_arguments_of_simulate(tmp_path):
    arguments = _read(tmp_path, 'engine = "sde"\ndt = 0.01\nruns = 3')
    assert arguments == {
        "engine": "sde",
        "dt": 0.01,
        "runs": 3,
        "dim": 50,
        "time": 0.2,
        "model": sl.SpikedTensor(snr=1.2),
        "sgd": sl.OnlineSGD(step=0.5),
    }


@pytest.mark.parametrize(
    ("table", "engine"),
    [
        ('type = "chain"', sl.engines.Chain()),
        ('type = "sgd"\ndtype = "float32"\nliteral = true', sl.engines.SGD("float32", True)),
        ('type = "sde"\ndt = 0.01', sl.engines.SDE(dt=0.01)),
        ('type = "ode"\nrtol = 1e-6', sl.engines.ODE(rtol=1e-6)),
        ('type = "mean_field"\nnoise = false', sl.engines.MeanField(noise=False)),
    ],
)
def test_engines_have_their_options_in_a_table(tmp_path, table, engine):
    assert _read(tmp_path, f"[engine]\n{table}", "end")["engine"] == engine


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("dtype = 'float32'", "engine.type=None: expected one of sgd, chain, sde, ode, mean_field"),
        ('type = "euler"', "engine.type='euler': expected one of sgd"),
        ('type = "ode"\ndt = 0.1', "engine.dt: unknown key; expected rtol, atol"),
        ('type = "chain"\ndt = 0.1', "engine.dt: unknown key; expected none"),
        ('type = "ode"\nrtol = -1.0', "rtol=-1.0: expected a number above 0"),
    ],
)
def test_bad_tables_are_refused_by_key(tmp_path, table, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        _read(tmp_path, f"[engine]\n{table}", "end")


def test_old_keys_beside_a_table_must_agree_with_it(tmp_path):
    arguments = _read(tmp_path, 'dt = 0.1\nengine = {type = "sde", dt = 0.2}')
    with pytest.raises(ValueError, match=r"dt=0.1: engine=SDE\(dt=0.2\) has dt=0.2"):
        sl.simulate(**arguments)


_R = sl.rules


def _algorithm(line, model="SpikedTensor"):
    import tomllib

    text = f'dim = 50\ntime = 0.1\n[model]\ntype = "{model}"\n[algorithm]\nstep = 0.5\n{line}'
    return config.parse(tomllib.loads(text))


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('rule = "normalise"', _R.normalise()),
        ('rule = {type = "clip", threshold = 2}', _R.clip(2.0)),
        ('rule = {type = "momentum", beta = 0.9, nesterov = true}',
         _R.momentum(beta=0.9, nesterov=True)),
        ('rule = {type = "momentum", decay = 1.5}', _R.momentum(decay=1.5)),
        ('rule = {type = "average", rate = 0.1}', _R.average(0.1)),
        ('rule = ["normalise", {type = "weight_decay", rate = 0.2}]',
         _R.chain(_R.normalise(), _R.weight_decay(0.2))),
    ],
)  # fmt: skip
def test_rules_are_names_tables_or_lists_of_these(line, rule):
    assert _algorithm(line)["sgd"] == sl.OnlineSGD(0.5, rule=rule)


def test_schedules_are_tables():
    found = _algorithm('schedule = {type = "power", exponent = 0.5}')["sgd"]
    assert found == sl.OnlineSGD(0.5, schedule=sl.schedules.power(0.5))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('rule = "adam"', "algorithm.rule.type='adam': expected one of adagrad_norm, adjusted"),
        ("rule = 3", "algorithm.rule=3: expected a name, or a table with type"),
        ("rule = {threshold = 1.0}", "algorithm.rule.type=None: expected one of"),
        ('rule = {type = "clip", c = 1.0}',
         "algorithm.rule.c: unknown key; expected threshold"),
        ('rule = "clip"', "algorithm.rule: "),
        ('rule = {type = "clip", threshold = -1.0}', "threshold=-1.0: expected a number above 0"),
        ('rule = {type = "clip", threshold = "1"}', "threshold='1'"),
        ('rule = ["momentum"]', "decay=None, beta=None: expected exactly one of them"),
        ('rule = [{type = "momentum", beta = 0.5}, "normalise"]',
         "chain: normalise acts on single samples"),
        ("rule = []", "chain(): expected at least one rule"),
        ('schedule = "cosine"', "algorithm.schedule: "),
        ("schedule = 0.5", "algorithm.schedule=0.5: expected a name, or a table with type"),
    ],
)  # fmt: skip
def test_bad_rules_are_refused_by_key(line, words):
    with pytest.raises((ValueError, TypeError), match=re.escape(words)):
        _algorithm(line)


def test_rules_of_a_file_decide_the_identity_of_results():
    def identity(**arguments):
        return sl.simulate(**arguments).attrs["identity"]

    line = 'rule = {{type = "clip", threshold = {}}}'
    by_file = identity(**_algorithm(line.format(1.0)))
    sgd = sl.OnlineSGD(0.5, rule=_R.clip(1.0))
    assert by_file == identity(model=sl.SpikedTensor(), sgd=sgd, dim=50, time=0.1)
    assert by_file != identity(**_algorithm(line.format(1.5)))
    assert by_file != identity(**_algorithm(""))
