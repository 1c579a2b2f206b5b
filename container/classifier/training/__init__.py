"""The program `train`."""
