"""Ranking. In: rows and learning curves. Out: statistics with their intervals, tables, figures.

Imports sweeps and the rooms below it.
"""
