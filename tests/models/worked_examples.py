"""Numbers computed once by independent code (other language of formulas, mpmath precision)."""

#: (m_dagger, m_star) at order 3, snr 4, step 1.
OVERLAPS_CUBIC_SNR_4 = (0.29559774252208476, 1.0)

#: ODE from (0.6, 0.5) at order 3, snr 4, step 1: (m, r2) at times 0.2 and 1.
ODE_CUBIC_START = (0.6, 0.5)
ODE_CUBIC_TIMES = (0.2, 1.0)
ODE_CUBIC = ((1.0035191845733145, 0.9998434280088982), (1.0000000000166824, 1.0))

#: Var(sqrt(n) m) at T = 1 under (3.2), order 2, snr 0.5, from variance 1 and r2 = 1.5.
VARIANCE_RESCALED_MATRIX = 1.9758000838444831

#: order 3, n = 12, snr 3, step 0.1, ridge 0.2 at (0.45, 0.36):
#: E m', E r2', Var m', Var r2', Cov(m', r2').
ONE_STEP_CUBIC = (
    0.472505859375,
    0.35075735162353516,
    0.00045351562500000003,
    0.0008377889762698174,
    0.000298438330078125,
)

#: Mean time at which dy = 2.75 y dt + sqrt(0.0025) dB leaves |y| < sqrt(0.05), from 0.
EXIT_TIME = 1.083931706641749

#: lambda_c at step 1.
CRITICAL_SNR = {2: 1.0, 3: 16 * 3**0.5 / 9, 4: 6.75, 5: 14.1011020}
