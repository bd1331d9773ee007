"""Training. In: a network and a dataset. Out: a learning curve, one record an epoch. Imports randomness,
spaces and data."""
