"""Every figure that can be reproduced. Imports nothing heavy, so that listing is instant."""

from dataclasses import dataclass

_BGJ = "Ben Arous, Gheissari, Jagannath (2022)"
_AKLS = "Arnaboldi, Krzakala, Loureiro, Stephan (2023)"
_SLIDES = "Loureiro (2023), slides on dimension-free limits"
_BGHJ = "Ben Arous, Gheissari, Huang, Jagannath (2023)"


@dataclass(frozen=True)
class Entry:
    """One figure: where it comes from and the function that makes it."""

    id: str
    paper: str
    title: str
    module: str
    function: str


_ALL = (
    Entry(
        "bgj-1",
        f"{_BGJ}, Fig. 1",
        "Spiked matrix at n = 1500: stable and unstable diffusive limit, phase portraits",
        "bgj_spiked_matrix",
        "figure_1",
    ),
    Entry(
        "bgj-spiked-phase",
        f"{_BGJ}, Prop. 3.2",
        "Fixed points and their stability over snr, order and step: what the corrector does",
        "bgj_spiked_phase",
        "phase_diagram",
    ),
    Entry(
        "bgj-spiked-hitting",
        f"{_BGJ}, after Prop. 3.3",
        "Hitting time of the spiked matrix: n log n steps, with constant and law",
        "bgj_spiked_hitting",
        "hitting_times",
    ),
    Entry(
        "bgj-spiked-tensor",
        f"{_BGJ}, Prop. 3.2, Remark 1 and after Prop. 3.3",
        "Spiked tensors: warm starts that fail, and the corrected limit at the snr threshold",
        "bgj_spiked_tensor",
        "warm_starts_and_threshold",
    ),
    Entry(
        "bgj-2",
        f"{_BGJ}, Fig. 2",
        "Binary mixture at N = 250: optimum or ring, each with probability 1/2, rank-1 diffusion",
        "bgj_binary_mixture",
        "figure_2",
    ),
    Entry(
        "bgj-3",
        f"{_BGJ}, Fig. 3",
        "XOR mixture at N = 250: 3/32 reach the optimum, how long that takes, rank-2 diffusion",
        "bgj_xor_mixture",
        "figure_3",
    ),
    Entry(
        "bgj-xor-width",
        f"{_BGJ}, Section 5; {_BGHJ}, after Theorem 2.7",
        "XOR mixture: probability of success against width, the benefit of overparametrisation",
        "bgj_xor_width",
        "success_against_width",
    ),
    Entry(
        "bgj-xor-cold-start",
        f"{_BGJ}, Section 5; {_BGHJ}, Theorem 2.6",
        "XOR mixture from a random start: leaving M = 0 takes log d, not a constant time",
        "bgj_xor_cold_start",
        "cold_start",
    ),
    Entry(
        "bgj-correctors",
        f"{_BGJ}, Theorem 2.2, Props. 3.1 and 4.1",
        "What the corrector does at critical and subcritical step sizes",
        "bgj_correctors",
        "correctors",
    ),
    Entry(
        "bghj-dynamics",
        f"{_BGHJ}, Fig. 2.3 right",
        "Ten Gaussian classes: overlaps along training, their limit and their end points",
        "bghj_dynamics",
        "dynamics",
    ),
    *(
        Entry(f"bghj-{number}", f"{_BGHJ}, Fig. {number}", title, module, function)
        for number, title, module, function in (
            (
                "2.1",
                "k-GMM: x^c aligns with the top eigenspace of its Hessian and G blocks",
                "bghj_kgmm_spectra",
                "figure_2_1",
            ),
            (
                "2.2",
                "k-GMM: entries of x^1 and of the leading eigenvectors after training",
                "bghj_kgmm_spectra",
                "figure_2_2",
            ),
            (
                "2.3",
                "k-GMM: Hessian outliers along training, the first leaves the other nine",
                "bghj_kgmm_spectra",
                "figure_2_3",
            ),
            (
                "2.4",
                "XOR: first and second layer align with their blocks' top eigenspaces",
                "bghj_xor_spectra",
                "figure_2_4",
            ),
            (
                "2.5",
                "XOR: four outliers emerge in the second-layer blocks",
                "bghj_xor_spectra",
                "figure_2_5",
            ),
            (
                "2.6",
                "XOR: as many outliers as hidden classes found, from 1 to 4",
                "bghj_xor_spectra",
                "figure_2_6",
            ),
            (
                "9.1",
                "k-GMM: coordinates of x^1 and x^2 before and after training",
                "bghj_kgmm_spectra",
                "figure_9_1",
            ),
            (
                "9.2",
                "k-GMM: the whole Hessian spectrum at four times",
                "bghj_kgmm_spectra",
                "figure_9_2",
            ),
            ("9.3", "k-GMM: Fig. 2.1 with training data", "bghj_kgmm_spectra", "figure_9_3"),
            ("9.4", "k-GMM: Fig. 2.3 with training data", "bghj_kgmm_spectra", "figure_9_4"),
            ("9.5", "XOR: Fig. 2.4 with training data", "bghj_xor_spectra", "figure_9_5"),
            ("9.6", "XOR: Fig. 2.5 with training data", "bghj_xor_spectra", "figure_9_6"),
        )
    ),
    Entry(
        "spectra-threshold",
        f"{_BGHJ}, Theorem 2.3 and Fig. 2.3 left",
        "Samples per dimension that a Hessian or gradient matrix needs to show k outliers",
        "spectra_threshold",
        "thresholds_along_training",
    ),
    Entry(
        "spectra-bulk",
        f"{_BGHJ}, Section 2.1",
        "Bulk, edges and outliers of four blocks, before and after training",
        "spectra_bulk",
        "bulk_and_outliers",
    ),
    Entry(
        "mediocrity-1",
        f"{_AKLS}, Fig. 1",
        "Phase retrieval leaves its random start: SGD, SDE and ODE; measured over predicted times",
        "mediocrity_exit",
        "figure_1",
    ),
    Entry(
        "mediocrity-2",
        f"{_AKLS}, Fig. 2",
        "Phase retrieval with 5 and 20 neurons: runs of SGD around the ODE",
        "mediocrity_width",
        "figure_2",
    ),
    Entry(
        "mediocrity-3",
        f"{_AKLS}, Fig. 3",
        "Phase retrieval with two neurons: SGD, SDE and ODE from one start",
        "mediocrity_two_neurons",
        "figure_3",
    ),
    Entry(
        "mediocrity-4",
        f"{_AKLS}, Fig. 4",
        "The landscape of phase retrieval with paths of real SGD on it",
        "mediocrity_landscape",
        "figure_4",
    ),
    Entry(
        "mediocrity-5",
        f"{_AKLS}, Fig. 5",
        "Phase retrieval with the second layer trained or not: the same escape",
        "mediocrity_second_layer",
        "figure_5",
    ),
    Entry(
        "theory-audit",
        f"{_BGJ}, Definition 2.1 and Theorem 2.2",
        "Every built-in family audited: closure, critical step, formulas; two broken on purpose",
        "theory_audit",
        "audits",
    ),
    Entry(
        "theory-critical",
        f"{_BGJ}, Section 2.1",
        "The corrector appears at the critical step size: subcritical, critical, too large",
        "theory_critical",
        "critical",
    ),
    Entry(
        "theory-universality",
        "beyond the papers",
        "Inputs and label noise of several laws: one limit, but not all starts, nor fluctuations",
        "theory_universality",
        "universality",
    ),
    Entry(
        "dimfree-classical",
        _SLIDES,
        "Committees of erf, k = 2 and 5, p = 10: SGD follows the gradient flow",
        "dimfree_committees",
        "classical",
    ),
    Entry(
        "dimfree-high-d",
        _SLIDES,
        "Committee of erf, k = 4, p = 8: descent, plateau and escape",
        "dimfree_committees",
        "high_dimension",
    ),
    Entry(
        "dimfree-mean-field",
        _SLIDES,
        "Wide committees in high dimension: the law of (m, q), and its error",
        "dimfree_mean_field",
        "mean_field",
    ),
    Entry(
        "dimfree-regimes",
        _SLIDES,
        "Regimes of width and step, each measured at growing d; rate of the ODE",
        "dimfree_regimes",
        "regimes",
    ),
    Entry(
        "dimfree-noise",
        _SLIDES,
        "Does noise matter in escaping mediocrity? Exit times of ODE, SDE and SGD",
        "dimfree_phase_retrieval",
        "does_noise_matter",
    ),
    Entry(
        "dimfree-width",
        _SLIDES,
        "Does width matter? Samples to the exit at the best step for each width",
        "dimfree_phase_retrieval",
        "does_width_matter",
    ),
    Entry(
        "dimfree-timescales",
        _SLIDES,
        "Fast second layer: Hermite components learned one after the other",
        "dimfree_timescales",
        "time_scales",
    ),
    Entry(
        "rules-spiked",
        "Jagannath, Jones-McCormick and Sarangian (2025)",
        "Momentum and unit gradients on spiked matrices and a single-index model, down to finite d",
        "rules_spiked",
        "spiked",
    ),
    Entry(
        "rules-batch",
        "beyond the papers",
        "Stable step and speed against the batch, up to batches of order d: the critical batch",
        "rules_batch",
        "batches",
    ),
    Entry(
        "rules-repeat",
        "Dandi et al. (2024); numbers derived",
        "Repeated samples and alternating layers learn a cubic teacher in O(d), plain SGD does not",
        "rules_repeat",
        "repeated_samples",
    ),
    Entry(
        "cov-highline",
        "Collins-Woodfin et al. (2024)",
        "Least squares and logistic regression under spectra: constant steps and AdaGrad-norm",
        "cov_highline",
        "risk_curves",
    ),
    Entry(
        "cov-classes",
        "arXiv 2510.14074",
        "Classes with covariances of their own: SGD aligns with the clean parts of the means",
        "cov_classes",
        "classes",
    ),
    Entry(
        "cov-plateau",
        "Worschech and Rosenow (2024); Yoshida and Okada (2019)",
        "Committees under power laws: plateaus against the number of distinct eigenvalues",
        "cov_plateau",
        "plateaus",
    ),
    Entry(
        "cov-hidden-manifold",
        "Goldt, Mézard, Krzakala, Zdeborová (2020)",
        "Committees of erf on a hidden manifold: the Gaussian law against SGD on the data",
        "cov_hidden_manifold",
        "hidden_manifolds",
    ),
    Entry(
        "data-digits",
        "beyond the papers",
        "Images of digits: the law estimated, SGD predicted, and where Gaussianity fails",
        "data_bundled",
        "digits",
    ),
    Entry(
        "data-tabular",
        "beyond the papers",
        "Tumours and diabetes: the law estimated, SGD predicted, and where Gaussianity fails",
        "data_bundled",
        "tables",
    ),
    Entry(
        "rules-adaptive",
        "beyond the papers",
        "Normalised, sign and AdaGrad-norm SGD on noiseless least squares: floors and speed",
        "rules_adaptive",
        "floors",
    ),
    Entry(
        "rules-clip",
        "beyond the papers",
        "Heavy label noise: clipped against plain SGD, and the best threshold",
        "rules_clip",
        "clipping",
    ),
    Entry(
        "rules-average",
        "beyond the papers",
        "Averages beside noisy SGD: exponential, over all times, over the tail",
        "rules_average",
        "averages",
    ),
)

#: By ID, in the order of the papers.
ENTRIES: dict[str, Entry] = {entry.id: entry for entry in _ALL}
