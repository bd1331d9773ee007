"""Benchmarks. In: their official files. Out: test accuracies, and when networks reached a training accuracy.

Imports ranking and the rooms below it.
"""
