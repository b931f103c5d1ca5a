"""E-values: the evidence in one window's shares and scores against their null hypotheses.

Names of array axes: ``label`` (one share of a stream), ``edge`` and ``cell`` (of an ordered stream), ``side``
(0 tests for more, 1 for less), ``alternative`` (of a share), ``calibrator`` (of a score).
"""
