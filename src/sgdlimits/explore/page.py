"""The page itself: widgets of Panel around choices, curves and pictures."""

import html
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import panel as pn  # pyright: ignore[reportMissingImports]
import xarray as xr

from sgdlimits.explore import curves, pictures
from sgdlimits.explore.choice import MODELS, RULES, SLIDERS, Choice
from sgdlimits.explore.script import as_python

ADDRESS = "localhost"  # of this machine, and no other


class Page:
    """Everything that one visitor sees.

    The limit follows a slider while it is dragged; chain and SDE are computed when it is released.

    Args:
        query: parameters of the URL; where they are refused the page says why, and starts at its
            defaults.
    """

    def __init__(self, query: Mapping[str, str] | None = None):
        self.message = pn.pane.Alert("", alert_type="danger", visible=False)
        self.choice = self._first(query or {})
        self.results: dict[str, xr.Dataset] = {}
        self._quiet = False
        self.model = pn.widgets.Select(label="model", options=list(MODELS))
        self.rule = pn.widgets.Select(label="update rule", options=list(RULES))
        self.noisy = pn.widgets.CheckBoxGroup(
            label="also", options=["chain", "sde"], value=["chain"], inline=True
        )
        self.sliders = {name: _slider(name) for name in SLIDERS}
        self.statistics = pn.pane.Matplotlib(tight=False, dpi=110, sizing_mode="scale_width")
        self.plane = pn.pane.Matplotlib(tight=False, dpi=110, sizing_mode="scale_width")
        self.script = pn.widgets.CodeEditor(
            language="python", readonly=True, height=210, sizing_mode="stretch_width"
        )
        self.copy = pn.widgets.Button(label="Copy as Python")
        self.copy.js_on_click(
            args={"script": self.script}, code="navigator.clipboard.writeText(script.code)"
        )
        self._show_choice()
        self._connect()
        self.compute()

    def _first(self, query: Mapping[str, str]) -> Choice:
        try:
            return Choice.from_query(query)
        except (ValueError, TypeError) as error:
            self._say(f"The address was refused: {error}")
            return Choice()

    def _say(self, text: str) -> None:
        self.message.object = html.escape(text)
        self.message.visible = bool(text)

    # -- widgets -------------------------------------------------------------------------------

    def _show_choice(self) -> None:
        """Widgets stand where the choice does, without answering."""
        self._quiet = True
        self.model.value, self.rule.value = self.choice.model, self.choice.rule
        for name, slider in self.sliders.items():
            slider.value = getattr(self.choice, name)
            slider.visible = name in self.choice.sliders
        self._quiet = False

    def _connect(self) -> None:
        self.model.param.watch(self._on_model, "value")
        self.rule.param.watch(self._on_release, "value")
        self.noisy.param.watch(self._on_release, "value")
        for slider in self.sliders.values():
            slider.param.watch(self._on_drag, "value")
            slider.param.watch(self._on_release, "value_throttled")

    def _on_model(self, event: Any) -> None:
        if not self._quiet:
            self.choice = replace(Choice.of(event.new), rule=self.rule.value)
            self._show_choice()
            self._say("")
            self.compute()

    def _on_drag(self, event: Any) -> None:
        if not self._quiet:
            self._read()
            self.compute(noisy=False)

    def _on_release(self, event: Any) -> None:
        if not self._quiet:
            self._read()
            self._say("")
            self.compute()

    def _read(self) -> None:
        numbers = {name: slider.value for name, slider in self.sliders.items()}
        self.choice = replace(self.choice, model=self.model.value, rule=self.rule.value, **numbers)

    # -- curves --------------------------------------------------------------------------------

    def compute(self, noisy: bool = True) -> None:
        """Curves of the choice, and pictures; without ``noisy`` the limit alone."""
        wanted = {"chain": curves.chain, "sde": curves.sde} if noisy else {}
        results: dict[str, xr.Dataset] = {}
        for name, curve in {**wanted, "ode": curves.limit}.items():
            if name in self.noisy.value or name == "ode":
                try:
                    results[name] = curve(self.choice)
                except ValueError as error:
                    self._say(f"{name}: {error}")
        self.results = results
        self.script.value = as_python(self.choice)
        if results:
            drawn = list(results.values())
            self.statistics.object = pictures.statistics(drawn)
            self.plane.object = pictures.plane(self.choice, drawn)

    def view(self) -> pn.viewable.Viewable:
        """The widgets beside the pictures."""
        controls = pn.Column(self.model, self.rule, self.noisy, *self.sliders.values(), width=280)
        pictured = pn.Column(
            self.message, self.statistics, pn.Row(self.plane), self.copy, self.script,
            sizing_mode="stretch_width",
        )  # fmt: skip
        return pn.FlexBox(controls, pictured, flex_wrap="wrap")


def _slider(name: str) -> Any:
    slider = SLIDERS[name]
    kind = pn.widgets.IntSlider if slider.whole else pn.widgets.FloatSlider
    number = int if slider.whole else float
    return kind(
        label=f"{name}: {slider.meaning}", start=number(slider.low), end=number(slider.high),
        step=number(slider.step), value=number(slider.low),
    )  # fmt: skip


def page() -> pn.viewable.Viewable:
    """The page of one visitor, whose address may set it."""
    arguments = pn.state.session_args or {}
    return Page({name: values[-1].decode() for name, values in arguments.items()}).view()


def serve(port: int, show: bool) -> None:
    """Serve the page on this machine until interrupted."""
    origins = [f"{ADDRESS}:{port}", f"127.0.0.1:{port}"]
    pn.serve(
        {"explore": page}, address=ADDRESS, port=port, websocket_origin=origins, show=show,
        title="sgdlimits",
    )  # fmt: skip
