"""High-dimensional limits of online SGD: simulate it, and its limit, from the same model.

Names are imported when first used, so that ``import sgdlimits`` and the command line stay light.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "SpikedTensor": "models.spiked_tensor",
    "SpikedStatistics": "models.vector_model",
    "MultiIndexModel": "models.multi_index",
    "GaussianMixture": "data.mixture",
    "Teacher": "data.teacher",
    "Spectrum": "data.spectrum",
    "estimate": "data.estimated",
    "hidden_manifold": "data.hidden_manifold",
    "SamplesWarning": "data.estimated",
    "Process": "process.process",
    "Network": "models.network",
    "Statistics": "statistics.overlaps",
    "BlockStatistics": "statistics.block_overlaps",
    "binary_gmm": "models.mixtures_zoo",
    "xor_gmm": "models.mixtures_zoo",
    "k_gmm": "models.mixtures_zoo",
    "CustomModel": "models.custom",
    "MonteCarlo": "models.custom",
    "Committee": "models.committee",
    "committee": "models.committees_zoo",
    "phase_retrieval": "models.committees_zoo",
    "single_index": "models.committees_zoo",
    "Activation": "expectations.activations",
    "Hermite": "expectations.activations",
    "Polynomial": "expectations.activations",
    "QuasiMonteCarlo": "expectations.rules",
    "TruncatedGauss": "expectations.rules",
    "risk": "limits.risk",
    "risk_error": "limits.risk",
    "MeanField": "limits.mean_field",
    "MeanFieldStatistics": "limits.mean_field",
    "OnlineSGD": "algorithms.online_sgd",
    "EffectiveDynamics": "limits.effective_dynamics",
    "effective_dynamics": "limits.effective_dynamics",
    "FixedPoint": "limits.fixed_points",
    "OrnsteinUhlenbeck": "limits.ornstein_uhlenbeck",
    "RescaledDynamics": "limits.rescaled",
    "critical_step": "limits.critical_step",
    "mean_exit_time": "closed_forms.exit_time_1d",
    "critical_snr": "closed_forms.spiked_tensor_stability",
    "plateau_length": "closed_forms.committee_plateau",
    "initial": "process.initial",
    "lift": "process.initial",
    "simulate": "simulation.simulate",
    "sample_diffusion": "simulation.sample_diffusion",
    "SimulationInterrupted": "simulation.ensemble",
    "DivergenceWarning": "simulation.result",
    "InaccurateWarning": "limits.adequate",
    "audit": "auditing.run",
    "AuditReport": "auditing.report",
    "compare": "analysis.compare",
    "Comparison": "analysis.compare",
    "convergence_rate": "analysis.compare",
    "exit_time": "analysis.exit_time",
    "drop_time": "analysis.exit_time",
    "BasinProbabilities": "analysis.basins",
    "escape_law": "analysis.escape",
    "EscapeLaw": "analysis.escape",
    "Mediocrity": "closed_forms.phase_retrieval_escape",
    "OneNeuron": "closed_forms.phase_retrieval_one_neuron",
    "SingleIndexSphere": "closed_forms.single_index_escape",
    "two_time_scales": "closed_forms.two_time_scales",
    "LeastSquares": "closed_forms.least_squares",
    "leap": "closed_forms.leap",
    "regime": "closed_forms.committee_regimes",
    "explosion_probability": "analysis.explosion",
    "sweep": "simulation.sweep",
    "Protocol": "simulation.protocol",
    "states": "simulation.states",
    "to_table": "simulation.table",
    "optimise_schedule": "analysis.optimal_schedule",
    "OptimalSchedule": "analysis.optimal_schedule",
    "ScheduleWarning": "analysis.optimal_schedule",
    "plot": "plots.one_call",
    "enable_compilation_cache": "compilation_cache",
    "save": "simulation.store",
    "load": "simulation.store",
}

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from sgdlimits.algorithms.online_sgd import OnlineSGD as OnlineSGD
    from sgdlimits.analysis.basins import BasinProbabilities as BasinProbabilities
    from sgdlimits.analysis.compare import Comparison as Comparison
    from sgdlimits.analysis.compare import compare as compare
    from sgdlimits.analysis.compare import convergence_rate as convergence_rate
    from sgdlimits.analysis.escape import EscapeLaw as EscapeLaw
    from sgdlimits.analysis.escape import escape_law as escape_law
    from sgdlimits.analysis.exit_time import drop_time as drop_time
    from sgdlimits.analysis.exit_time import exit_time as exit_time
    from sgdlimits.analysis.explosion import explosion_probability as explosion_probability
    from sgdlimits.analysis.optimal_schedule import OptimalSchedule as OptimalSchedule
    from sgdlimits.analysis.optimal_schedule import ScheduleWarning as ScheduleWarning
    from sgdlimits.analysis.optimal_schedule import optimise_schedule as optimise_schedule
    from sgdlimits.auditing.report import AuditReport as AuditReport
    from sgdlimits.auditing.run import audit as audit
    from sgdlimits.closed_forms.committee_plateau import plateau_length as plateau_length
    from sgdlimits.closed_forms.committee_regimes import regime as regime
    from sgdlimits.closed_forms.exit_time_1d import mean_exit_time as mean_exit_time
    from sgdlimits.closed_forms.leap import leap as leap
    from sgdlimits.closed_forms.least_squares import LeastSquares as LeastSquares
    from sgdlimits.closed_forms.phase_retrieval_escape import Mediocrity as Mediocrity
    from sgdlimits.closed_forms.phase_retrieval_one_neuron import OneNeuron as OneNeuron
    from sgdlimits.closed_forms.single_index_escape import SingleIndexSphere as SingleIndexSphere
    from sgdlimits.closed_forms.spiked_tensor_stability import critical_snr as critical_snr
    from sgdlimits.closed_forms.two_time_scales import two_time_scales as two_time_scales
    from sgdlimits.compilation_cache import enable_compilation_cache as enable_compilation_cache
    from sgdlimits.data.estimated import SamplesWarning as SamplesWarning
    from sgdlimits.data.estimated import estimate as estimate
    from sgdlimits.data.hidden_manifold import hidden_manifold as hidden_manifold
    from sgdlimits.data.mixture import GaussianMixture as GaussianMixture
    from sgdlimits.data.spectrum import Spectrum as Spectrum
    from sgdlimits.data.teacher import Teacher as Teacher
    from sgdlimits.expectations.activations import Activation as Activation
    from sgdlimits.expectations.activations import Hermite as Hermite
    from sgdlimits.expectations.activations import Polynomial as Polynomial
    from sgdlimits.expectations.rules import QuasiMonteCarlo as QuasiMonteCarlo
    from sgdlimits.expectations.rules import TruncatedGauss as TruncatedGauss
    from sgdlimits.limits.adequate import InaccurateWarning as InaccurateWarning
    from sgdlimits.limits.critical_step import critical_step as critical_step
    from sgdlimits.limits.effective_dynamics import EffectiveDynamics as EffectiveDynamics
    from sgdlimits.limits.effective_dynamics import effective_dynamics as effective_dynamics
    from sgdlimits.limits.fixed_points import FixedPoint as FixedPoint
    from sgdlimits.limits.mean_field import MeanField as MeanField
    from sgdlimits.limits.mean_field import MeanFieldStatistics as MeanFieldStatistics
    from sgdlimits.limits.ornstein_uhlenbeck import OrnsteinUhlenbeck as OrnsteinUhlenbeck
    from sgdlimits.limits.rescaled import RescaledDynamics as RescaledDynamics
    from sgdlimits.limits.risk import risk as risk
    from sgdlimits.limits.risk import risk_error as risk_error
    from sgdlimits.models.committee import Committee as Committee
    from sgdlimits.models.committees_zoo import committee as committee
    from sgdlimits.models.committees_zoo import phase_retrieval as phase_retrieval
    from sgdlimits.models.committees_zoo import single_index as single_index
    from sgdlimits.models.custom import CustomModel as CustomModel
    from sgdlimits.models.custom import MonteCarlo as MonteCarlo
    from sgdlimits.models.mixtures_zoo import binary_gmm as binary_gmm
    from sgdlimits.models.mixtures_zoo import k_gmm as k_gmm
    from sgdlimits.models.mixtures_zoo import xor_gmm as xor_gmm
    from sgdlimits.models.multi_index import MultiIndexModel as MultiIndexModel
    from sgdlimits.models.network import Network as Network
    from sgdlimits.models.spiked_tensor import SpikedTensor as SpikedTensor
    from sgdlimits.models.vector_model import SpikedStatistics as SpikedStatistics
    from sgdlimits.plots.one_call import plot as plot
    from sgdlimits.process.initial import initial as initial
    from sgdlimits.process.initial import lift as lift
    from sgdlimits.simulation.ensemble import SimulationInterrupted as SimulationInterrupted
    from sgdlimits.simulation.protocol import Protocol as Protocol
    from sgdlimits.simulation.result import DivergenceWarning as DivergenceWarning
    from sgdlimits.simulation.sample_diffusion import sample_diffusion as sample_diffusion
    from sgdlimits.simulation.simulate import simulate as simulate
    from sgdlimits.simulation.states import states as states
    from sgdlimits.simulation.store import load as load
    from sgdlimits.simulation.store import save as save
    from sgdlimits.simulation.sweep import sweep as sweep
    from sgdlimits.simulation.table import to_table as to_table
    from sgdlimits.statistics.block_overlaps import BlockStatistics as BlockStatistics
    from sgdlimits.statistics.overlaps import Statistics as Statistics


#: Reached as sgdlimits.spectra, ..., without an import of its own.
_SUBPACKAGES = {
    "engines": "engines",
    "losses": "models.losses",
    "plots": "plots",
    "rules": "algorithms.rules",
    "schedules": "algorithms.schedules",
    "spectra": "spectra",
    "testing": "testing",
}


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{_SUBPACKAGES[name]}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBPACKAGES])
