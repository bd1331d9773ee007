"""Ranking. In: rows and learning curves. Out: statistics with their intervals, and tables.

Imports benchmark and the rooms below it.
"""
