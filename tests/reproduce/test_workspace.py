"""The sizes of the three forms, and the folder that a reproduction resumes in."""

import pytest

from sgdlimits.reproduce import workspace
from sgdlimits.reproduce.workspace import FORMS, Workspace, reproduce

_FIGURE = "bghj-9.1"  # of the fastest


def _sizes(*args, **kwargs):
    return [Workspace(None, form, 0, None).size(*args, **kwargs) for form in FORMS]


def test_each_form_has_its_size(as_users_run):
    assert _sizes(1024, 8192, 10) == [10, 1024, 8192]
    assert _sizes((100, 200), (100, 1000), (10,)) == [(10,), (100, 200), (100, 1000)]
    assert _sizes(2, 4, tiny=0) == [0, 2, 4]


@pytest.mark.parametrize(("quick", "tiny"), [(2048, 128), (64, 4), (16, 4), (4, 4), (3, 3)])
def test_a_tiny_size_that_is_not_given_is_a_sixteenth_and_at_least_four(quick, tiny, as_users_run):
    assert _sizes(quick, 10 * quick) == [tiny, quick, 10 * quick]


def test_a_finished_figure_is_made_again_from_its_data(tmp_path, monkeypatch):
    _, first = reproduce(_FIGURE, tmp_path / "a", form="tiny")
    monkeypatch.setattr(workspace, "simulate", _from_store(workspace.simulate))
    _, second = reproduce(_FIGURE, tmp_path / "a", form="tiny", picture="svg", look="paper")
    assert second == first
    assert (tmp_path / "a" / "figure.png").read_bytes().startswith(b"\x89PNG")
    drawn = (tmp_path / "a" / "figure.svg").read_text(encoding="utf-8")
    assert "serif" in drawn  # text is text, in the style's letters
    assert "<dc:date>" not in drawn
    report = (tmp_path / "a" / "checks.md").read_text()
    assert report.startswith(f"# {_FIGURE}\n")
    assert report.endswith(workspace.table(first))


def _from_store(simulate):
    def stored(*args, out, **kwargs):
        before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
        dataset = simulate(*args, out=out, **kwargs)
        assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}
        return dataset

    return stored


def test_another_reproductions_folder_is_refused(tmp_path):
    reproduce(_FIGURE, tmp_path / "a", form="tiny")
    for changed in ({"form": "quick"}, {"form": "tiny", "seed": 1}):
        with pytest.raises(FileExistsError, match=r"'form': 'tiny', 'seed': 0.*another folder"):
            reproduce(_FIGURE, tmp_path / "a", **changed)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="not empty and holds no reproduction"):
        reproduce(_FIGURE, tmp_path, form="tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_bad_input_is_refused_before_work_starts(tmp_path, as_users_run):
    with pytest.raises(ValueError, match="id='nonsense': expected one of 'bgj-1', "):
        reproduce("nonsense", tmp_path / "a")
    with pytest.raises(ValueError, match="form='huge': expected one of 'tiny', 'quick', 'full'"):
        reproduce(_FIGURE, tmp_path / "a", form="huge")
    with pytest.raises(ValueError, match="seed=-1"):
        reproduce(_FIGURE, tmp_path / "a", seed=-1)
    with pytest.raises(ValueError, match="format='bmp': expected one of 'png', 'pdf', 'svg'"):
        reproduce(_FIGURE, tmp_path / "a", picture="bmp")
    with pytest.raises(ValueError, match="style='poster': expected one of 'screen', 'paper'"):
        reproduce(_FIGURE, tmp_path / "a", look="poster")
    assert not (tmp_path / "a").exists()
