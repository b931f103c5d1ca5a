"""The decision on one window: from its streams to a verdict, under one page budget.

The package is pure: it uses no file, clock, network or global random state.

The promise. Write ``false_pages: 1 per 90d``. While nothing changes, the expected number of pages in any 90
days is at most one, over all columns, detectors, segments and checks together.

The recursion. In each window every stream ``k`` yields an e-value ``e_k``: a number that is never negative
and whose expectation given the past is at most 1 while the stream's null holds. ``M_k <- (M_k + w_k) * e_k``.
When the sum over all streams reaches 1, a page is sent and every ``M_k`` is reset to 0. The weights ``w_k``
are fixed before the window and add up, over 90 days, to the budget.

The proof. Before a reset, ``E[sum M | past] <= sum M_before + sum w``. A page needs ``sum M >= 1`` and resets
it to 0 while the number of pages ``N`` grows by one. So ``sum M + N - (all w so far)`` is a supermartingale
that starts at 0, and ``E[N] <= all w so far``, whatever the dependence between streams or windows. (The
Shiryaev-Roberts e-detector of Shin, Ramdas, Rinaldo 2023 with ``w = 1/c``, adapted to a daemon: budget in
wall-clock time, restarts, missing windows.)

Open incidents. Streams of columns that an incident names go on, around where the page found them
(``incidents/recentre.py``). Their sum is another one than that of all other streams; each is reset when it
reaches 1, and a page resets the one that it comes from. Both are within the same weights, so ``sum M + N`` is
the supermartingale it was. What woke nobody (an update) only takes evidence away.

Two null hypotheses. *Tolerance*, for shares of rows: the window's share is within ``tolerance`` of the
reference's (``e_values.py``; all shares of a column at once, ``cdf_bets.py``). *Baseline*, for scores: the
window is as predicted from the healthy windows before it (``score_model.py``, ``prediction.py``). Production
windows are learned ``PENDING_WINDOWS`` windows later, by rule, and those of a suspected stream later still,
so that a shift cannot enter the baseline while its evidence grows. Two scores combine the others: many
columns that moved a little on one day (``combined_score.py``), or in one direction (``common_shift.py``).

Outside the proof, and measured instead (``make bench-alarms``): shares whose rows are more dependent than the
measured design effect, scores that are not distributed as predicted, and seasons without a slot.
"""
