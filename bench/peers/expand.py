"""HyperCloning (Samragh et al. 2024, arXiv 2409.12903) of a GPT-2, from the paper's equations, without noise or with
its noise: normal numbers, added to one copy of a matrix's inputs and taken from the other.

A matrix that reads n copies becomes W tiled n × n and divided by n, one that only writes them is tiled along its
outputs, norms and biases are repeated; heads are copied whole. The final norm is divided by n, which does for
tied embeddings what the paper's 1/n on the unembedding does.

`hypercloning` makes only the tensors. `hypercloning-model` does what the authors' package does for its users: it builds
the child from its configuration, which draws random weights for it, and then puts the cloned ones in their place.
"""

import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file


def add_noise(name, value, n):
    """0 dB: as strong as the weights it falls on. Between the first two copies of the inputs, as is the package's way."""
    if value.ndim != 2 or "wte" in name or "wpe" in name:
        return value
    half = value.shape[0] // n
    noise = torch.randn(half, value.shape[1]) * value.square().mean().sqrt()
    value[:half] += noise
    value[half : 2 * half] -= noise
    return value


def clone(name, value, n):
    if "wte" in name or "wpe" in name:
        return value.repeat(1, n)
    if "ln_f" in name:
        return value.repeat(n) / n
    if "c_attn" in name:
        # [q | k | v] are tiled apart, so that head j copies head j mod the parent's heads
        width = value.shape[-1] // 3
        tiled = [part.repeat(*([n] * part.ndim)) for part in value.split(width, dim=-1)]
        whole = torch.cat(tiled, dim=-1)
        return whole.div_(n) if value.ndim == 2 else whole
    if value.ndim == 2:
        return value.repeat(n, n).div_(n)
    return value.repeat(n)


def model_builder(folder, n):
    """A function that builds the child, n times as wide, as transformers does from a configuration."""
    from transformers import GPT2Config, GPT2LMHeadModel

    with open(f"{folder}/model/config.json") as file:
        fields = json.load(file)
    for name in ("n_embd", "n_head", "n_inner"):
        fields[name] *= n
    config = GPT2Config.from_dict(fields)

    def build():
        with torch.inference_mode(False):
            return GPT2LMHeadModel(config)

    return build


def load(variant):
    return f"PyTorch {torch.__version__}"


def prepare(variant, sizes, folder):
    parent = load_file(f"{folder}/model/model.safetensors")
    n = sizes["factor"]

    @torch.inference_mode()
    def from_files(count):
        out = f"{folder}/peer"
        for _ in range(count):
            shutil.rmtree(out, ignore_errors=True)
            os.mkdir(out)
            values = load_file(f"{folder}/model/model.safetensors")
            child = {name: clone(name, value, n) for name, value in values.items()}
            save_file(child, f"{out}/model.safetensors", {"format": "pt"})
            with open(f"{out}/model.safetensors", "rb") as file:
                os.fsync(file.fileno())
        return {}

    build = model_builder(folder, n) if variant == "hypercloning-model" else None

    def whole_models(count):
        from transformers import GPT2LMHeadModel

        out = f"{folder}/peer"
        for _ in range(count):
            shutil.rmtree(out, ignore_errors=True)
            values = dict(GPT2LMHeadModel.from_pretrained(f"{folder}/model").named_parameters())
            model = build()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    parameter.data = clone(name, values[name].data, n)
            model.save_pretrained(out)
            with open(f"{out}/model.safetensors", "rb") as file:
                os.fsync(file.fileno())
        return {}

    if sizes["files"] == 1:
        return whole_models if build else from_files

    @torch.inference_mode()
    def run(count):
        for _ in range(count):
            model = build() if build else None
            child = {name: clone(name, value, n) for name, value in parent.items()}
            if model is not None:
                for name, parameter in model.named_parameters():
                    parameter.data = child[name]
            if sizes["noise"] == 1:
                child = {name: add_noise(name, value, n) for name, value in child.items()}
            # the sums of two tensors say whether both sides made the same child
            wte = next(value for name, value in child.items() if name.endswith("wte.weight"))
            fc = next(value for name, value in child.items() if name.endswith("h.0.mlp.c_fc.weight"))
        digest = [wte.abs().sum(dtype=torch.float64).item(), fc.abs().sum(dtype=torch.float64).item()]
        return {"losses": digest}

    return run
