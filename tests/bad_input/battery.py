"""Bad inputs as data: a call with a hole, the argument that is wrong, and what is put into it.

Every one must be refused with that argument's name, within a second, by this package's own words.
"""

from collections.abc import Iterator
from typing import NamedTuple

#: What is no number whatever the context; complex, text, containers, functions, truth values.
NO_NUMBER = "'1.0' 'a' None True 1j complex(1,2) [1.0] {} object() print np.ones(2) b'1'".split()
NO_FINITE = "nan inf -inf np.float64('nan') 10**400 np.float32('inf')".split()
NO_INTEGER = "'3' None True 2.5 1j [3] {} object() print nan inf np.ones(2) 2.0".split()
NO_SWITCH = "1 0 'yes' 'True' None [] 1.0 object()".split()
NO_FUNCTION = "3 'tanh' [] {} object() 1.5".split()
NO_NAME = "3 None [] {} 'none_such' b'm' object() ''".split()
NO_MODEL = "None 3 'SpikedTensor' [] {} object() sl.SpikedTensor sl.OnlineSGD() print".split()
NO_STATE = "3 'start' (0.1,1.0) [] {} object() np.zeros(2) print sl.SpikedTensor()".split()
NO_DATASET = "None 3 'result' [] {} object() np.zeros(3) print".split()
NO_LIST = "3 None object() print".split()
NO_PATH = "3 [] {} object() b'x' '' 'a\\0b' 'x'*300 'y/'*3000 print 1.5 ()".split()


class Input(NamedTuple):
    """One bad input."""

    call: str
    argument: str

    @property
    def name(self) -> str:
        """Of the test."""
        return self.call


class _Kind(NamedTuple):
    call: str  # with @ for the value
    argument: str
    values: list[str]


def _optional(values: list[str]) -> list[str]:
    return [value for value in values if value != "None"]


def _below(least: int) -> list[str]:
    return [str(least - 1), "-7", "-10**30"]


_POSITIVE = [*NO_NUMBER, *NO_FINITE, "0", "0.0", "-1", "-1e-300"]
_NOT_NEGATIVE = [*NO_NUMBER, *NO_FINITE, "-1", "-1e-300"]
_SIM = "sl.simulate(M, dim=20, time=0.5, {}=@)"

_KINDS = [
    # -- simulate
    _Kind("sl.simulate(@, dim=20, time=0.5)", "model", NO_MODEL),
    _Kind("sl.simulate(M, @, dim=20, time=0.5)", "sgd", "3 'sgd' {} [] print sl.OnlineSGD".split()),
    _Kind("sl.simulate(M, dim=@, time=0.5)", "dim", [*NO_INTEGER, *_below(1), "10**15"]),
    _Kind("sl.simulate(M, dim=20, time=@)", "time", [*_POSITIVE, "1e14", "1e300", "1e-30"]),
    _Kind(_SIM.format("runs"), "runs", [*NO_INTEGER, *_below(1), "10**9", "10**12", "2**63"]),
    _Kind(_SIM.format("seed"), "seed", [*NO_INTEGER, "-1", "2**64"]),
    _Kind(_SIM.format("first_run"), "first_run", [*NO_INTEGER, "-1", "2**31"]),
    _Kind(
        "sl.simulate(M, dim=20, time=1e9, record=@)",
        "record",
        "'3' None True 2.5 1j 1 0 -3 10**10 10**12 [1,'a'] [nan] [-1.0] [1e10] {} object() [[1.0]] "
        "[1j] print [None] [True]".split(),
    ),
    _Kind(_SIM.format("engine"), "engine", [*NO_NAME, "sl.engines.Chain", "'ODE'", "'SGD'"]),
    _Kind(_SIM.format("dtype"), "dtype", "3 'float16' 'float32' np.float32 [] object()".split()),
    _Kind(_SIM.format("literal"), "literal", "1 'yes' True [] 0.0".split()),
    _Kind(_SIM.format("dt"), "dt", "0.1 'a' [] -1 nan 1j".split()),
    _Kind(
        "sl.simulate(M, engine='sde', dim=20, time=0.5, dt=@)",
        "dt",
        [*_optional(_POSITIVE), "1e-15", "1e-300"],
    ),
    _Kind(_SIM.format("risk"), "risk", [*_optional(NO_SWITCH)]),
    _Kind(_SIM.format("mean_field"), "mean_field", "3 'x' {} sl.MeanField() sl.MeanField".split()),
    _Kind(_SIM.format("observe"), "observe", "3 'spectrum' None print {} [3] ['x'] [None]".split()),
    _Kind(_SIM.format("progress"), "progress", _optional(NO_SWITCH)),
    _Kind(_SIM.format("out"), "out", NO_PATH),
    _Kind(_SIM.format("initial"), "initial", NO_STATE),
    _Kind(
        _SIM.format("initial"),
        "initial",
        "sl.SpikedStatistics(nan,1.0) sl.SpikedStatistics(0.1,-1.0) sl.SpikedStatistics([0.1]*2,[1.]*2) "
        "sl.Statistics([],np.eye(2),np.eye(2))".split(),
    ),
    # -- its words in other libraries
    *(
        _Kind(f"sl.simulate(M, dim=20, time=0.5, {word}=@)", word, ["1"])
        for word in (
            "lr", "learning_rate", "momentum", "batch_size", "steps", "n_steps", "epochs", "d",
            "T", "n_runs", "rng", "random_state", "step", "batch", "save_to", "times", "callbacks",
        )
    ),
    *(
        _Kind(f"sl.OnlineSGD({word}=@)", word, ["0.1"])
        for word in (
            "lr", "learning_rate", "eta", "step_size", "momentum", "batch_size", "weight_decay",
            "nesterov", "clip", "lr_schedule", "gamma", "delta",
        )
    ),
    # -- algorithms
    _Kind("sl.OnlineSGD(@)", "step", _POSITIVE),
    _Kind("sl.OnlineSGD(spherical=@)", "spherical", NO_SWITCH),
    _Kind("sl.OnlineSGD(second_layer_rate=@)", "second_layer_rate", _NOT_NEGATIVE),
    _Kind("sl.OnlineSGD(batch=@)", "batch", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.OnlineSGD(schedule=@)", "schedule", NO_FUNCTION),
    _Kind("sl.OnlineSGD(schedule=@)", "schedule", ["lambda: 1", "lambda t: 'a'", "lambda t: [1,2]"]),
    _Kind("sl.OnlineSGD(rule=@)", "rule", "3 'adam' print [] {} object()".split()),
    _Kind("sl.schedules.cosine(@)", "time", _POSITIVE),
    _Kind("sl.schedules.warmup(@)", "time", _POSITIVE),
    _Kind("sl.schedules.power(@)", "exponent", [*NO_NUMBER, *NO_FINITE]),
    _Kind("sl.schedules.piecewise(@, [1.0, 0.5])", "times", "3 'a' [nan] [-1.0] [1j] None".split()),
    _Kind("sl.schedules.piecewise([1.0], @)", "values", "3 'a' [nan,1] [1.0] [1j,1] None".split()),
    # -- models
    _Kind("sl.SpikedTensor(@)", "order", [*NO_INTEGER, *_below(2)]),
    _Kind("sl.SpikedTensor(2, @)", "snr", _POSITIVE),
    _Kind("sl.SpikedTensor(2, 1.0, @)", "ridge", _NOT_NEGATIVE),
    _Kind("sl.committee(@, 1)", "width", [*NO_INTEGER, *_below(1), "10**12"]),
    _Kind("sl.committee(1, @)", "teacher_width", [*NO_INTEGER, *_below(1), "10**5", "10**9"]),
    _Kind(
        "sl.committee(2, 1, @)",
        "activation",
        "3 None 'sigmoidal' [] np.tanh math.sin str sum (lambda:1) (lambda*s:3) jnp.sum "
        "(lambda_s:'a') (lambda_s:None) (lambda_s:s[0]) (lambda_s:float(s)) sl.Activation".split(),
    ),
    _Kind("sl.committee(2, 1, 'erf', @)", "teacher_activation", "3 'sigmoidal' np.tanh sum".split()),
    _Kind("sl.single_index('erf', @)", "link", "3 'sigmoidal' np.tanh sum jnp.sum".split()),
    _Kind("sl.committee(2, 1, noise=@)", "noise", _NOT_NEGATIVE),
    _Kind("sl.committee(2, 1, ridge=@)", "ridge", _NOT_NEGATIVE),
    _Kind("sl.phase_retrieval(@)", "width", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.phase_retrieval(1, @)", "noise", _NOT_NEGATIVE),
    _Kind(
        "sl.committee(2, 2, teacher_gram=@)",
        "teacher_gram",
        "3 'a' [[1,2]] -np.eye(2) np.ones((2,2)) np.eye(3) [[nan,0],[0,1]] 1j*np.eye(2) "
        "[[1,0.5],[0.2,1]] object() (1+0j)*np.eye(2)".split(),
    ),
    _Kind(
        "sl.committee(2, 1, second_layer=@)",
        "second_layer",
        "3 'ab' [1.0] [1,nan] [1j,1] object() [[1,2]]".split(),
    ),
    _Kind(
        "sl.committee(2, 1, teacher_second_layer=@)",
        "teacher_second_layer",
        "'a' [1.0,2.0] [nan] [1j] object()".split(),
    ),
    _Kind("sl.committee(2, 1, train_second_layer=@)", "train_second_layer", NO_SWITCH),
    _Kind("sl.committee(2, 1, rule=@)", "rule", "3 'sobol' sl.TruncatedGauss(2,4) []".split()),
    _Kind("sl.binary_gmm(@)", "snr", "'1' 1j nan -1 0 [] {} object() [1,nan] None".split()),
    _Kind("sl.xor_gmm(@)", "snr", "'1' 1j nan -1 0 [] {} object() None".split()),
    _Kind("sl.binary_gmm(10.0, @)", "ridge", _NOT_NEGATIVE),
    _Kind("sl.xor_gmm(10.0, 0.1, @)", "width", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.k_gmm(@)", "classes", [*_optional(NO_INTEGER), *_below(2), "5000", "10**6"]),
    _Kind("sl.k_gmm(3, @)", "means_gram", "'a' 10. -np.eye(3) np.ones((3,3)) np.eye(2) 1j*np.eye(3)".split()),
    _Kind(
        "sl.k_gmm(3, None, @)",
        "probabilities",
        "'a' 0.3 [1,1,1] [0.5,0.5] [-1,1,1] [nan,0.5,0.5] [1j,0,1] [0.,0.5,0.5] object()".split(),
    ),
    _Kind("sl.GaussianMixture(@, np.eye(2))", "coefficients", "'a' 3 None [] 1j*np.eye(2) [[nan,1]]*2 object()".split()),
    _Kind("sl.GaussianMixture(np.eye(2), @)", "labels", "'ab' None [] 1j*np.eye(2) [[nan,1]]*2 object() 3".split()),
    _Kind("sl.GaussianMixture(np.eye(2), np.eye(2), snr=@)", "snr", "'1' 1j nan -1 0 {} object() None".split()),
    _Kind("sl.Teacher(@)", "label", [*NO_FUNCTION, "None", "np.sign", "lambda: 1", "lambda f: f", "lambda f, z: 'a'", "lambda f, z: None"]),
    _Kind("sl.Teacher(lambda f, z: f[0], gram=@)", "gram", "'a' -1.0 np.ones((2,2)) 1j*np.eye(2) [[nan]] object()".split()),
    _Kind("sl.Network(@, width=2)", "function", [*NO_FUNCTION, "None"]),
    _Kind("sl.Network(lambda v, s: s, width=@)", "width", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.Network(lambda v, s: s, width=2, layer=@)", "layer", [*_optional(NO_INTEGER), "-1"]),
    _Kind("sl.Network(lambda v, s: s, width=2, layer=0, kinks=@)", "kinks", "3 'a' [nan] [1j] None ['a']".split()),
    _Kind("sl.MultiIndexModel(data=@, network=N, loss=sl.losses.squared)", "data", NO_MODEL),
    _Kind("sl.MultiIndexModel(data=D, network=@, loss=sl.losses.squared)", "network", NO_MODEL),
    _Kind("sl.MultiIndexModel(data=D, network=N, loss=@)", "loss", [*NO_FUNCTION, "None", "lambda o: o", "lambda o, y: 'a'", "lambda o, y: o"]),
    _Kind("sl.MultiIndexModel(data=D, network=N, loss=sl.losses.squared, ridge=@)", "ridge", _NOT_NEGATIVE),
    _Kind("sl.Activation(@)", "function", [*NO_FUNCTION, "None", "np.tanh", "math.sin"]),
    _Kind("sl.Activation(jnp.tanh, @)", "kinks", "3 'a' [nan] [1j] None ['a'] [inf]".split()),
    _Kind("sl.Hermite(@)", "series", "3 'a' [] [nan] [1j] None ['a'] [inf] {} object() [[1.0]]".split()),
    _Kind("sl.Polynomial(@)", "coefficients", "3 'a' [] [nan] [1j] None ['a'] [inf] {} object()".split()),
    _Kind("sl.QuasiMonteCarlo(@)", "dim", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.QuasiMonteCarlo(2, @)", "log2_nodes", [*NO_INTEGER, "-1", "100"]),
    _Kind("sl.QuasiMonteCarlo(2, 10, @)", "replicates", [*NO_INTEGER, *_below(1), "10**12"]),
    _Kind("sl.TruncatedGauss(@, 4)", "dim", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.TruncatedGauss(2, @)", "order", "'3' None 2.5 1j [3] {} nan 0 -1 10**9 [3,'a']".split()),
    _Kind("sl.MonteCarlo(first=@)", "first", "'x' None 1j 2.5 [] -1 object()".split()),
    _Kind("sl.MonteCarlo(samples=@)", "samples", [*NO_INTEGER, *_below(1), "10**15"]),
    _Kind("sl.MonteCarlo(points=@)", "points", [*NO_INTEGER, *_below(1), "10**15"]),
    _Kind("sl.MonteCarlo(@)", "dim", [*NO_INTEGER, *_below(1), "10**15"]),
    _Kind("Committee(width=@)", "width", [*NO_INTEGER, *_below(1)]),
    _Kind("Committee(noise=@)", "noise", _NOT_NEGATIVE),
    _Kind("Committee(gram=@)", "gram", "'a' -1.0 [[nan]] [[1j]] None object()".split()),
    _Kind("Committee(student=@)", "student", "3 'erf' None jnp.tanh".split()),
    _Kind("Committee(second_layer=@)", "second_layer", "3 'a' [1.0] [nan,1] None object()".split()),
    _Kind("Committee(train_second_layer=@)", "train_second_layer", NO_SWITCH),
    # -- starts
    _Kind("sl.initial(@, 20, 3, 0)", "model", NO_MODEL),
    _Kind("sl.initial(M, @, 3, 0)", "dim", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.initial(M, 20, @, 0)", "runs", [*NO_INTEGER, *_below(1), "10**12", "10**10"]),
    _Kind("sl.initial(M, 20, 3, @)", "seed", [*NO_INTEGER, "-1"]),
    _Kind("sl.initial(M, 20, 3, 0, @)", "sgd", "3 'sgd' {} [] print".split()),
    _Kind("sl.lift(M, U, @, 0)", "dim", [*NO_INTEGER, *_below(1), "10**12"]),
    _Kind("sl.lift(M, @, 20, 0)", "statistics", NO_STATE),
    _Kind("sl.lift(M, U, 20, @)", "seed", [*NO_INTEGER, "-1"]),
    _Kind("sl.SpikedStatistics(@, 1.0)", "m", "'x' None 1j [1j] object() {} ['a']".split()),
    _Kind("sl.Statistics([], @, np.eye(2))", "M", "'x' None 1j*np.eye(2) object() {} 1.0".split()),
    _Kind("sl.Statistics([], np.eye(2), @)", "Q", "'x' None 1j*np.eye(2) object() {} 1.0".split()),
    _Kind("sl.MeanFieldStatistics([], @, [1.0])", "M", "'x' None [[1j]] object() {}".split()),
    _Kind("sl.risk(C, @)", "statistics", NO_STATE),
    _Kind("sl.risk(@, U)", "model", NO_MODEL),
    _Kind("sl.risk(C, UC, excess=@)", "excess", NO_SWITCH),
    _Kind("sl.MeanField(noise=@)", "noise", NO_SWITCH),
    _Kind("sl.MeanField(common=@)", "common", [*_optional(NO_INTEGER), "-1", "17"]),
    _Kind("sl.MeanField(rule=@)", "rule", "3 'sobol' []".split()),
    # -- effective dynamics
    _Kind("sl.effective_dynamics(@)", "model", NO_MODEL),
    _Kind("sl.effective_dynamics(M, @)", "sgd", "3 'sgd' {} [] print".split()),
    *(
        _Kind(f"E.{method}(@)", "SpikedStatistics", NO_STATE)
        for method in ("drift", "population_drift", "corrector", "diffusion", "linearise", "drift_error")
    ),
    _Kind("E.drift(U, @)", "time", [*NO_NUMBER, *NO_FINITE, "-1"]),
    _Kind("E.solve(U, @)", "times", "3j 'a' [] [nan] [-1.0] [2.0,1.0] [1j] None {} object() ['a'] [1,1]".split()),
    _Kind("E.solve(U, [1.0], rtol=@)", "rtol", _optional(_POSITIVE)),
    _Kind("E.one_step_moments(U, @)", "dim", [*NO_INTEGER, *_below(1)]),
    _Kind("E.fixed_points(@)", "method", "3 'newton' None []".split()),
    _Kind("E.fixed_points(starts=@)", "starts", [*NO_INTEGER, *_below(1), "10**15"]),
    _Kind("E.fixed_points(seed=@)", "seed", [*NO_INTEGER, "-1"]),
    _Kind("E.linearise(sl.SpikedStatistics(0.0, 1.0), tolerance=@)", "tolerance", _optional(_POSITIVE)),
    _Kind("E.rescale(@)", "scaled", "'none' 3 None []".split()),
    _Kind("E.rescale('m', dim=@)", "dim", [*_optional(NO_INTEGER), *_below(1)]),
    _Kind("E.basin_probabilities(dim=20, runs=@)", "runs", [*NO_INTEGER, *_below(1), "10**12"]),
    _Kind("E.basin_probabilities(dim=20, runs=3, radius=@)", "radius", _POSITIVE),
    _Kind("E.basin_probabilities(dim=20, runs=3, time=@)", "time", _POSITIVE),
    _Kind("OU(drift=@)", "drift", "3 'a' None np.eye(3) 1j*np.eye(2) nan*np.eye(2) [] object()".split()),
    _Kind("OU(diffusion=@)", "diffusion", "3 'a' None np.eye(3) -np.eye(2) 1j*np.eye(2) nan*np.eye(2) [[1,2],[0,1]] object()".split()),
    _Kind("OU(names=@)", "names", "3 None ('a',) ('a','b','c')".split()),
    _Kind("OU().mean(@, np.zeros(2))", "times", "'a' [nan] [-1.0] None [1j] object()".split()),
    _Kind("OU().mean([1.0], @)", "start", "'a' np.zeros(3) None [nan,0] [1j,0] object()".split()),
    _Kind("OU().exit_time(@)", "level", _POSITIVE),
    _Kind("sl.mean_exit_time(@, 1.0, 1.0)", "rate", [*NO_NUMBER, *NO_FINITE]),
    _Kind("sl.mean_exit_time(1.0, @, 1.0)", "variance", _POSITIVE),
    _Kind("sl.mean_exit_time(1.0, 1.0, @)", "level", _POSITIVE),
    _Kind("sl.sample_diffusion(@, initial=U, time=1.0)", "dynamics", NO_MODEL),
    _Kind("sl.sample_diffusion(R, initial=@, time=1.0)", "initial", NO_STATE),
    _Kind(
        "sl.sample_diffusion(R, initial=@, time=1.0)",
        "initial",
        "sl.SpikedStatistics(nan,1.0) sl.SpikedStatistics(0.1,-1.0) sl.SpikedStatistics(inf,1.0)".split(),
    ),
    _Kind("sl.sample_diffusion(R, initial=U, time=@)", "time", _POSITIVE),
    _Kind("sl.sample_diffusion(R, initial=U, time=1.0, dt=@)", "dt", [*_POSITIVE, "1e-15"]),
    _Kind("sl.sample_diffusion(R, initial=U, time=1.0, runs=@)", "runs", [*NO_INTEGER, *_below(1), "10**9"]),
    _Kind("sl.sample_diffusion(R, initial=U, time=1.0, record=@)", "record", "'3' None True 2.5 1j 1 [nan]".split()),
    # -- analysis
    _Kind("sl.compare(@, DS)", "simulation", NO_DATASET),
    _Kind("sl.compare(DS, @)", "theory", NO_DATASET),
    _Kind("sl.compare(DS, DS, level=@)", "level", [*NO_NUMBER, *NO_FINITE, "0", "1", "2"]),
    _Kind("sl.compare(DS, DS, allowed=@)", "allowed", _NOT_NEGATIVE),
    _Kind("sl.compare(DS, DS, statistics=@)", "statistics", "3 'none' ['none'] [3] object()".split()),
    _Kind("sl.compare(DS, @)", "theory", ["DS.assign_attrs(model='{\"type\":\"SpikedTensor\",\"order\":3}')"]),
    _Kind("sl.convergence_rate(@)", "comparisons", "3 None [] 'a' [1,2] object() [DS,DS]".split()),
    _Kind("sl.exit_time(@, 0.5, 'm')", "dataset", NO_DATASET),
    _Kind("sl.exit_time(DS, @, 'm')", "level", [*NO_NUMBER, *NO_FINITE]),
    _Kind("sl.exit_time(DS, 0.5, @)", "of", NO_NAME),
    _Kind("sl.drop_time(DS, @, 'm')", "drop", [*NO_NUMBER, *NO_FINITE, "0", "2", "-1"]),
    _Kind("sl.drop_time(@, 0.5, 'm')", "dataset", NO_DATASET),
    _Kind("sl.escape_law(@, U, 'm', 0.5, 100)", "dynamics", NO_MODEL),
    _Kind("sl.escape_law(E, @, 'm', 0.5, 100)", "saddle", NO_STATE),
    _Kind("sl.escape_law(E, sl.SpikedStatistics(0.0, 1.0), @, 0.5, 100)", "name", NO_NAME),
    _Kind("sl.escape_law(E, sl.SpikedStatistics(0.0, 1.0), 'm', @, 100)", "level", _POSITIVE),
    _Kind("sl.escape_law(E, sl.SpikedStatistics(0.0, 1.0), 'm', 0.5, @)", "dim", [*NO_INTEGER, *_below(1)]),
    _Kind("EL.quantile(@)", "probability", "2 -0.1 nan 'a' None 1j [0.5,2] object() {}".split()),
    _Kind("EL.cdf(@)", "time", "nan 'a' None 1j [nan] object() {}".split()),
    _Kind("sl.explosion_probability(M, S, dim=20, time=1.0, runs=@)", "runs", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.explosion_probability(M, S, dim=20, time=1.0, bound=@)", "bound", _POSITIVE),
    _Kind("sl.explosion_probability(M, @, dim=20, time=1.0)", "sgd", "3 'sgd' {}".split()),
    _Kind("sl.audit(@)", "model", NO_MODEL),
    _Kind("sl.audit(M, dims=@)", "dims", "3 'ab' None [] [50] [50,50] [50,'a'] [50,2.5] [-1,3] object()".split()),
    _Kind("sl.audit(M, scaling=@)", "scaling", [*NO_NUMBER, *NO_FINITE]),
    _Kind("sl.audit(M, fibres=@)", "fibres", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.audit(M, points=@)", "points", [*_optional(NO_INTEGER), *_below(1), "10**15"]),
    _Kind("sl.audit(M, samples=@)", "samples", [*_optional(NO_INTEGER), *_below(2), "10**15"]),
    _Kind("sl.audit(M, without=@)", "without", "3 'none' ['none'] [3] None".split()),
    _Kind("sl.audit(M, level=@)", "level", [*NO_NUMBER, *NO_FINITE, "0", "1"]),
    _Kind("sl.audit(M, candidates=@)", "candidates", "3 'm' ['m'] {'m':3} {3:print} {'m':lambda_x:x[0]}".split()),
    # -- closed forms
    _Kind("sl.Mediocrity(@)", "step", _POSITIVE),
    _Kind("sl.Mediocrity(0.1, @)", "noise", _NOT_NEGATIVE),
    _Kind("sl.Mediocrity(0.1, 0.0, @)", "width", [*NO_INTEGER, *_below(1)]),
    _Kind("MD.exit_from(@, 1.0, 100, 0.2)", "overlap", [*NO_NUMBER, *NO_FINITE, "101", "-1"]),
    _Kind("MD.exit_from(0.1, @, 100, 0.2)", "alignment", [*NO_NUMBER, *NO_FINITE]),
    _Kind("MD.annealed_exit(@, 0.2)", "dim", [*NO_INTEGER, *_below(2)]),
    _Kind("MD.annealed_exit(100, @)", "drop", [*NO_NUMBER, *NO_FINITE, "0", "2", "-1"]),
    _Kind("MD.steps(@, 100)", "time", _NOT_NEGATIVE),
    _Kind("sl.OneNeuron(@)", "step", _POSITIVE),
    _Kind("ON.drift(@)", "m", "7 -2 nan 'a' None 1j [0.1,3] object()".split()),
    _Kind("ON.path(0.1, @)", "times", "'a' [2.0,1.0] [nan] [-1.0] [1j] None object()".split()),
    _Kind("ON.path(@, [1.0])", "start", [*NO_NUMBER, *NO_FINITE, "2"]),
    _Kind("sl.SingleIndexSphere([0, 1], [0, 1], @)", "step", _POSITIVE),
    _Kind("sl.SingleIndexSphere(@, [0, 1], 0.1)", "student", "'erf' 3 None [] [nan,1] [1j,1] object()".split()),
    _Kind("SI.drift(@)", "m", "7 -2 nan 'a' None 1j object()".split()),
    _Kind("sl.two_time_scales([0, 1], [0, 1], @, second_layer=[1.0])", "ratio", _POSITIVE),
    _Kind("sl.two_time_scales([0, 1], [0, 1], 0.1, second_layer=@)", "second_layer", "'a' None [] [nan] [1j] object()".split()),
    _Kind("sl.two_time_scales([0, 1], [0, 1], 0.1, second_layer=[1.0], record=@)", "record", [*NO_INTEGER, "1", "10**12"]),
    _Kind("sl.leap(@)", "components", "3 None 'z1' [3] [['a']] object() [[]] [[-1]]".split()),
    _Kind("sl.regime(@, 1.0)", "width_exponent", [*NO_NUMBER, *NO_FINITE]),
    # -- storage and sweeps
    _Kind("sl.save(@, tmp / 'x')", "dataset", NO_DATASET),
    _Kind("sl.save(DS, @)", "path", [*NO_PATH, "None"]),
    _Kind("sl.load(@)", "path", [*NO_PATH, "None", "tmp"]),
    _Kind("sl.sweep(@, {'snr': [1.0]})", "arguments", NO_FUNCTION),
    _Kind("sl.sweep(lambda snr: @, {'snr': [1.0]})", "arguments", "3 None [] 'a' {} {'lr':1} {'dim':20}".split()),
    _Kind("sl.sweep(lambda: dict(model=M, dim=20, time=1.0), {'snr': [1.0]})", "arguments", ["1"]),
    _Kind("sl.sweep(P, @)", "grid", "3 None [] 'a' {} {'snr':3} {'snr':[]} {'snr':'ab'} {3:[1]} {'snr':[1.0,1.0]} {'snr':[1.0,nan]} {'snr':None} {'snr':[1,2],'x':[]} {'snr':[1,1.0]}".split()),
    _Kind("sl.sweep(P, {'snr': [0.8, 1.2]}, reduce=@)", "reduce", [*NO_FUNCTION, "lambda ds: 3", "lambda ds: None", "lambda ds: ds.m", "lambda ds: ds.isel(tme=-1)", "lambda: 1", "lambda ds: ds['q']"]),
    _Kind("sl.sweep(lambda @: dict(model=M, dim=20, time=1.0, seed=@), {'@': [1, 2]})", "grid", "step time run m r2 diverged".split()),
    _Kind("sl.sweep(lambda snr: dict(model=M, dim=20, time=snr), {'snr': [1.0, 2.0, @]})", "grid", ["3.0"]),
    _Kind("sl.sweep(P, {'snr': [1.0]}, out=@)", "out", NO_PATH),
    _Kind("sl.sweep(P, {'snr': [1.0]}, client=@)", "client", "3 'tcp://x' object()".split()),
    _Kind("sl.sweep(P, {'snr': [1.0]}, progress=@)", "progress", _optional(NO_SWITCH)),
    # -- spectra
    _Kind("sl.spectra.TestData(@)", "count", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.spectra.TestData(9, seed=@)", "seed", [*NO_INTEGER, "-1"]),
    _Kind("sl.spectra.TestData(9, memory=@)", "memory", _NOT_NEGATIVE),
    _Kind("sl.spectra.TrainingData(@)", "count", [*_optional(NO_INTEGER), *_below(1)]),
    _Kind("sl.spectra.TrainingData(memory=@)", "memory", _NOT_NEGATIVE),
    _Kind("sl.spectra.TrainingData(batch=@)", "batch", [*_optional(NO_INTEGER), *_below(1)]),
    _Kind("sl.spectra.Spectrum([(0, 0)], T, k=@)", "k", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.spectra.Spectrum(@, T, k=1)", "blocks", "3 None [3] ['none'] [(0,)] object()".split()),
    _Kind("sl.spectra.Spectrum([(0, 0)], @, k=1)", "data", "3 None 'test' object()".split()),
    _Kind("sl.spectra.Spectrum([(0, 0)], T, k=1, prefix=@)", "prefix", "3 None [] object()".split()),
    _Kind("sl.spectra.Spectrum([(0, 0)], T, k=1, kinds=@)", "kinds", "3 None ['none'] [3]".split()),
    _Kind("sl.spectra.Spectrum([(0, 0)], T, k=1, vectors=@)", "vectors", NO_SWITCH),
    _Kind("sl.spectra.top(np.eye(4), @)", "k", [*NO_INTEGER, *_below(1), "5"]),
    _Kind("sl.spectra.top(np.eye(4), 1, tolerance=@)", "tolerance", _POSITIVE),
    _Kind("sl.spectra.top(np.eye(4), 1, most_sweeps=@)", "most_sweeps", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.spectra.top(@, 1)", "matrix", "3 None 'a' 1j*np.eye(2) nan*np.eye(2) np.ones(3) object() [[1,2],[0,1]]".split()),
    _Kind("sl.spectra.fresh_samples(G, 20, @, 0)", "count", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.spectra.fresh_samples(G, @, 5, 0)", "dim", [*NO_INTEGER, *_below(1)]),
    _Kind("sl.spectra.fresh_samples(@, 20, 5, 0)", "model", NO_MODEL),
    _Kind("sl.spectra.fresh_samples(G, 20, 5, 0, memory=@)", "memory", _NOT_NEGATIVE),
    _Kind("sl.spectra.snr_threshold(G, UG, alpha=2.0, bracket=@)", "bracket", "(5,1) 3 None (1,) 'ab' (nan,1) (-1,2) (1j,2) object()".split()),
    _Kind("sl.spectra.snr_threshold(G, UG, alpha=@)", "alpha", _POSITIVE),
    _Kind("sl.spectra.asymptotic(G, UG, alpha=@)", "alpha", _POSITIVE),
    _Kind("sl.spectra.asymptotic(G, @, alpha=2.0)", "Statistics", NO_STATE),
    # -- engines
    _Kind("sl.engines.ODE(rtol=@)", "rtol", _optional(_POSITIVE)),
    _Kind("sl.engines.ODE(errors=@)", "errors", NO_SWITCH),
    _Kind("sl.engines.SDE(dt=@)", "dt", _optional(_POSITIVE)),
    _Kind("sl.engines.SGD(dtype=@)", "dtype", "3 'float16' None np.float32 [] object()".split()),
    _Kind("sl.engines.SGD(literal=@)", "literal", NO_SWITCH),
]  # fmt: skip


def inputs() -> Iterator[Input]:
    """All of them."""
    for kind in _KINDS:
        for value in kind.values:
            # In lists of words there are no blanks.
            value = value.replace("lambda_", "lambda ").replace("lambda*", "lambda *")
            yield Input(kind.call.replace("@", value), kind.argument)
