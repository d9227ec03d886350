"""SAE training steps: PyTorch by hand in several ways, SAELens, sparsify, dictionary_learning, and the floor.

All start from the same weights and see the same rows. The steps written here do what sae-carry's does: mean over
rows of the squared error summed over columns, the gradient's part along each decoder row taken out, Adam, rows
set to norm one again. The libraries take their own step, with their own optimizer and loss.
"""

import importlib
import sys
import types
from importlib.metadata import version

import numpy as np
import torch
import torch.nn.functional as F

LR, BETAS = 1e-3, (0.9, 0.999)
BATCHES = 4


def read(folder, name, *shape):
    return torch.from_numpy(np.fromfile(f"{folder}/{name}.f32", dtype=np.float32).reshape(shape))


class Start:
    """Rows [batches, n, d_in] and the weights to start from, latents first: [d_sae, d_in]."""

    def __init__(self, sizes, folder):
        self.d_in, self.d_sae, self.k = sizes["d_in"], sizes["d_sae"], sizes["k"]
        self.n = sizes["batch"]
        self.rows = read(folder, "rows", BATCHES, self.n, self.d_in)
        self.W_enc = read(folder, "W_enc", self.d_in, self.d_sae).T.contiguous()
        self.b_enc = read(folder, "b_enc", self.d_sae)
        self.W_dec = read(folder, "W_dec", self.d_sae, self.d_in)
        self.b_dec = read(folder, "b_dec", self.d_in)


def steps(start, one):
    """Runs `one(rows)` over the batches by turns and tells its losses."""
    taken = 0

    def run(count):
        nonlocal taken
        losses = []
        for _ in range(count):
            losses.append(float(one(start.rows[taken % BATCHES])))
            taken += 1
        return {"losses": losses}

    return run


class Adam:
    """PyTorch's fused Adam, the decoder's gradient projected before it and its rows normalised after it."""

    def __init__(self, parameters, W_dec):
        self.W_dec = W_dec
        self.optimizer = torch.optim.Adam(parameters, lr=LR, betas=BETAS, fused=True)

    @torch.no_grad()
    def step(self):
        W, G = self.W_dec, self.W_dec.grad
        G.addcmul_((G * W).sum(-1, keepdim=True), W, value=-1)
        self.optimizer.step()
        self.optimizer.zero_grad()
        W.div_(W.norm(dim=-1, keepdim=True))


def dense(start, batch_wide, compiled):
    """Autograd over dense codes, as most code has it."""
    W_enc, b_enc, W_dec, b_dec = (
        torch.nn.Parameter(t.clone()) for t in (start.W_enc, start.b_enc, start.W_dec, start.b_dec)
    )
    k = start.k
    adam = Adam([W_enc, b_enc, W_dec, b_dec], W_dec)

    def loss_of(x):
        pre = F.linear(x - b_dec, W_enc, b_enc)
        chosen = pre.flatten().topk(k * len(x), sorted=False) if batch_wide else pre.topk(k, sorted=False)
        codes = torch.zeros_like(pre)
        if batch_wide:
            codes = codes.flatten().scatter(0, chosen.indices, chosen.values.relu()).view_as(pre)
        else:
            codes = codes.scatter(-1, chosen.indices, chosen.values.relu())
        return (x - (codes @ W_dec + b_dec)).pow(2).sum(-1).mean()

    if compiled:
        loss_of = torch.compile(loss_of)

    def one(x):
        loss = loss_of(x)
        loss.backward()
        adam.step()
        return loss.detach()

    return steps(start, one)


def bags(start, batch_wide):
    """A decoder by embedding_bag under autograd; the encoder's gradient stays a dense product."""
    W_enc, b_enc, W_dec, b_dec = (
        torch.nn.Parameter(t.clone()) for t in (start.W_enc, start.b_enc, start.W_dec, start.b_dec)
    )
    adam = Adam([W_enc, b_enc, W_dec, b_dec], W_dec)

    def one(x):
        pre = F.linear(x - b_dec, W_enc, b_enc)
        latent, value, offsets = choose(pre, start.k, batch_wide)
        out = F.embedding_bag(latent, W_dec, offsets, mode="sum", per_sample_weights=value) + b_dec
        loss = (x - out).pow(2).sum(-1).mean()
        loss.backward()
        adam.step()
        return loss.detach()

    return steps(start, one)


def choose(pre, k, batch_wide):
    """The selected latents and their values, row after row, and where each row begins."""
    n, d_sae = pre.shape
    if batch_wide:
        at = pre.detach().flatten().topk(k * n, sorted=False).indices.sort().values
        counts = torch.bincount(at // d_sae, minlength=n)
        value = pre.flatten()[at].relu()
        return at % d_sae, value, counts.cumsum(0) - counts
    value, latent = pre.topk(k, sorted=False)
    return latent.flatten(), value.relu().flatten(), torch.arange(0, n * k, k)


def sparse(start, batch_wide):
    """No dense product but the encoder's: every gradient is a sum over bags, once sorted by latent."""
    W_enc, b_enc, W_dec, b_dec = (
        torch.nn.Parameter(t.clone()) for t in (start.W_enc, start.b_enc, start.W_dec, start.b_dec)
    )
    adam = Adam([W_enc, b_enc, W_dec, b_dec], W_dec)
    n, d_sae = start.n, start.d_sae

    def one(x):
        with torch.no_grad():
            centred = x - b_dec
            latent, value, offsets = choose(F.linear(centred, W_enc, b_enc), start.k, batch_wide)
        value.requires_grad_()
        out = F.embedding_bag(latent, W_dec.detach(), offsets, mode="sum", per_sample_weights=value)
        with torch.no_grad():
            error = out.detach() + b_dec - x
            loss = error.pow(2).sum() / n
            error *= 2 / n
        out.backward(error)
        with torch.no_grad():
            slope = value.grad * (value > 0)
            order = latent.argsort()
            counts = torch.bincount(latent, minlength=d_sae)
            row = torch.repeat_interleave(torch.arange(n), torch.diff(offsets, append=torch.tensor([len(latent)])))
            row, begin = row[order], counts.cumsum(0) - counts
            W_dec.grad = F.embedding_bag(row, error, begin, mode="sum", per_sample_weights=value.detach()[order])
            W_enc.grad = F.embedding_bag(row, centred, begin, mode="sum", per_sample_weights=slope[order])
            b_enc.grad = torch.zeros(d_sae).index_add_(0, latent, slope)
            b_dec.grad = error.sum(0) - b_enc.grad @ W_enc
        adam.step()
        return loss

    return steps(start, one)


def saelens(start, batch_wide):
    # its use_sparse_activations has no backward pass on the CPU in this PyTorch (NotImplementedError: aten::view)
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer

    shape = dict(d_in=start.d_in, d_sae=start.d_sae, device="cpu")
    if batch_wide:
        sae = BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(k=float(start.k), **shape))
    else:
        sae = TopKTrainingSAE(TopKTrainingSAEConfig(k=start.k, **shape))
    sae.W_enc.data = start.W_enc.T.contiguous()
    sae.W_dec.data = start.W_dec.clone()
    sae.b_enc.data = start.b_enc.clone()
    sae.b_dec.data = start.b_dec.clone()
    cfg = SAETrainerConfig(total_training_samples=1_000_000_000, train_batch_size_samples=start.n, lr=LR, lr_end=LR)
    trainer = SAETrainer(cfg=cfg, sae=sae, data_provider=iter(()))

    def one(x):
        out = trainer.step(x)
        trainer.n_training_steps += 1
        return out.loss.detach()

    return steps(start, one)


def sparsify(start):
    from sparsify.config import SparseCoderConfig
    from sparsify.sparse_coder import SparseCoder

    sae = SparseCoder(start.d_in, SparseCoderConfig(num_latents=start.d_sae, k=start.k))
    sae.encoder.weight.data = start.W_enc.clone()
    sae.encoder.bias.data = start.b_enc.clone()
    sae.W_dec.data = start.W_dec.clone()
    sae.b_dec.data = start.b_dec.clone()
    optimizer = torch.optim.Adam(sae.parameters(), lr=LR)  # its optimizer="adam"

    def one(x):
        # the order of its Trainer.fit
        sae.set_decoder_norm_to_unit_norm()
        out = sae(x)
        out.fvu.backward()
        sae.remove_gradient_parallel_to_decoder_directions()
        optimizer.step()
        optimizer.zero_grad()
        return out.fvu.detach() * (x - x.mean(0)).pow(2).sum() / len(x)

    return steps(start, one)


def dictionary_learning(start, batch_wide):
    from dictionary_learning.trainers import BatchTopKTrainer, TopKTrainer

    kind = BatchTopKTrainer if batch_wide else TopKTrainer
    trainer = kind(
        steps=1_000_000, activation_dim=start.d_in, dict_size=start.d_sae, k=start.k, layer=0, lm_name="none",
        lr=LR, warmup_steps=0, device="cpu",
    )
    trainer.ae.encoder.weight.data = start.W_enc.clone()
    trainer.ae.encoder.bias.data = start.b_enc.clone()
    trainer.ae.decoder.weight.data = start.W_dec.T.contiguous()
    trainer.ae.b_dec.data = start.b_dec.clone()
    taken = 1  # step 0 would set b_dec to the geometric median

    def one(x):
        nonlocal taken
        taken += 1
        return trainer.update(taken, x)

    return steps(start, one)


def floor(start):
    """What no exact step in f32 does without: the encoder's product, by the faster of MKL and OpenBLAS, and Adam."""
    from time import perf_counter

    parameters = [torch.nn.Parameter(t.clone()) for t in (start.W_enc, start.W_dec)]
    for p in parameters:
        p.grad = torch.randn_like(p)
    optimizer = torch.optim.Adam(parameters, lr=LR, betas=BETAS, fused=True)
    x, W = start.rows[0], start.W_enc.T.contiguous()
    out = torch.empty(start.n, start.d_sae)
    views = (x.numpy(), W.numpy(), out.numpy())
    products = [lambda: torch.mm(x, W, out=out), lambda: np.dot(*views[:2], out=views[2])]

    def seconds(product):
        product()
        begin = perf_counter()
        product()
        return perf_counter() - begin

    product = min(products, key=seconds)

    def run(count):
        for _ in range(count):
            product()
            optimizer.step()

    return run


def load(variant):
    """Imports the library and tells its version."""
    name, module = {
        "saelens": ("sae-lens", "sae_lens.training.sae_trainer"),
        "sparsify": ("eai-sparsify", "sparsify.sparse_coder"),
        "dictionary_learning": ("dictionary-learning", "dictionary_learning.trainers"),
    }.get(variant, ("torch", "torch"))
    if variant == "dictionary_learning":
        # it imports nnsight to read language models, which its trainers never touch
        sys.modules["nnsight"] = types.SimpleNamespace(LanguageModel=None)
    importlib.import_module(module)
    return f"{name} {version(name)}"


def prepare(variant, sizes, folder):
    start = Start(sizes, folder)
    batch_wide = sizes.get("batch_wide", 0) == 1
    if variant == "saelens":
        return saelens(start, batch_wide)
    if variant == "sparsify":
        return sparsify(start)
    if variant == "dictionary_learning":
        return dictionary_learning(start, batch_wide)
    by_hand = {
        "dense": lambda: dense(start, batch_wide, False),
        "compiled": lambda: dense(start, batch_wide, True),
        "embedding_bag": lambda: bags(start, batch_wide),
        "sparse": lambda: sparse(start, batch_wide),
        "floor": lambda: floor(start),
    }
    return by_hand[variant]()
