"""Every feature with its source, its status, the test that holds it to account, and a figure.

Closed formulas say source and status themselves (``sgdlimits.formulas``); here stands where each
module of them is tested and seen. What is no closed formula has a row of its own.
"""

from typing import NamedTuple

from sgdlimits import formulas

_BGJ, _BGHJ = "Ben Arous, Gheissari, Jagannath 2022", "Ben Arous et al. 2023"
_AKLS = "Arnaboldi et al. 2023"


class Row(NamedTuple):
    """One feature."""

    feature: str
    source: str
    status: str
    tests: tuple[str, ...]  # below tests/
    figures: tuple[str, ...] = ()


GROUPS: dict[str, tuple[Row, ...]] = {
    "Engines": (
        Row(
            "`chain`: the law of the statistics at finite dim",
            "derived here",
            "exact",
            ("contract/test_contract.py",),
            ("bgj-1", "mediocrity-1"),
        ),
        Row(
            "`ode`: ballistic limit $h = -f + g$",
            f"{_BGJ}, Theorem 2.2",
            "asymptotic",
            ("contract/test_contract.py", "limits/test_flow.py"),
            ("bgj-correctors", "theory-critical"),
        ),
        Row(
            "`sde`: drift and noise of variance 1/dim",
            f"{_BGJ}, Theorem 2.2; {_AKLS}, (11)",
            "asymptotic",
            ("limits/test_diffusion.py", "contract/test_contract.py"),
            ("mediocrity-1", "mediocrity-3"),
        ),
        Row(
            "`mean_field`: wide committees, shared kicks",
            "Loureiro 2023; shared part derived here",
            "asymptotic",
            ("limits/test_mean_field.py", "limits/test_common_kicks.py"),
            ("dimfree-mean-field",),
        ),
        Row(
            "`ODE(per_step=True)`: batches of order dim",
            "derived here",
            "asymptotic",
            ("engines/test_mean_steps.py",),
            ("rules-batch",),
        ),
        Row(
            "mean and covariance of one step at finite dim",
            "derived here",
            "exact (mean); leading order for batches and on the sphere",
            ("models/test_spiked_tensor_moments.py", "process/test_linear_moments.py"),
            (),
        ),
    ),
    "Limits": (
        Row(
            "rescaled diffusive limit about a saddle",
            f"{_BGJ}, Theorem 2.2 after rescaling",
            "asymptotic",
            ("limits/test_rescaled.py",),
            ("bgj-1", "bgj-spiked-tensor"),
        ),
        Row(
            "Ornstein–Uhlenbeck limit at a fixed point",
            f"{_BGJ}, Props. 4.3 and 5.1, corrected",
            "asymptotic",
            ("limits/test_ornstein_uhlenbeck.py",),
            ("bgj-2", "bgj-3"),
        ),
        Row(
            "fixed points by search, connected sets",
            "numerical",
            "to the solver's tolerance",
            ("limits/test_fixed_points.py", "limits/test_connected_sets.py"),
            ("bgj-spiked-phase",),
        ),
        Row(
            "flow without noise, sliding on walls",
            f"{_BGJ}, Props. 4.2 and 5.18; Filippov",
            "asymptotic",
            ("models/test_zero_noise.py",),
            ("bgj-xor-width", "bghj-dynamics"),
        ),
        Row(
            "basins of random starts",
            f"{_BGJ}, Sections 4 and 5",
            "measured, with errors",
            ("analysis/test_basins.py", "limits/test_components.py"),
            ("bgj-2", "bgj-xor-width"),
        ),
        Row(
            "largest stable step",
            "numerical",
            "to the solver's tolerance",
            ("limits/test_critical_step.py",),
            ("rules-batch",),
        ),
        Row(
            "errors along paths (`M_error`, …)",
            "derived here",
            "estimate, to first order",
            ("limits/test_path_error.py",),
            (),
        ),
    ),
    "Models": (
        Row(
            "spiked matrices and tensors",
            f"{_BGJ}, (3.1), (3.2)",
            "exact chain; limits asymptotic",
            ("models/test_spiked_tensor_moments.py", "contract/test_contract.py"),
            ("bgj-1", "bgj-spiked-tensor"),
        ),
        Row(
            "binary and XOR mixtures",
            f"{_BGJ}, Prop. 4.1; {_BGHJ}, Prop. 5.15",
            "exact chain; limits asymptotic",
            ("models/test_multi_index.py", "models/test_honest_mixtures.py"),
            ("bgj-2", "bgj-3"),
        ),
        Row(
            "k classes, softmax",
            f"{_BGHJ}, (5.5), (5.6) corrected",
            "exact chain; limits asymptotic",
            ("models/test_multi_index.py",),
            ("bghj-dynamics",),
        ),
        Row(
            "committees of erf, ReLU, squares, polynomials",
            "Saad and Solla 1995; ReLU derived here",
            "exact chain; limits asymptotic",
            ("models/test_committee.py", "expectations/test_pairs.py"),
            ("dimfree-high-d", "mediocrity-2"),
        ),
        Row(
            "any network and loss (`MultiIndexModel`)",
            "derived here",
            "exact chain; limits asymptotic, errors estimated",
            ("contract/test_testing.py", "expectations/test_honest_errors.py"),
            ("rules-repeat",),
        ),
        Row(
            "any loss and statistics (`CustomModel`)",
            f"{_BGJ}, Theorem 2.2",
            "Monte Carlo, with standard errors",
            ("models/test_custom.py", "models/test_monte_carlo_fibre.py"),
            ("theory-universality",),
        ),
        Row(
            "do statistics close? (`audit`)",
            f"{_BGJ}, Definition 2.1",
            "test at a stated level",
            ("auditing/test_audit.py",),
            ("theory-audit",),
        ),
    ),
    "Rules and batches": (
        Row(
            "batches, schedules, unit rows",
            "derived here",
            "exact chain; limits asymptotic",
            ("process/test_batches.py", "algorithms/test_schedules.py"),
            ("rules-batch",),
        ),
        Row(
            "momentum, averages, clipping, AdaGrad-norm, repeated samples",
            "derived here; Jagannath et al. 2025; Dandi et al. 2024",
            "exact chain; limits asymptotic",
            ("algorithms/test_rules.py", "process/test_rule_kernel.py"),
            ("rules-spiked", "rules-repeat", "rules-clip", "rules-average", "rules-adaptive"),
        ),
        Row(
            "sign SGD",
            "arXiv 2411.12135; derived here",
            "asymptotic (no chain)",
            ("algorithms/test_rules.py",),
            ("rules-adaptive",),
        ),
        Row(
            "line search and Polyak's step",
            "derived here",
            "exact chain; limits asymptotic",
            ("algorithms/test_population_rules.py",),
            (),
        ),
        Row(
            "best schedule (`optimise_schedule`)",
            "numerical",
            "local optimum of the limit",
            ("analysis/test_optimal_schedule.py", "limits/test_gradients.py"),
            (),
        ),
    ),
    "Data": (
        Row(
            "inputs with a covariance, block by block",
            "Collins-Woodfin et al. 2024; derived here",
            "exact chain; limits asymptotic",
            ("process/test_block_chain.py", "models/test_block_model.py"),
            ("cov-highline", "cov-classes", "cov-plateau"),
        ),
        Row(
            "hidden manifolds",
            "Goldt et al. 2020",
            "asymptotic",
            ("data/test_hidden_manifold.py",),
            ("cov-hidden-manifold",),
        ),
        Row(
            "laws from samples (`estimate`)",
            "derived here; Ledoit and Wolf 2004",
            "estimate, with a report",
            ("data/test_estimated.py",),
            ("data-digits", "data-tabular"),
        ),
    ),
    "Spectra": (
        Row(
            "population Hessian and gradient matrices",
            f"{_BGHJ}, Section 4, corrected",
            "exact",
            ("spectra/population_matrices/",),
            ("bghj-2.4", "bghj-2.6"),
        ),
        Row(
            "bulk, edges, outliers and overlaps of sampled matrices",
            "derived here",
            "asymptotic",
            ("spectra/asymptotics/",),
            ("spectra-bulk", "spectra-threshold"),
        ),
        Row(
            "alignment with top eigenspaces",
            f"{_BGHJ}, Definitions 2.1 and 2.2",
            "exact",
            ("spectra/test_alignments.py",),
            ("bghj-2.1", "bghj-9.3"),
        ),
    ),
    "Measured times": (
        Row(
            "exit times with censoring (`exit_time`, `drop_time`)",
            f"{_AKLS}, (9)",
            "measured",
            ("analysis/test_exit_time.py",),
            ("mediocrity-1",),
        ),
        Row(
            "runs that explode",
            "measured",
            "measured, Wilson intervals",
            ("analysis/test_explosion.py",),
            (),
        ),
        Row(
            "simulation against theory (`compare`)",
            "simultaneous bands",
            "measured, with errors",
            ("analysis/test_compare.py",),
            (),
        ),
    ),
}

_CLOSED = "closed_forms/test_"
#: Where the formulas of a module are tested and seen.
FORMULAS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "closed_forms.committee_plateau": ((f"{_CLOSED}committee_plateau.py",), ("dimfree-regimes",)),
    "closed_forms.committee_regimes": ((f"{_CLOSED}committee_regimes.py",), ("dimfree-regimes",)),
    "closed_forms.exit_time_1d": ((f"{_CLOSED}exit_time_1d.py",), ()),
    "closed_forms.leap": ((f"{_CLOSED}leap.py",), ()),
    "closed_forms.least_squares": ((f"{_CLOSED}least_squares.py",), ("cov-highline",)),
    "closed_forms.phase_retrieval_escape": (
        (f"{_CLOSED}phase_retrieval_escape.py",),
        ("mediocrity-1", "dimfree-noise", "dimfree-width"),
    ),
    "closed_forms.phase_retrieval_exit_law": (
        (f"{_CLOSED}phase_retrieval_escape.py",),
        ("mediocrity-1", "dimfree-noise"),
    ),
    "closed_forms.phase_retrieval_landscape": (
        (f"{_CLOSED}phase_retrieval_landscape.py",),
        ("mediocrity-4",),
    ),
    "closed_forms.phase_retrieval_one_neuron": (
        (f"{_CLOSED}phase_retrieval_one_neuron.py",),
        ("mediocrity-1",),
    ),
    "closed_forms.relu_mixture_fixed_points": (
        (f"{_CLOSED}mixture_fixed_points.py",),
        ("bgj-2", "bgj-3"),
    ),
    "closed_forms.single_index_escape": ((f"{_CLOSED}single_index_escape.py",), ()),
    "closed_forms.softmax_mixture_fixed_points": (
        (f"{_CLOSED}mixture_fixed_points.py",),
        ("bghj-dynamics",),
    ),
    "closed_forms.spiked_tensor_phases": (
        (f"{_CLOSED}spiked_tensor_phases.py",),
        ("bgj-spiked-phase", "bgj-spiked-tensor"),
    ),
    "closed_forms.spiked_tensor_stability": (
        (f"{_CLOSED}spiked_tensor_phases.py",),
        ("bgj-spiked-phase",),
    ),
    "closed_forms.two_time_scales": ((f"{_CLOSED}two_time_scales.py",), ("dimfree-timescales",)),
    "analysis.escape": (("analysis/test_escape.py",), ("bgj-spiked-hitting",)),
}


def markdown() -> str:
    """All of it, one table a group."""
    head = "| feature | paper and equation | status | test | figure |\n|---|---|---|---|---|\n"
    parts = []
    for group, rows in GROUPS.items():
        lines = [_line(*row) for row in rows]
        parts.append(f"## {group}\n\n{head}" + "\n".join(lines))
    parts.append("## Closed formulas\n\nOne by one, with what they say, on the page of "
                 "[formulas](formulas.md).\n\n" + head + "\n".join(_of_formulas()))  # fmt: skip
    return "\n\n".join(parts)


def _of_formulas() -> list[str]:
    lines = []
    for home, (tests, figures) in FORMULAS.items():
        own = [one for one in formulas.table() if one.module == home]
        for source in dict.fromkeys((one.source, one.status) for one in own):
            names = [f"`{one.name}`" for one in own if (one.source, one.status) == source]
            lines.append(_line(", ".join(names), source[0], source[1], tests, figures))
    return lines


def _line(
    feature: str, source: str, status: str, tests: tuple[str, ...], figures: tuple[str, ...]
) -> str:
    named = [f"`{test}`" for test in tests]
    shown = [f"[{name}](gallery/{name}.md)" for name in figures]
    cells = (feature, source, status, ", ".join(named), ", ".join(shown) or "–")
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
