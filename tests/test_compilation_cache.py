"""Compiled programs on disk: where, and that later sessions take them."""

import subprocess
import sys

import jax
import pytest

import sgdlimits as sl
from sgdlimits import compilation_cache

_PROGRAM = """
import sys, jax, jax.numpy as jnp
import sgdlimits as sl
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event))
sl.enable_compilation_cache(sys.argv[1])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.jit(lambda x: jnp.linalg.cholesky(x @ x.T + jnp.eye(5)))(jnp.ones((5, 5)))
print(sum("cache_hits" in event for event in hits))
"""


def test_the_second_session_takes_what_the_first_compiled(tmp_path):
    def session():
        command = [sys.executable, "-c", _PROGRAM, str(tmp_path / "new" / "folder")]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert session() == 0
    assert any((tmp_path / "new" / "folder").iterdir())
    assert session() > 0


def test_the_folder_is_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compilation_cache._default_folder() == tmp_path / "sgdlimits" / "compiled"


def test_the_command_line_leaves_it_to_those_who_decided(monkeypatch):
    called = []
    monkeypatch.setattr(compilation_cache, "enable_compilation_cache", lambda: called.append(1))
    monkeypatch.delenv("SGDLIMITS_NO_CACHE", raising=False)
    folder = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        compilation_cache.enable_by_default()
        assert called == [1]
        monkeypatch.setenv("SGDLIMITS_NO_CACHE", "1")
        compilation_cache.enable_by_default()
        monkeypatch.delenv("SGDLIMITS_NO_CACHE")
        jax.config.update("jax_compilation_cache_dir", "theirs")
        compilation_cache.enable_by_default()
        assert called == [1]
    finally:
        jax.config.update("jax_compilation_cache_dir", folder)


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    taken = tmp_path / "file"
    taken.write_text("")
    with pytest.raises(OSError, match="file"):
        sl.enable_compilation_cache(taken)
