"""The page through Panel's own objects: widgets move curves. There is no browser here."""

import pytest

pn = pytest.importorskip("panel")

from sgdlimits.explore.page import ADDRESS, Page  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small():
    return {"dim": "50", "time": "1", "runs": "4"}


def test_dragging_moves_the_limit_and_releasing_the_chain(small):
    page = Page(small)
    assert set(page.results) == {"chain", "ode"}
    before = page.results["ode"].m.values.copy()
    picture = page.statistics.object
    page.sliders["snr"].value = 3.0
    assert set(page.results) == {"ode"}
    assert abs(page.results["ode"].m.values - before).max() > 1e-3
    assert page.statistics.object is not picture
    assert "sl.SpikedTensor(2, 3.0" in page.script.value
    page.sliders["snr"].param.trigger("value_throttled")
    assert set(page.results) == {"chain", "ode"}


def test_another_model_brings_its_sliders(small):
    page = Page(small)
    assert page.sliders["snr"].visible
    page.model.value = "phase retrieval"
    assert not page.sliders["snr"].visible
    assert page.sliders["noise"].visible
    assert page.choice.step == page.sliders["step"].value == 0.08
    assert "risk" in page.results["ode"]


def test_bad_addresses_are_refused_and_shown_as_text():
    page = Page({"snr": "<b>1</b>"})
    assert page.message.visible
    assert "&lt;b&gt;" in page.message.object
    assert "<b>" not in page.message.object
    assert page.choice.model == "spiked matrix"
    page.sliders["snr"].param.trigger("value_throttled")
    assert not page.message.visible  # what was refused is past


def test_two_visitors_do_not_see_each_other(small):
    one, other = Page(small), Page(small)
    one.sliders["snr"].value = 3.0
    assert other.choice.snr == other.sliders["snr"].value == 1.2


def test_what_a_rule_cannot_do_is_said(small):
    page = Page(small)
    page.noisy.value = ["chain", "sde"]
    page.rule.value = "unit gradients"
    assert "ode" in page.results
    assert page.script.value.count("sl.rules.normalise()") == 1


def test_all_of_it_can_be_sent_to_a_browser(small):
    page = Page(small)
    root = page.view().get_root()
    models = {type(model).__name__: model for model in root.references()}
    assert {"CustomSelect", "Slider", "Button", "AcePlot"} <= set(models)
    assert models["AcePlot"].code == page.script.value  # what the button copies
    (copying,) = [one for one in root.references() if "writeText" in getattr(one, "code", "")]
    assert copying.args["script"] is models["AcePlot"]


def test_it_is_served_on_this_machine_only():
    assert ADDRESS == "localhost"
