"""Settings of the whole session: run-time type checks, strict promotion of number types."""

from pathlib import Path

import hypothesis
import jaxtyping
import pytest

import tests.typechecker  # noqa: F401 (the hook looks it up by name)

# Before anything imports the package: its annotations are checked at every call from here on.
jaxtyping.install_import_hook("sgdlimits", "tests.typechecker.check")

import jax  # noqa: E402

# A silent mixture of float32, float64 or integers in a formula is an error. The ODE and root
# solvers that the package uses are clean too. Ranks may broadcast: outer products are written so.
jax.config.update("jax_numpy_dtype_promotion", "strict")

# The first example of a property compiles; and 30 examples reach every branch of the checks.
hypothesis.settings.register_profile("sgdlimits", deadline=None, max_examples=30)
hypothesis.settings.load_profile("sgdlimits")


def pytest_configure(config):
    """Keep compiled programs in pytest's cache: most of the suite's time is compilation, and its
    worker processes, and its next run, compile the same programs."""
    cache = getattr(config, "cache", None)
    if cache is not None:
        jax.config.update("jax_compilation_cache_dir", str(cache.mkdir("compiled")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    """Mark as slow what ``nightly.txt`` names: what takes too long for every change."""
    lines = (Path(__file__).parent / "nightly.txt").read_text(encoding="utf-8").splitlines()
    named = {line for line in lines if line and not line.startswith("#")}
    for item in items:
        if item.nodeid in named:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_programs():
    """Drop a module's compiled programs behind it: each holds several memory maps, and a worker
    that kept all of them would grow to gigabytes and meet the kernel's limit on maps."""
    yield
    jax.clear_caches()


@pytest.fixture
def as_users_run():
    """Without the type checks of the hook, which would answer bad input before the package does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
