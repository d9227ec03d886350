"""GPT-2 training in PyTorch the way nanoGPT does it: SDPA, fused AdamW, clipping at one, with and without compile.

The weights come from the checkpoint that our side writes, in Hugging Face's names and layout.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file


class Gpt2(torch.nn.Module):
    def __init__(self, sizes, weights):
        super().__init__()
        self.layers, self.heads = sizes["layers"], sizes["heads"]
        self.width = sizes["width"]
        # Hugging Face's Conv1D has inputs first; as nanoGPT, linear layers here have outputs first
        for name, value in weights.items():
            is_conv1d = value.ndim == 2 and "wte" not in name and "wpe" not in name
            value = value.T.contiguous() if is_conv1d else value.clone()
            self.register_parameter(name.replace(".", "_"), torch.nn.Parameter(value))

    def p(self, name):
        return getattr(self, "transformer_" + name.replace(".", "_"))

    def norm(self, x, name):
        return F.layer_norm(x, (self.width,), self.p(f"{name}.weight"), self.p(f"{name}.bias"), 1e-5)

    def linear(self, x, name):
        return F.linear(x, self.p(f"{name}.weight"), self.p(f"{name}.bias"))

    def forward(self, ids, targets):
        batch, context = ids.shape
        x = F.embedding(ids, self.p("wte.weight")) + self.p("wpe.weight")[:context]
        for layer in range(self.layers):
            h = f"h.{layer}"
            qkv = self.linear(self.norm(x, f"{h}.ln_1"), f"{h}.attn.c_attn")
            q, k, v = (
                t.view(batch, context, self.heads, -1).transpose(1, 2) for t in qkv.split(self.width, dim=2)
            )
            z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            z = z.transpose(1, 2).reshape(batch, context, self.width)
            x = x + self.linear(z, f"{h}.attn.c_proj")
            m = F.gelu(self.linear(self.norm(x, f"{h}.ln_2"), f"{h}.mlp.c_fc"), approximate="tanh")
            x = x + self.linear(m, f"{h}.mlp.c_proj")
        logits = F.linear(self.norm(x, "ln_f"), self.p("wte.weight"))
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.reshape(-1))


def load(variant):
    return f"PyTorch {torch.__version__}"


def prepare(variant, sizes, folder):
    weights = load_file(f"{folder}/model/model.safetensors")
    model = Gpt2(sizes, weights)
    del weights
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=1e-3, betas=(0.9, 0.95), eps=1e-8, fused=True,
    )
    loss_of = torch.compile(model) if variant == "compiled" else model
    context = sizes["context"]
    ids = np.fromfile(f"{folder}/ids.i32", dtype=np.int32).reshape(-1, sizes["batch"], context + 1)
    ids = torch.from_numpy(ids.astype(np.int64))
    taken = 0

    def run(count):
        nonlocal taken
        losses = []
        for _ in range(count):
            batch = ids[taken % len(ids)]
            loss = loss_of(batch[:, :-1], batch[:, 1:])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
            taken += 1
        assert math.isfinite(losses[-1])
        return {"losses": losses}

    return run
