"""Every figure that can be reproduced. Imports nothing heavy, so that listing is instant."""

from dataclasses import dataclass

_BGJ = "Ben Arous, Gheissari, Jagannath (2022)"
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
)

#: By ID, in the order of the papers.
ENTRIES: dict[str, Entry] = {entry.id: entry for entry in _ALL}
