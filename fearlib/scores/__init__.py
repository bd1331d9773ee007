"""Scores. In: a network, and a dataset or a minibatch. Out: FEAR, short training, zero-cost measures; their cost.

Imports training and the rooms below it.
"""
