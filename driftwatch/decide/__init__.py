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

Two nulls. *Tolerance*, for shares of rows: the window's share is within ``tolerance`` of the reference's
(``betting.py``; of all of a column's shares at once, ``shapes.py``). *Usual*, for scores: the window is what
the healthy windows before it predict (``laws.py``, ``prediction.py``). Production windows teach what is usual
only ``WAIT`` windows later, by rule, and those of a stream under suspicion later still: a shift cannot teach
while it is gathering evidence. Two scores are made of the others: many columns that each moved a little on
one day (``together.py``) and in one direction for many (``direction.py``).

What is outside the proof and is measured instead (``make bench-alarms``): shares whose rows are more
dependent than the measured design effect says, scores whose law is not the predicted one, and seasons
without a slot.
"""
