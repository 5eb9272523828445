"""What is set on the page: a model, a rule, and numbers; checked, whoever sets it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import sgdlimits as sl
from sgdlimits import _validate


class Slider(NamedTuple):
    """A number that can be moved."""

    low: float
    high: float
    step: float
    whole: bool = False
    meaning: str = ""


SLIDERS: dict[str, Slider] = {
    "snr": Slider(0.1, 10.0, 0.05, meaning="signal-to-noise ratio"),
    "noise": Slider(0.0, 2.0, 0.05, meaning="variance of the label noise"),
    "ridge": Slider(0.0, 1.0, 0.01, meaning="ridge"),
    "step": Slider(0.02, 4.0, 0.02, meaning="learning rate × dim"),
    "batch": Slider(1, 16, 1, whole=True, meaning="samples a step"),
    "width": Slider(1, 4, 1, whole=True, meaning="neurons"),
    "dim": Slider(50, 2000, 50, whole=True, meaning="dimension, of chain and SDE"),
    "time": Slider(1.0, 40.0, 0.5, meaning="horizon, steps × step/dim"),
}


class Family(NamedTuple):
    """A model that can be chosen: how it is built, which sliders it has, where they stand."""

    build: Callable[..., Any]
    code: str  # the call, with the numbers in braces
    sliders: tuple[str, ...]
    start: dict[str, float]
    spherical: bool = False
    vector: bool = False  # one vector and its part outside, not rows and their products


MODELS: dict[str, Family] = {
    "spiked matrix": Family(
        lambda snr, ridge: sl.SpikedTensor(2, snr, ridge=ridge),
        "sl.SpikedTensor(2, {snr}, ridge={ridge})",
        ("snr", "ridge"),
        {"snr": 1.2, "step": 1.0, "time": 8.0},
        vector=True,
    ),
    "spiked tensor, order 3": Family(
        lambda snr, ridge: sl.SpikedTensor(3, snr, ridge=ridge),
        "sl.SpikedTensor(3, {snr}, ridge={ridge})",
        ("snr", "ridge"),
        {"snr": 4.0, "step": 1.0, "time": 4.0},
        vector=True,
    ),
    "committee of erf": Family(
        lambda width, noise, ridge: sl.committee(width, 1, "erf", noise=noise, ridge=ridge),
        'sl.committee({width}, 1, "erf", noise={noise}, ridge={ridge})',
        ("width", "noise", "ridge"),
        {"width": 1, "noise": 0.1, "step": 1.0, "time": 10.0},
    ),
    "phase retrieval": Family(
        lambda width, noise: sl.phase_retrieval(width, noise),
        "sl.phase_retrieval({width}, {noise})",
        ("width", "noise"),
        {"width": 1, "noise": 0.5, "step": 0.08, "time": 4.0},
        spherical=True,
    ),
}

RULES: dict[str, tuple[Callable[[], Any], str]] = {
    "plain": (lambda: None, ""),
    "momentum 0.5": (lambda: sl.rules.momentum(beta=0.5), "sl.rules.momentum(beta=0.5)"),
    "unit gradients": (sl.rules.normalise, "sl.rules.normalise()"),
    "clip at 1": (lambda: sl.rules.clip(1.0), "sl.rules.clip(1.0)"),
}

_COMMON = ("step", "batch", "dim", "time")
MOST_STEPS = 2_000_000  # of all runs of the chain: about a second


@dataclass(frozen=True)
class Choice:
    """Everything that is set.

    Args:
        model: one of ``MODELS``.
        rule: one of ``RULES``.
        snr, noise, ridge, width: of the model; those that it does not have are left alone.
        step, batch: of SGD.
        dim, time: of the simulation.
        runs: of the chain and the SDE.
        seed: decides everything random.

    Raises:
        ValueError: for an unknown model or rule, or a number out of the slider's range.
        TypeError: for anything that is no number where one is expected.
    """

    model: str = "spiked matrix"
    rule: str = "plain"
    snr: float = 1.2
    noise: float = 0.1
    ridge: float = 0.0
    step: float = 1.0
    batch: int = 1
    width: int = 1
    dim: int = 400
    time: float = 8.0
    runs: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        _validate.one_of("model", self.model, MODELS)
        _validate.one_of("rule", self.rule, RULES)
        for name, slider in SLIDERS.items():
            value = getattr(self, name)
            if slider.whole:
                _validate.integer(name, value, int(slider.low))
            number = float(_validate.between(name, value, slider.low, slider.high))
            object.__setattr__(self, name, int(number) if slider.whole else number)
        object.__setattr__(self, "runs", _validate.integer("runs", self.runs, 1))

    @classmethod
    def of(cls, model: str) -> "Choice":
        """A model where its sliders stand at first."""
        return cls(model=model, **MODELS[_validate.one_of("model", model, MODELS)].start)  # type: ignore[arg-type]

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Choice":
        """What the parameters of a URL say, such as ``?model=spiked matrix&snr=1.5``.

        Raises:
            ValueError: for a parameter that is not known, a text that is no number, or a value
                that is not allowed.
        """
        known = {field.name: field for field in fields(cls)}
        unknown = sorted(set(query) - set(known))
        if unknown:
            raise ValueError(f"{unknown[0]}: not known; expected some of {', '.join(known)}.")
        start = cls.of(query.get("model", cls.model))
        words = {name: query[name] for name in ("model", "rule") if name in query}
        numbers = {name: _number(name, query[name]) for name in query if name not in words}
        return replace(start, **words, **numbers)

    @property
    def sliders(self) -> tuple[str, ...]:
        """Those that this model has, in order."""
        return (*MODELS[self.model].sliders, *_COMMON)

    @property
    def own(self) -> dict[str, float]:
        """The model's numbers."""
        return {name: getattr(self, name) for name in MODELS[self.model].sliders}

    def problem(self) -> tuple[Any, Any]:
        """The model and the algorithm."""
        family = MODELS[self.model]
        rule, _ = RULES[self.rule]
        sgd = sl.OnlineSGD(
            step=self.step, batch=self.batch, rule=rule(), spherical=family.spherical
        )
        return family.build(**self.own), sgd

    @property
    def affordable_runs(self) -> int:
        """As many runs as keep the chain near a second."""
        steps = self.time * self.dim / self.step
        return int(max(4, min(self.runs, MOST_STEPS // steps)))


def _number(name: str, text: str) -> float | int:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name}={text!r}: expected a number.") from None
    whole = name in ("runs", "seed") or (name in SLIDERS and SLIDERS[name].whole)
    if whole and value.is_integer():
        return int(value)
    return value
