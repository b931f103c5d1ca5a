"""From streams to a verdict under one page budget. Pure: no file, clock, network or global random state.

The promise. Write ``false_pages: 1 per 90d``. While nothing moved, the expected number of pages in any 90
days is at most one, over all columns, detectors, segments and checks together.

The recursion. Every stream ``k`` yields, each window, an e-value: a number that is never negative and whose
expectation given the past is at most 1 while the stream's null holds. ``M_k <- (M_k + w_k) * e_k``. A page is
sent when the sum over all streams reaches 1, then every ``M_k`` is 0 again. The ``w_k`` are fixed before the
window and add up, over 90 days, to the budget.

The proof, in three lines. Before a reset, ``E[sum M | past] <= sum M_before + sum w``. A page needs ``sum M
>= 1`` and takes it to 0 while the number of pages ``N`` grows by one. So ``sum M + N - (all w so far)`` is a
supermartingale that begins at 0, and ``E[N] <= all w so far``: no independence between streams or windows is
needed. (The e-detector of Shin, Ramdas, Rinaldo 2023 with ``w = 1/c``, in the form a daemon needs: budget in
wall-clock time, restarts, missing windows.)

Two nulls (``betting.py``). *Tolerance*, for shares of rows: the window's share is within ``tolerance`` of the
reference's. *Usual*, for scores: the window is like the healthy windows seen so far. Production windows
teach what is usual only ``WAIT`` windows later, by rule: a shift cannot teach while it is gathering evidence.
One score is made of the others (``together.py``): many columns that each moved a little.

What is outside the proof and is measured instead (``tests/bench/alarms.py``; day means that wander with
autocorrelation .5 / .8 / .9 gave 0 / 2 / 8 pages in 8 quarters): shares whose rows are more dependent than
the measured design effect says, scores of strongly autocorrelated windows, and seasons without a slot.
"""
