"""Search spaces. In: an index, a string or a file that names architectures. Out: architectures, their drawings and
networks. Imports plugin.
"""
