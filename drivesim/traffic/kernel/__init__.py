"""The fused numba kernel of a step: scalar functions over records, one after the other. `dense` is its torch form."""
