"""Hessian and gradient matrices along training: empirical, population, asymptotic, alignment.

Names are imported when first used, as in the package itself. No module here may have the name of
a function below: importing the module would then hide the function.
"""

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "empirical": "sampled.empirical_matrices",
    "SampleMatrix": "sampled.operators",
    "top": "sampled.eigenpairs",
    "extremes": "sampled.eigenpairs",
    "Eigenpairs": "sampled.eigenpairs",
    "AbstractSamples": "sampled.samples",
    "GivenSamples": "sampled.samples",
    "fresh_samples": "sampled.samples",
    "training_samples": "sampled.samples",
    "population": "population_matrices.population_blocks",
    "PopulationMatrix": "population_matrices.population_blocks",
    "leading": "population_matrices.leading_forms",
    "alignment": "alignments",
    "principal_space": "alignments",
    "PrincipalSpace": "alignments",
    "TieWarning": "alignments",
    "lives_in": "alignments",
    "matrix_lives_in": "alignments",
    "asymptotic": "asymptotics.block_spectrum",
    "BlockSpectrum": "asymptotics.block_spectrum",
    "whole": "asymptotics.whole_spectrum",
    "WholeSpectrum": "asymptotics.whole_spectrum",
    "WholeOutlier": "asymptotics.whole_spectrum",
    "second_layer": "asymptotics.second_layer_block",
    "SecondLayerSpectrum": "asymptotics.second_layer_block",
    "Bulk": "asymptotics.bulk",
    "Outlier": "asymptotics.outliers",
    "outlier_thresholds": "asymptotics.thresholds",
    "snr_threshold": "asymptotics.thresholds",
    "along": "asymptotics.trajectory",
    "along_path": "asymptotics.trajectory",
    "Spectrum": "sampled.recording",
    "TestData": "sampled.recording",
    "TrainingData": "sampled.recording",
}

__all__ = [*_HOME]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from sgdlimits.spectra.alignments import PrincipalSpace as PrincipalSpace
    from sgdlimits.spectra.alignments import TieWarning as TieWarning
    from sgdlimits.spectra.alignments import alignment as alignment
    from sgdlimits.spectra.alignments import lives_in as lives_in
    from sgdlimits.spectra.alignments import matrix_lives_in as matrix_lives_in
    from sgdlimits.spectra.alignments import principal_space as principal_space
    from sgdlimits.spectra.asymptotics.block_spectrum import BlockSpectrum as BlockSpectrum
    from sgdlimits.spectra.asymptotics.block_spectrum import asymptotic as asymptotic
    from sgdlimits.spectra.asymptotics.bulk import Bulk as Bulk
    from sgdlimits.spectra.asymptotics.outliers import Outlier as Outlier
    from sgdlimits.spectra.asymptotics.second_layer_block import (
        SecondLayerSpectrum as SecondLayerSpectrum,
    )
    from sgdlimits.spectra.asymptotics.second_layer_block import second_layer as second_layer
    from sgdlimits.spectra.asymptotics.thresholds import outlier_thresholds as outlier_thresholds
    from sgdlimits.spectra.asymptotics.thresholds import snr_threshold as snr_threshold
    from sgdlimits.spectra.asymptotics.trajectory import along as along
    from sgdlimits.spectra.asymptotics.trajectory import along_path as along_path
    from sgdlimits.spectra.asymptotics.whole_spectrum import WholeOutlier as WholeOutlier
    from sgdlimits.spectra.asymptotics.whole_spectrum import WholeSpectrum as WholeSpectrum
    from sgdlimits.spectra.asymptotics.whole_spectrum import whole as whole
    from sgdlimits.spectra.population_matrices.leading_forms import leading as leading
    from sgdlimits.spectra.population_matrices.population_blocks import (
        PopulationMatrix as PopulationMatrix,
    )
    from sgdlimits.spectra.population_matrices.population_blocks import population as population
    from sgdlimits.spectra.sampled.eigenpairs import Eigenpairs as Eigenpairs
    from sgdlimits.spectra.sampled.eigenpairs import extremes as extremes
    from sgdlimits.spectra.sampled.eigenpairs import top as top
    from sgdlimits.spectra.sampled.empirical_matrices import empirical as empirical
    from sgdlimits.spectra.sampled.operators import SampleMatrix as SampleMatrix
    from sgdlimits.spectra.sampled.recording import Spectrum as Spectrum
    from sgdlimits.spectra.sampled.recording import TestData as TestData
    from sgdlimits.spectra.sampled.recording import TrainingData as TrainingData
    from sgdlimits.spectra.sampled.samples import AbstractSamples as AbstractSamples
    from sgdlimits.spectra.sampled.samples import GivenSamples as GivenSamples
    from sgdlimits.spectra.sampled.samples import fresh_samples as fresh_samples
    from sgdlimits.spectra.sampled.samples import training_samples as training_samples


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
