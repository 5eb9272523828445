"""What `import sgdlimits` offers, and what it costs."""

import subprocess
import sys

import pytest

import sgdlimits as sl


def test_every_public_name_exists():
    for name in sl.__all__:
        assert getattr(sl, name) is not None
    assert set(sl.__all__) <= set(dir(sl))


def test_unknown_names_are_refused_like_any_modules():
    with pytest.raises(AttributeError, match="module 'sgdlimits' has no attribute 'nonsense'"):
        sl.nonsense  # noqa: B018


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, sgdlimits; print({'jax', 'xarray', 'zarr', 'scipy'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def test_everything_computes_in_double_precision():
    code = "import sgdlimits; print(sgdlimits.SpikedStatistics(0.1, 1.0).m.dtype)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "float64"


def test_storage_libraries_are_imported_only_where_they_are_used():
    code = (
        "import sys, sgdlimits as sl\n"
        "sl.simulate(sl.SpikedTensor(), dim=10, time=0.5)\n"
        "print({'zarr', 'matplotlib'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
