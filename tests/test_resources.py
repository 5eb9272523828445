"""Memory that counts: the machine's, and the limits of containers."""

import re

import pytest

from sgdlimits import _resources


def test_limits_of_containers_count(tmp_path, monkeypatch):
    monkeypatch.setattr(_resources, "_group", lambda controller: "job/step")
    group = tmp_path / "job" / "step"
    group.mkdir(parents=True)
    assert _resources._of_container(tmp_path) is None
    (group / "memory.max").write_text("max\n", encoding="utf-8")
    assert _resources._of_container(tmp_path) is None
    for place, most, now in ((group, 5000, 1000), (tmp_path / "job", 3000, 2500)):
        (place / "memory.max").write_text(f"{most}\n", encoding="utf-8")
        (place / "memory.current").write_text(f"{now}\n", encoding="utf-8")
        (place / "memory.stat").write_text("anon 1\ninactive_file 100\n", encoding="utf-8")
    assert _resources._of_container(tmp_path) == 600  # of the outer group
    monkeypatch.setattr(_resources, "_of_container", lambda root: 600)
    assert _resources.available() == 600


def test_old_control_groups_count_too(tmp_path, monkeypatch):
    monkeypatch.setattr(_resources, "_group", lambda controller: "job" * (controller == "memory"))
    group = tmp_path / "memory" / "job"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("5000", encoding="utf-8")
    (group / "memory.usage_in_bytes").write_text("4000", encoding="utf-8")
    (group / "memory.stat").write_text("total_inactive_file 0", encoding="utf-8")
    assert _resources._of_container(tmp_path) == 1000


def test_what_would_fit_fits(monkeypatch):
    monkeypatch.setattr(_resources, "available", lambda: 10**6)
    with pytest.raises(
        ValueError, match=r"runs=999 would need .* GiB.*; runs=(\d+) would"
    ) as caught:
        _resources.check_count("runs", 999, lambda n: 3.0 * n**2)
    fits = int(re.search(r"; runs=(\d+)", str(caught.value))[1])
    assert 3 * fits**2 <= 10**6 < 3 * (fits + 1) ** 2
    _resources.check_count("runs", fits, lambda n: 3.0 * n**2)
    with pytest.raises(ValueError, match="not even runs=1 would fit"):
        _resources.check_count("runs", 9, lambda n: 2e6 * n)


def test_endless_work_is_refused():
    _resources.check_steps("time=1", 1e12, "lower it")
    with pytest.raises(ValueError, match=r"time=1: 2e\+12 steps, expected at most 1.1e\+12; lower"):
        _resources.check_steps("time=1", 2e12, "lower it")
    with pytest.raises(ValueError, match="nan steps"):
        _resources.check_steps("time=1", float("nan"), "lower it")
