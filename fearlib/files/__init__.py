"""Files. In: a path that a user gives. Out: bytes, tables, JSON or pickles, as data; files written whole.

Imports errors alone.
"""
