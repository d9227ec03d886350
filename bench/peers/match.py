"""The m largest cosines of each row of one dictionary over the rows of another: a block's product, then topk."""

import numpy as np
import torch
import torch.nn.functional as F

ROWS = 1024  # a block of 1024 × 16384 cosines is 67 MB


def load(variant):
    return f"PyTorch {torch.__version__}"


def prepare(variant, sizes, folder):
    n, d, m = sizes["latents"], sizes["d"], sizes["m"]
    a, b = (
        torch.from_numpy(np.fromfile(f"{folder}/{name}.f32", dtype=np.float32).reshape(n, d)) for name in "ab"
    )

    @torch.inference_mode()
    def run(count):
        for _ in range(count):
            u, v = F.normalize(a), F.normalize(b)
            found = [(u[at : at + ROWS] @ v.T).topk(m) for at in range(0, n, ROWS)]
            values = torch.cat([block.values for block in found])
            indices = torch.cat([block.indices for block in found])
        return {"losses": [values.double().sum().item() / n, indices.double().mean().item()]}

    return run
