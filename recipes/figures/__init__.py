"""The figures gentwin is measured by, one module each; `recipes/benchmark.py` runs them."""
