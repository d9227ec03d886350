"""Trained quality of the other libraries' SAEs, and the measure by which all are compared.

Each library trains with its own code on the batches that ours takes, and what it would save is read back as plain
arrays. The measure is the same for all, in f64 over held-out rows: FVU and L0 as saved, and FVU at an L0 of k, where
thresholds are multiplied by one factor for that (a TopK's k is exact). A request's variant is a JSON document.
"""

import importlib
import json
import os
import sys
import tempfile
import types
from importlib.metadata import version

import numpy as np
import torch

PACKAGES = {"saelens": "sae-lens", "sparsify": "eai-sparsify", "dictionary_learning": "dictionary-learning"}


class Batches:
    """The training rows in batches, from a place that the seed names; each one a copy (a library may scale in place)."""

    def __init__(self, folder, d_in, batch, seed):
        self.rows = torch.from_numpy(np.fromfile(f"{folder}/rows.f32", dtype=np.float32).reshape(-1, d_in))
        self.batch, self.first = batch, seed * 200_000

    def __getitem__(self, step):
        n = len(self.rows)
        at = (self.first + step * self.batch) % n
        part = self.rows[at : at + self.batch]
        rest = self.batch - len(part)
        return torch.cat([part, self.rows[:rest]]) if rest else part.clone()

    def __iter__(self):
        step = 0
        while True:
            yield self[step]
            step += 1


def saelens(s, data):
    """Its trainer from first step to last, and what save_inference_model writes."""
    from safetensors.torch import load_file
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.saes.gated_sae import GatedTrainingSAE, GatedTrainingSAEConfig
    from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig
    from sae_lens.saes.matryoshka_batchtopk_sae import (
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
    )
    from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer

    kinds = {
        "topk": (TopKTrainingSAE, TopKTrainingSAEConfig),
        "batchtopk": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig),
        "matryoshka_batchtopk": (MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig),
        "jumprelu": (JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig),
        "standard": (StandardTrainingSAE, StandardTrainingSAEConfig),
        "gated": (GatedTrainingSAE, GatedTrainingSAEConfig),
    }
    make, config = kinds[s["architecture"]]
    sae = make(config(d_in=s["d_in"], d_sae=s["d_sae"], device="cpu", **s.get("sae", {})))
    options = {"lr": 3e-4, **s.get("trainer", {})}
    options["lr_end"] = options["lr"] / 10  # as its runner sets it; for schedules that aren't used here
    cfg = SAETrainerConfig(
        total_training_samples=s["steps"] * s["batch"],
        train_batch_size_samples=s["batch"],
        n_batches_for_norm_estimate=20,
        logger=LoggingConfig(log_to_wandb=False),
        **options,
    )
    estimating = sae.cfg.normalize_activations == "expected_average_only_in"

    def stream():
        # the batches that its estimate of the norm takes come again, so that all libraries train on the same ones
        if estimating:
            for step in range(cfg.n_batches_for_norm_estimate):
                yield data[step]
        yield from data

    SAETrainer(cfg=cfg, sae=sae, data_provider=stream()).fit()
    with tempfile.TemporaryDirectory() as folder:
        sae.save_inference_model(folder)
        with open(f"{folder}/cfg.json") as file:
            saved = json.load(file)
        arrays = {name: a.double().numpy() for name, a in load_file(f"{folder}/sae_weights.safetensors").items()}
    if saved["normalize_activations"] != "none":
        raise ValueError("saved with an activation norm that isn't folded")
    return {**arrays, "centred": saved["apply_b_dec_to_input"], "k": saved.get("k")}


def sparsify(s, data):
    """The order of its Trainer.fit, which takes a Hugging Face model instead of activations."""
    from schedulefree import ScheduleFreeWrapper
    from sparsify.config import SparseCoderConfig
    from sparsify.sign_sgd import SignSGD
    from sparsify.sparse_coder import SparseCoder
    from transformers import get_linear_schedule_with_warmup

    t = {"optimizer": "signum", "auxk_alpha": 0.0, "dead": 10_000_000, "warmup": 1000, "lr": None, **s.get("trainer", {})}
    sae = SparseCoder(s["d_in"], SparseCoderConfig(num_latents=s["d_sae"], k=s["k"]), dtype=torch.float32)
    by_width = (s["d_sae"] / 2**14) ** 0.5
    scheduler = None
    if t["optimizer"] == "adam":
        optimizer = torch.optim.Adam(sae.parameters(), lr=t["lr"] or 2e-4 / by_width)
        scheduler = get_linear_schedule_with_warmup(optimizer, t["warmup"], s["steps"])
    else:
        optimizer = ScheduleFreeWrapper(SignSGD(sae.parameters(), lr=t["lr"] or 5e-3 / by_width), momentum=0.95)
        optimizer.train()
    since = torch.zeros(s["d_sae"], dtype=torch.long)
    for step in range(s["steps"]):
        x = data[step]
        if step == 0:
            sae.b_dec.data = x.mean(0)
        sae.set_decoder_norm_to_unit_norm()
        out = sae(x, dead_mask=since > t["dead"] if t["auxk_alpha"] > 0 else None)
        (out.fvu + t["auxk_alpha"] * out.auxk_loss).backward()
        sae.remove_gradient_parallel_to_decoder_directions()
        optimizer.step()
        optimizer.zero_grad()
        if scheduler:
            scheduler.step()
        since += len(x)
        since[out.latent_indices.flatten()] = 0
    if scheduler is None:
        optimizer.eval()  # as its save() does
    sae.set_decoder_norm_to_unit_norm()
    return {
        "W_enc": sae.encoder.weight.detach().double().numpy().T,
        "b_enc": sae.encoder.bias.detach().double().numpy(),
        "W_dec": sae.W_dec.detach().double().numpy(),
        "b_dec": sae.b_dec.detach().double().numpy(),
        "centred": True,
        "k": s["k"],
    }


def dictionary_learning(s, data):
    """Its trainSAE on normalised activations, as its README and demo have it, and the ae.pt that it writes."""
    from dictionary_learning.trainers import BatchTopKTrainer, JumpReluTrainer, TopKTrainer
    from dictionary_learning.training import trainSAE

    kind = {"topk": TopKTrainer, "batchtopk": BatchTopKTrainer, "jumprelu": JumpReluTrainer}[s["architecture"]]
    options = dict(s.get("trainer", {}))
    dead = options.pop("dead", None)

    class Trainer(kind):
        def __init__(self, **given):
            super().__init__(**given)
            if dead is not None:
                self.dead_feature_threshold = dead

    options |= {"target_l0": s["k"]} if s["architecture"] == "jumprelu" else {"k": s["k"]}
    config = {
        "trainer": Trainer, "steps": s["steps"], "activation_dim": s["d_in"], "dict_size": s["d_sae"],
        "layer": 0, "lm_name": "none", "seed": s["seed"], "device": "cpu", **options,
    }
    with tempfile.TemporaryDirectory() as folder:
        trainSAE(data, [config], s["steps"], save_dir=folder, normalize_activations=True, device="cpu")
        saved = torch.load(os.path.join(folder, "trainer_0", "ae.pt"), weights_only=True)
    arrays = {name: a.double().numpy() for name, a in saved.items()}
    if s["architecture"] == "jumprelu":
        return {**arrays, "centred": False, "k": None}
    threshold = None
    if s["architecture"] == "batchtopk":
        # without a threshold every positive activation counts
        threshold = np.full(s["d_sae"], max(0.0, float(arrays["threshold"])))
    return {
        "W_enc": arrays["encoder.weight"].T, "b_enc": arrays["encoder.bias"], "W_dec": arrays["decoder.weight"].T,
        "b_dec": arrays["b_dec"], "threshold": threshold, "centred": True,
        "k": s["k"] if s["architecture"] == "topk" else None,
    }


def ours(s):
    """The files that sae-carry wrote for SAELens."""
    from safetensors.numpy import load_file

    with open(f"{s['saved']}/cfg.json") as file:
        cfg = json.load(file)
    arrays = {name: a.astype(np.float64) for name, a in load_file(f"{s['saved']}/sae_weights.safetensors").items()}
    return {**arrays, "centred": cfg["apply_b_dec_to_input"], "k": cfg.get("k")}


def values(sae, x):
    """What each latent would be were it selected, and by what its selection goes: both [n, d_sae]."""
    x = x - sae["b_dec"] if sae["centred"] else x
    pre = x @ sae["W_enc"]
    if "r_mag" in sae:
        return np.maximum(0, pre * np.exp(sae["r_mag"]) + sae["b_mag"]), pre + sae["b_gate"]
    pre += sae["b_enc"]
    return np.maximum(0, pre), pre


def encode(sae, x, factor=1.0):
    """Codes [n, d_sae]; thresholds times `factor`."""
    value, by = values(sae, x)
    if sae.get("k") is not None:
        cut = -np.partition(-by, sae["k"] - 1, axis=1)[:, sae["k"] - 1, None]
        return np.where(by >= cut, value, 0)
    threshold = sae.get("threshold")
    return np.where(by > (0 if threshold is None else threshold * factor), value, 0)


def measure(sae, held, factor=1.0):
    """FVU, mean L0 and the number of latents that never fire."""
    error, fired = 0.0, np.zeros(sae["W_dec"].shape[0])
    for at in range(0, len(held), 4096):
        x = held[at : at + 4096]
        codes = encode(sae, x, factor)
        fired += (codes > 0).sum(0)
        error += ((x - codes @ sae["W_dec"] - sae["b_dec"]) ** 2).sum()
    variance = ((held - held.mean(0)) ** 2).sum()
    return {"fvu": error / variance, "l0": fired.sum() / len(held), "dead": float((fired == 0).mean())}


def matched(sae, held, k, fvu):
    """The FVU where one factor on all thresholds makes L0 k, `fvu` for a TopK; null where no factor in [1/4, 4] does."""
    if sae.get("k") is not None:
        return {"factor": 1.0, "fvu_at_k": fvu}
    threshold = sae.get("threshold")
    if threshold is None or not (threshold > 0).any():
        return {"factor": None, "fvu_at_k": None}
    sample = held[:4096]
    value, by = values(sae, sample)
    low, high = 0.25, 4.0
    l0 = lambda factor: ((by > threshold * factor) & (value > 0)).sum() / len(sample)
    if not l0(low) >= k >= l0(high):
        return {"factor": None, "fvu_at_k": None}
    for _ in range(20):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if l0(middle) > k else (low, middle)
    # the sample brackets it; the whole set, on a line in log factor, decides
    ends = [(f, measure(sae, held, f)) for f in (low / 1.03, low * 1.03)]
    (a, more), (b, less) = ends
    share = (more["l0"] - k) / (more["l0"] - less["l0"])
    factor = a * (b / a) ** share
    return {"factor": factor, "fvu_at_k": more["fvu"] + share * (less["fvu"] - more["fvu"])}


def found(sae, held, folder):
    """How well known features are found, by SAELens's own measures: MCC and the latents' mean F1 as classifiers."""
    from sae_lens.synthetic.evals import compute_classification_metrics, mean_correlation_coefficient

    d_in = held.shape[1]
    read = lambda name, width: torch.from_numpy(np.fromfile(f"{folder}/{name}.f32", dtype=np.float32).reshape(-1, width))
    directions = read("directions", d_in)
    magnitudes = read("magnitudes", len(directions))
    decoder = torch.from_numpy(np.ascontiguousarray(sae["W_dec"])).float()
    codes = torch.from_numpy(encode(sae, held)).float()
    f1 = compute_classification_metrics(codes, magnitudes, decoder, directions).f1_score
    return {"mcc": mean_correlation_coefficient(decoder, directions), "f1": f1}


def load(_variant):
    """Imports what every library needs and tells their versions."""
    # dictionary_learning imports nnsight to read language models, which its trainers never touch
    sys.modules["nnsight"] = types.SimpleNamespace(LanguageModel=None)
    for module in ("sae_lens.training.sae_trainer", "sparsify.sparse_coder", "dictionary_learning.trainers"):
        importlib.import_module(module)
    return ", ".join(f"{package} {version(package)}" for package in PACKAGES.values())


def prepare(variant, sizes, folder):
    s = {**sizes, **json.loads(variant)}
    held = np.fromfile(f"{folder}/held.f32", dtype=np.float32).reshape(-1, s["d_in"]).astype(np.float64)

    def run(_count):
        torch.manual_seed(s["seed"])
        if s["library"] == "ours":
            sae = ours(s)
        else:
            data = Batches(folder, s["d_in"], s["batch"], s["seed"])
            sae = {"saelens": saelens, "sparsify": sparsify, "dictionary_learning": dictionary_learning}[s["library"]](s, data)
        figures = measure(sae, held)
        if s.get("features"):
            return {**figures, **found(sae, held, folder)}
        return {**figures, **matched(sae, held, s["k"], figures["fvu"])}

    return run
