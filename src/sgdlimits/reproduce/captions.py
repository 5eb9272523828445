"""What to see in each figure: a short name, and two sentences with the meaning of its colours.

Imports nothing, so that lists and pages are instant. Symbols are plain text, as in titles.
"""

from typing import NamedTuple


class Caption(NamedTuple):
    """Words for one figure."""

    name: str  # a few words, beside its ID in lists
    text: str  # what to see, and what the colours are


CAPTIONS: dict[str, Caption] = {
    "bgj-1": Caption(
        "spiked matrix, two regimes",
        "Below the threshold (top) the overlap m fluctuates about 0, above it (bottom) SGD "
        "settles at ±m⋆. Orange is real SGD, the blue band is the exact chain, dashed lines are "
        "the diffusive limit, grey arrows the flow of the ODE.",
    ),
    "bgj-spiked-phase": Caption(
        "spiked tensors, phase diagram",
        "Fixed points against the signal strength for orders 2, 3 and 4: the smaller the step "
        "c, the earlier the informed point appears. Colours are the step (blue 1, green 0.3, "
        "orange 0.03), dotted black is the limit c → 0, diamonds are the exact chain.",
    ),
    "bgj-spiked-hitting": Caption(
        "spiked matrix, hitting times",
        "From a random start the spike is reached after a time that grows like log n, with the "
        "predicted constant and the predicted law. In (a) blue dots are the exact chain and "
        "black is theory; in (b) blue is n = 1000 and orange n = 10000.",
    ),
    "bgj-spiked-tensor": Caption(
        "spiked tensors, warm starts",
        "Starts on one side of the saddle find the spike (blue), those on the other side forget "
        "it (orange); in (c) noise blurs this border, in (d) it carries cold starts over the "
        "barrier. In (c) orange is n = 200 and blue n = 2000; the grey dashed line in (d) is "
        "the printed limit, from which none escapes.",
    ),
    "bgj-2": Caption(
        "binary mixture, optimum or ring",
        "Half of the random starts reach the optimum and the others end on a ring, where "
        "fluctuations have rank one. Blue is the exact chain, orange real SGD, black the "
        "prediction.",
    ),
    "bgj-3": Caption(
        "XOR mixture, three in 32",
        "With four neurons only 3/32 of the starts reach the optimum, and with ridge 0.1 they "
        "need a time above 100 to do so. Blue is the exact chain, orange real SGD (a shorter "
        "time), green the chain at a smaller ridge, which is faster; black is the prediction.",
    ),
    "bgj-xor-width": Caption(
        "XOR mixture, success and width",
        "The probability of reaching the optimum grows with the width, and failure falls "
        "exponentially. Black is the formula, green the limiting flow without noise, blue the "
        "exact chain.",
    ),
    "bgj-xor-cold-start": Caption(
        "XOR mixture, cold start",
        "From a random start the overlaps grow from d^(-1/2), so that the exit time grows like "
        "log d and not, as printed, independently of d. Colours in (a) are the dimension (green "
        "200, blue 1200, orange 6400); black dashed lines are the ODE from the same starts.",
    ),
    "bgj-correctors": Caption(
        "what the corrector does",
        "With a step of order 1/d the noise of samples changes the limit itself: norms and end "
        "points move away from those of gradient flow. Blue is SGD at c = 1 and green at c = "
        "0.05; solid black is the ODE with the corrector, dashed without.",
    ),
    "bghj-dynamics": Caption(
        "ten classes, overlaps",
        "Every class vector turns towards its own mean and away from the others, as the ODE "
        "predicts. Orange is the own mean, blue (grey in a) the others, green the part outside; "
        "black is the ODE, crosses the end points without noise.",
    ),
    "bghj-2.1": Caption(
        "k classes, alignment",
        "Class vectors move into the top eigenspace of their Hessian block (a) and gradient "
        "block (b), measured on test data. Orange is block 1 and grey the other blocks of one "
        "run of SGD; dashed black is the prediction at this number of samples.",
    ),
    "bghj-2.2": Caption(
        "k classes, eigenvectors",
        "After training x^1 (a) and the leading eigenvectors of its Hessian and gradient blocks "
        "(b, c) have one large entry, that of their class mean. Orange is the eigenvector of "
        "the largest eigenvalue, grey those of the next nine.",
    ),
    "bghj-2.3": Caption(
        "k classes, outliers",
        "Along training the largest eigenvalue of the Hessian block leaves the other nine, as "
        "the overlap with the own mean grows. Orange is the largest, blue the next nine, green "
        "every fourth of the rest; black dots are predicted outliers, the grey band the "
        "predicted bulk.",
    ),
    "bghj-2.4": Caption(
        "XOR, alignment",
        "Rows of the first layer (a, b) and the second layer (c, d) align with the top "
        "eigenspaces of their blocks. Orange is SGD (one block of the first layer; the others "
        "are grey), black the prediction.",
    ),
    "bghj-2.5": Caption(
        "XOR, outliers",
        "Four eigenvalues of the second-layer Hessian (a) and gradient matrix (b) leave the "
        "rest. Orange are the largest four of SGD, blue the others, black dots the population's "
        "largest five.",
    ),
    "bghj-2.6": Caption(
        "XOR, outliers and classes found",
        "Runs that find one, two, three or all four hidden classes show as many outliers. "
        "Orange are the largest four eigenvalues of SGD, blue the others, black dots the "
        "population's largest five.",
    ),
    "bghj-9.1": Caption(
        "k classes, coordinates",
        "Two class vectors before training (top) look random, and after it (bottom) stand on "
        "their own mean. Orange is the coordinate of the own mean, blue those of the other "
        "means, grey all others.",
    ),
    "bghj-9.2": Caption(
        "k classes, whole spectrum",
        "The spectrum of a Hessian block at four times: a bulk, nine outliers that come back "
        "towards it, and one that leaves. Blue is SGD, the black line the predicted bulk, "
        "orange ticks the predicted outliers; the horizontal axes differ.",
    ),
    "bghj-9.3": Caption(
        "k classes, alignment, training data",
        "The same as bghj-2.1 with the samples that SGD was trained on: alignment is slightly "
        "higher than predicted, because weights and samples are not independent. Orange is "
        "block 1, grey the others, dashed black the prediction for test data.",
    ),
    "bghj-9.4": Caption(
        "k classes, outliers, training data",
        "The same as bghj-2.3 with training data: the largest eigenvalue comes out lower than "
        "on test data. Orange is the largest, blue the next nine, green every fourth of the "
        "rest; black is the prediction for test data.",
    ),
    "bghj-9.5": Caption(
        "XOR, alignment, training data",
        "The same as bghj-2.4 with training data. Orange is SGD (one block of the first layer; "
        "the others are grey), black the prediction for test data.",
    ),
    "bghj-9.6": Caption(
        "XOR, outliers, training data",
        "The same as bghj-2.5 with training data: eigenvalues of the gradient matrix (b) come "
        "out lower. Orange are the largest four of SGD, blue the others, black dots the "
        "population.",
    ),
    "spectra-threshold": Caption(
        "samples to see outliers",
        "How many samples per dimension a matrix needs before an outlier leaves its bulk: after "
        "training ten for the Hessian (a), thousands for the gradient matrix (b). Blue is the "
        "first outlier, orange the second to ninth, green the tenth; in (c) the first and the "
        "second to ninth eigenvectors.",
    ),
    "spectra-bulk": Caption(
        "bulk, edges and outliers",
        "Four blocks before (top) and after training (bottom): one matrix has the density that "
        "the limit predicts, and outliers where it predicts them. Blue is one matrix (dots: its "
        "eigenvalues outside the bulk), black the limiting density, orange triangles the "
        "predicted outliers.",
    ),
    "mediocrity-1": Caption(
        "phase retrieval, leaving the start",
        "From one start (a) SGD scatters around the ODE, and from random starts (b) it is "
        "faster than the paper's formulas, by what noise saves. In (a) blue is SGD and orange "
        "the SDE; in (b) blue is one neuron, orange four, and filled dots the formula with "
        "noise.",
    ),
    "mediocrity-2": Caption(
        "phase retrieval, 5 and 20 neurons",
        "Runs of SGD scatter about the ODE, less for the wider network. Blue are single runs, "
        "black is the ODE from the same start.",
    ),
    "mediocrity-3": Caption(
        "phase retrieval, two neurons",
        "SGD, SDE and ODE from one start with two neurons: SDE and SGD have the same spread. "
        "Blue is SGD (band: 5–95 %), dashed orange the SDE, black the ODE; the bars below are "
        "mean exit times.",
    ),
    "mediocrity-4": Caption(
        "phase retrieval, landscape",
        "SGD falls towards the saddle first and then leaves it along the teacher (a); in high "
        "dimension almost all starts lie on the flat top of the risk (c). Blue in (a) and white "
        "in (b) are runs of SGD; in (c) colours are the law of starts at d = 3 (green), 30 "
        "(blue), 3000 (orange).",
    ),
    "mediocrity-5": Caption(
        "phase retrieval, second layer",
        "Training the second layer too changes the escape hardly at all. Blue is the second "
        "layer fixed, green (dashed) trained; bands hold the runs, and the grey line is the "
        "level that counts as exit.",
    ),
    "theory-audit": Caption(
        "audits of all families",
        "For every built-in family the audit finds that the statistics close, that the critical "
        "step is 1/n, and that the formulas hold; two models that were broken on purpose "
        "(bottom rows) are found out. Orange dots in (a) are statistics that do not close, to "
        "the left of the line.",
    ),
    "theory-critical": Caption(
        "the critical step",
        "The corrector matters if and only if the step is of order 1/n: smaller steps tend to "
        "gradient flow, larger ones leave it. Green is a smaller step, blue the critical one, "
        "orange a larger one; dashed black is the flow without corrector.",
    ),
    "theory-universality": Caption(
        "what is universal",
        "Inputs (a–c) and label noise (d–f) of different laws share one limiting path, unless "
        "the start singles out a coordinate (b), and not the fluctuations about it (e, f). Blue "
        "is Gaussian, orange Rademacher, green uniform (a–c) or Laplace (d–f).",
    ),
    "dimfree-classical": Caption(
        "committees in dimension 30",
        "At a small step SGD follows the gradient flow in a dimension as low as 30. Blue is "
        "SGD, black the ODE from the same start, dotted orange the gradient flow.",
    ),
    "dimfree-high-d": Caption(
        "committee, plateau and escape",
        "The risk falls to a plateau on which all neurons are alike, and leaves it when they "
        "specialise, as the overlaps (b) show. Blue is the exact chain, black the ODE from the "
        "same start.",
    ),
    "dimfree-mean-field": Caption(
        "wide committees",
        "For wide networks one equation per neuron replaces the matrix of overlaps, and the "
        "error of the mean risk falls like 1/width. In (a) orange is width 25 and blue 100, "
        "dashed the reduced equations; in (b) colours are times.",
    ),
    "dimfree-regimes": Caption(
        "regimes of width and step",
        "How width p and step γ grow with d decides what SGD does (a): follows gradient flow, "
        "sits on a plateau of noise, learns nothing, or has no ODE; (b–f) measure each. Colours "
        "of dots are exponents named in each panel.",
    ),
    "dimfree-noise": Caption(
        "does noise matter?",
        "It does: SGD and SDE leave the plateau earlier than the ODE, by the time that theory "
        "predicts. Blue is SGD, orange the SDE, black the ODE in (a) and the two formulas in "
        "(b).",
    ),
    "dimfree-width": Caption(
        "does width matter?",
        "At the best step for each width, wider networks need fewer samples to leave the "
        "plateau, up to a factor that stays bounded. Blue dots in (a) are SGD, lines are "
        "formulas; in (b) colours are widths.",
    ),
    "dimfree-timescales": Caption(
        "fast second layer",
        "If the second layer is fast, Hermite components are learned one after the other, each "
        "on a time scale of its own. Colours in (a) are the ratio ε of the rates; in (b) and "
        "(c) they are the components, black the constant one.",
    ),
    "rules-spiked": Caption(
        "momentum and unit gradients",
        "On spiked matrices momentum behaves like plain SGD at a longer step, and unit "
        "gradients find the signal at smaller strengths. Blue is plain SGD, orange momentum, "
        "green unit gradients; lines are limits, bands and dots the exact chain.",
    ),
    "rules-batch": Caption(
        "the critical batch",
        "Larger batches allow larger steps and save steps in proportion, until the batch is of "
        "the order of the dimension (grey line). Colours in (a) are batch sizes; bars are the "
        "exact chain, black and coloured lines the exact mean.",
    ),
    "rules-repeat": Caption(
        "samples used twice",
        "A cubic teacher is learned in a number of samples proportional to d if each sample is "
        "used twice (a) or the layers take turns (b), and not by plain SGD (dotted). Shades of "
        "grey are the dimension; orange in (b) is growth at the rate near 0.",
    ),
    "cov-highline": Caption(
        "least squares under a spectrum",
        "Risk curves of least squares and logistic regression for inputs with a spectrum, at "
        "constant steps and with AdaGrad-norm, follow the limit. Dots are SGD (colours: step or "
        "spectrum), black lines the limit, dotted lines the floors.",
    ),
    "cov-classes": Caption(
        "classes with own covariances",
        "SGD aligns more with the directions in which the classes are clean. Dots are SGD and "
        "lines the ODE; colours are the variances of the two classes (a), shades the place in "
        "the spectrum (b), and in (c) blue is power laws and orange isotropic classes.",
    ),
    "cov-plateau": Caption(
        "plateaus under power laws",
        "More distinct eigenvalues shorten the plateau of a committee, more so for steeper "
        "spectra, and leave its height. Colours in (b) and (c) are the exponent of the "
        "spectrum; blue dots in (a) are SGD, lines the ODE.",
    ),
    "cov-hidden-manifold": Caption(
        "hidden manifolds",
        "SGD on data from a hidden manifold follows the ODE of the Gaussian law with the same "
        "covariance. Orange is a latent dimension of half the inputs', blue of twice; dots are "
        "SGD (a) and eigenvalues (b), black is theory.",
    ),
    "data-digits": Caption(
        "images of digits",
        "The risk of SGD on images, even digits against odd, is predicted from estimated means "
        "and covariances. Blue is SGD on the images, orange on samples of the estimated law, "
        "black the ODE.",
    ),
    "data-tabular": Caption(
        "tumours and diabetes",
        "The same for two tables: logistic regression of tumours, least squares for the "
        "progress of diabetes. Blue is SGD on the table, orange on samples of the estimated "
        "law, black the ODE; bands hold 90 % of the runs.",
    ),
    "rules-adaptive": Caption(
        "normalised and sign SGD",
        "Without label noise plain SGD and AdaGrad-norm go on falling, while normalised and "
        "sign SGD rest at floors, as their steps do not shrink. Colours are the rules, lines "
        "the limit, dots simulations, dotted lines the floors by formula.",
    ),
    "rules-clip": Caption(
        "clipping against heavy noise",
        "Under heavy-tailed label noise clipped SGD settles where plain SGD does not, and there "
        "is a best threshold. Orange is plain SGD, blue clipped (in b: with heavy noise), green "
        "with Gaussian noise of the same variance, black the limit.",
    ),
    "rules-average": Caption(
        "averages of the weights",
        "Averages rest closer to the teacher than the last iterate; how much closer depends on "
        "the rate and the time. Blue is the last iterate, orange an exponential average, green "
        "the mean so far, pink the mean over the tail; black in (b) is the formula.",
    ),
}
