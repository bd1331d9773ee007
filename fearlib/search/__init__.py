"""Search. In: how to evaluate an architecture, live or replayed, and an order. Out: the best found, its cost.

Imports ranking and the rooms below it.
"""
