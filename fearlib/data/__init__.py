"""Datasets. In: a name and a folder. Out: a `Dataset`, whole and in memory. Imports randomness,
files, plugin and spaces."""
