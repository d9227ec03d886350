"""One product of the encoder's size, into memory that is there: PyTorch (MKL) and numpy (OpenBLAS)."""

import numpy as np
import torch


def load(variant):
    return f"PyTorch {torch.__version__}" if variant == "torch" else f"numpy {np.__version__}"


def prepare(variant, sizes, folder):
    n, k, m = sizes["rows"], sizes["inner"], sizes["columns"]
    a, b, out = torch.randn(n, k), torch.randn(k, m), torch.empty(n, m)
    if variant == "torch":

        def product():
            torch.mm(a, b, out=out)

    else:
        x, y, z = a.numpy(), b.numpy(), out.numpy()

        def product():
            np.dot(x, y, out=z)


    def run(count):
        for _ in range(count):
            product()

    return run
