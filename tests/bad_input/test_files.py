"""Configuration files of wrong types are refused by key, before any work, whatever the value."""

import re
import time
import traceback

import pytest

import sgdlimits as sl
from sgdlimits import config

pytestmark = pytest.mark.usefixtures("as_users_run")

_TEMPLATE = {
    "dim": "50",
    "time": "0.2",
    "runs": "2",
    "seed": "3",
    "record": "5",
    "model": '{type = "SpikedTensor", order = 2, snr = 1.2}',
    "algorithm": "{step = 0.5}",
    "engine": '"chain"',
}
#: What is none of a number, a name, a table, whichever is asked for.
_WRONG = ['"a"', "true", "[]", "[1, 2]", "[[1.0]]", "{}", "{a = 1}", "1979-05-27", "07:32:00"]
_NUMBERS = ["nan", "inf", "-inf", "-1", "-0.5"]
_TEXTS = ['""', '"None"', '"__import__"', "3", "1.5"]

_CASES = [
    *((key, value) for key in ("dim", "time") for value in [*_WRONG, *_NUMBERS, "0"]),
    *((key, value) for key in ("runs", "seed") for value in [*_WRONG, *_NUMBERS, "1.5"]),
    *(("record", v) for v in ['"a"', "true", "{}", "1979-05-27", '["a"]', "[[0.1]]", *_NUMBERS]),
    *(("first_run", value) for value in [*_WRONG, *_NUMBERS, "2.5"]),
    *(("engine", v) for v in [*_TEXTS, "true", "[]", "{}", '{type = 3}', '{type = "euler"}',
                              '{type = "ode", rtol = "a"}', '{type = "sde", dt = []}',
                              '{type = "chain", dt = 0.1}', "1979-05-27"]),
    *(("dt", v) for v in ['"a"', "true", "[]", "0", "-1.0", "nan"]),
    *(("dtype", v) for v in ["3", '"float16"', "[]", "true"]),
    *(("literal", v) for v in ["3", '"yes"', "[]"]),
    *(("model", v) for v in [*_TEXTS, "true", "[]", "{}", "{order = 2}", '{type = "Nothing"}',
                             '{type = ["SpikedTensor"]}', '{type = "SpikedTensor", depth = 2}']),
    *(("order", v) for v in [*_WRONG, *_NUMBERS, "1.5", "0"]),
    *(("snr", v) for v in [*_WRONG, "nan", "inf", "-inf", "-1"]),
    *(("algorithm", v) for v in [*_TEXTS, "true", "[]", "{lr = 0.1}", "{momentum = 0.9}"]),
    *(("step", v) for v in [*_WRONG, *_NUMBERS, "0"]),
    *(("batch", v) for v in [*_WRONG, *_NUMBERS, "0", "1.5"]),
    *(("initial", v) for v in [*_TEXTS, "true", "[]", "{q = 1}", '{m = "a", r2 = 1.0}']),
    *(("unknown", v) for v in ["3", '"a"']),
]  # fmt: skip
#: Keys that stand within a table.
_WITHIN = {
    "order": ("model", '{{type = "SpikedTensor", order = {}, snr = 1.2}}'),
    "snr": ("model", '{{type = "SpikedTensor", order = 2, snr = {}}}'),
    "step": ("algorithm", "{{step = {}}}"),
    "batch": ("algorithm", "{{step = 0.5, batch = {}}}"),
}


def _text(key, value):
    if key in _WITHIN:
        table, form = _WITHIN[key]
        return _text(table, form.format(value))
    lines = _TEMPLATE | {key: value}
    return "".join(f"{name} = {given}\n" for name, given in lines.items())


def _complaint(text, key, path):
    path.write_text(text, encoding="utf-8")
    start = time.process_time()
    try:
        arguments = config.read(path)
        sl.simulate(**arguments)
    except (TypeError, ValueError) as error:
        took = time.process_time() - start
        if "sgdlimits" not in traceback.extract_tb(error.__traceback__)[-1].filename:
            return f"a traceback of others: {error!r}"
        if not re.search(rf"\b{key}\b", str(error)):
            return f"{key!r} is not named: {error}"
        return f"{took:.1f} s" if took > 1.0 else None
    except BaseException as error:
        return f"no TypeError or ValueError: {error!r}"
    return "accepted"


def test_values_of_the_wrong_kind_are_refused(tmp_path):
    path = tmp_path / "run.toml"
    assert len(_CASES) >= 150
    assert _complaint(_text("dim", "50"), "dim", path) == "accepted"  # what is right passes
    complaints = {
        f"{key} = {value}": complaint
        for key, value in _CASES
        if (complaint := _complaint(_text(key, value), key, path)) is not None
    }
    assert not complaints


@pytest.mark.parametrize("missing", ["dim", "time", "model"])
def test_what_must_be_there_is_asked_for(missing, tmp_path):
    text = "".join(f"{k} = {v}\n" for k, v in _TEMPLATE.items() if k != missing)
    assert _complaint(text, missing, tmp_path / "run.toml") is None


@pytest.mark.parametrize(
    "content", [b"dim = ", b"\xff\xfe", b"[model\n", b"dim = 1\ndim = 2\n", b"\x00", b'a = "'],
)  # fmt: skip
def test_what_is_no_toml_is_said_to_be_none(content, tmp_path):
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"config=.* is not TOML"):
        config.read(path)
