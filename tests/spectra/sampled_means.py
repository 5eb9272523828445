"""Population blocks against means of sampled ones."""

import numpy as np

from sgdlimits import spectra


def blocks(model):
    """Blocks of every form."""
    return [(0, 0), (0, 1), (1, 1), *(["vv", ("v", 1)] if model.layer_size else [])]


def z_scores(model, given, block, kind, dim, count, seed, of_model=None, batch=400):
    """z-scores of all entries of a block: sampled mean against the population matrix."""
    samples = spectra.fresh_samples(model, dim, count, seed)
    population = spectra.population(of_model or model, given, block, kind)
    expected = population.matrix(given, model.frame(dim))
    total, squares, parts = 0.0, 0.0, 0
    # Means over batches of samples: their spread gives the standard error of every entry.
    for _, X, labels in samples.chunks():
        for part in np.array_split(np.arange(len(X)), max(1, len(X) // batch)):
            some = spectra.GivenSamples(X[part], labels[part])
            mean = spectra.empirical(model, given, some, block, kind).dense()
            total, squares, parts = total + mean, squares + mean**2, parts + 1
    mean = total / parts
    deviation = np.sqrt((squares / parts - mean**2) / (parts - 1))
    return (mean - expected) / deviation
