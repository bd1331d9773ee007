"""Ranking. In: rows and learning curves. Out: statistics with their intervals, and tables.

Imports sweeps and the rooms below it.
"""
