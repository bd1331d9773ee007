"""The funnel of sweeps. In: names of scores, and architectures. Out: the best of these, and what it cost.

Imports ranking and the rooms below it.
"""
