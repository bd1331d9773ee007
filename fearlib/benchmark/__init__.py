"""Benchmarks. In: their official files. Out: test accuracies, and when networks reached a training accuracy.

Imports sweeps and the rooms below it.
"""
