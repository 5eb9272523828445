"""Hessian and gradient matrices along training: empirical, population, asymptotic, alignment.

Names are imported when first used, as in the package itself. No module here may have the name of
a function below: importing the module would then hide the function.
"""

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "empirical": "empirical_matrices",
    "SampleMatrix": "operators",
    "top": "eigenpairs",
    "extremes": "eigenpairs",
    "Eigenpairs": "eigenpairs",
    "AbstractSamples": "samples",
    "GivenSamples": "samples",
    "fresh_samples": "samples",
    "training_samples": "samples",
    "population": "population_blocks",
    "PopulationMatrix": "population_blocks",
    "leading": "leading_forms",
    "alignment": "alignments",
    "principal_space": "alignments",
    "PrincipalSpace": "alignments",
    "TieWarning": "alignments",
    "lives_in": "alignments",
    "matrix_lives_in": "alignments",
    "asymptotic": "block_spectrum",
    "BlockSpectrum": "block_spectrum",
    "whole": "whole_spectrum",
    "WholeSpectrum": "whole_spectrum",
    "WholeOutlier": "whole_spectrum",
    "second_layer": "second_layer_block",
    "SecondLayerSpectrum": "second_layer_block",
    "Bulk": "bulk",
    "Outlier": "outliers",
    "outlier_thresholds": "thresholds",
    "snr_threshold": "thresholds",
    "along": "trajectory",
    "along_path": "trajectory",
    "Spectrum": "recording",
    "TestData": "recording",
    "TrainingData": "recording",
}

__all__ = [*_HOME]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from sgdlimits.spectra.alignments import PrincipalSpace as PrincipalSpace
    from sgdlimits.spectra.alignments import TieWarning as TieWarning
    from sgdlimits.spectra.alignments import alignment as alignment
    from sgdlimits.spectra.alignments import lives_in as lives_in
    from sgdlimits.spectra.alignments import matrix_lives_in as matrix_lives_in
    from sgdlimits.spectra.alignments import principal_space as principal_space
    from sgdlimits.spectra.block_spectrum import BlockSpectrum as BlockSpectrum
    from sgdlimits.spectra.block_spectrum import asymptotic as asymptotic
    from sgdlimits.spectra.bulk import Bulk as Bulk
    from sgdlimits.spectra.eigenpairs import Eigenpairs as Eigenpairs
    from sgdlimits.spectra.eigenpairs import extremes as extremes
    from sgdlimits.spectra.eigenpairs import top as top
    from sgdlimits.spectra.empirical_matrices import empirical as empirical
    from sgdlimits.spectra.leading_forms import leading as leading
    from sgdlimits.spectra.operators import SampleMatrix as SampleMatrix
    from sgdlimits.spectra.outliers import Outlier as Outlier
    from sgdlimits.spectra.population_blocks import PopulationMatrix as PopulationMatrix
    from sgdlimits.spectra.population_blocks import population as population
    from sgdlimits.spectra.recording import Spectrum as Spectrum
    from sgdlimits.spectra.recording import TestData as TestData
    from sgdlimits.spectra.recording import TrainingData as TrainingData
    from sgdlimits.spectra.samples import AbstractSamples as AbstractSamples
    from sgdlimits.spectra.samples import GivenSamples as GivenSamples
    from sgdlimits.spectra.samples import fresh_samples as fresh_samples
    from sgdlimits.spectra.samples import training_samples as training_samples
    from sgdlimits.spectra.second_layer_block import SecondLayerSpectrum as SecondLayerSpectrum
    from sgdlimits.spectra.second_layer_block import second_layer as second_layer
    from sgdlimits.spectra.thresholds import outlier_thresholds as outlier_thresholds
    from sgdlimits.spectra.thresholds import snr_threshold as snr_threshold
    from sgdlimits.spectra.trajectory import along as along
    from sgdlimits.spectra.trajectory import along_path as along_path
    from sgdlimits.spectra.whole_spectrum import WholeOutlier as WholeOutlier
    from sgdlimits.spectra.whole_spectrum import WholeSpectrum as WholeSpectrum
    from sgdlimits.spectra.whole_spectrum import whole as whole


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
