"""Sweeps. In: methods, architectures, seeds. Out: a results folder, resumed at will, and its rows and curves.

Imports scores and the rooms below it.
"""
