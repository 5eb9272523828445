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
