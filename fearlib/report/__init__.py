"""The report. In: `results/` alone. Out: one page, a single file that needs no network; verdicts; costs.

Imports exhibits and the rooms below it.
"""
