#!/usr/bin/env python3
"""Takes the backend and the padding that an sdpa-table names, and times them beside AUTO.

    night-sweep export target-reports/S1/<run id> --format sdpa-table --out table.json
    python3 docs/examples/sdpa_table.py table.json --head-dim 107

Needs PyTorch and the GPU of the table. Q, K and V are kept padded, as the table means it: a model
pads its weights once. The exit code is 1 where the results differ.
"""

import argparse
import contextlib
import json
import statistics
import sys

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

LAUNCHES = 10  # of a graph
REPLAYS = 100
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}
TOLERANCES = {"fp16": 2e-3, "bf16": 2e-2}


def entry_of(table, head_dim, batch, seq_len, causal):
    """The first entry of this attention."""
    wanted = {"head_dim": head_dim, "batch": batch, "seq_len": seq_len, "causal": causal}
    for entry in table["entries"]:
        if all(value is None or entry[key] == value for key, value in wanted.items()):
            return entry
    sys.exit(f"the table has no entry of {wanted}")


def attend(entry, pad_to=None, sdp_backend=None):
    """The attention as a function of nothing; its result has no padding."""
    head_dim = entry["head_dim"]
    generator = torch.Generator("cuda").manual_seed(42)

    def operand(heads, rows):
        shape = (entry["batch"], heads, rows, head_dim)
        values = torch.randn(shape, generator=generator, device="cuda", dtype=torch.float32)
        return F.pad(values.to(DTYPES[entry["dtype"]]), (0, (pad_to or head_dim) - head_dim))

    q = operand(entry["n_heads"], entry["seq_len"])
    k, v = (operand(entry["n_kv_heads"], entry["kv_len"]) for _ in range(2))
    # By itself PyTorch would take the padded head_dim for the scale.
    options = {
        "scale": head_dim**-0.5,
        "is_causal": entry["causal"],
        "enable_gqa": entry["n_heads"] != entry["n_kv_heads"],
    }

    def call():
        only = contextlib.nullcontext()
        if sdp_backend:
            only = sdpa_kernel(getattr(SDPBackend, sdp_backend))
        with only:
            return F.scaled_dot_product_attention(q, k, v, **options)[..., :head_dim]

    return call


def graph_of(call):
    """A CUDA graph of some launches."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(LAUNCHES):
            call()
    return graph


def replay_ms(graph):
    """Milliseconds per launch."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    graph.replay()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / LAUNCHES


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table")
    parser.add_argument("--head-dim", type=int, default=107)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--seq-len", type=int)
    parser.add_argument("--causal", action="store_true")
    arguments = parser.parse_args()
    with open(arguments.table, encoding="utf-8") as file:
        table = json.load(file)
    entry = entry_of(
        table, arguments.head_dim, arguments.batch, arguments.seq_len, arguments.causal
    )
    use = entry["use"]

    name = torch.cuda.get_device_name()
    if name != table["device"]["name"]:
        print(f"the table is of {table['device']['name']}, this is {name}")
    ways = [attend(entry), attend(entry, use["pad_to"], use["sdp_backend"])]
    auto, taken = (call() for call in ways)
    graphs = [graph_of(call) for call in ways]
    for _ in range(REPLAYS):
        for graph in graphs:
            graph.replay()
    # In turn, so that a clock that drifts slows both.
    times = list(zip(*([replay_ms(graph) for graph in graphs] for _ in range(REPLAYS))))
    auto_ms, taken_ms = (statistics.median(of) for of in times)

    shape = "batch {batch}, {seq_len} x {kv_len} tokens, {n_heads} heads on {n_kv_heads}, {dtype}"
    print(f"head_dim {entry['head_dim']}, {shape.format(**entry)}")
    print(f"AUTO: {auto_ms:.4f} ms (in the table {entry['auto']['p50_ms']:.4f} ms)")
    choice = f"{use['backend']}, padded to {use['pad_to']}"
    print(f"{choice}: {taken_ms:.4f} ms (in the table {use['p50_ms']:.4f} ms)")
    print(f"{auto_ms / taken_ms:.2f} times as fast; the table says {use['factor']:.2f}")
    difference = (auto.float() - taken.float()).abs().max().item()
    print(f"largest difference of the results: {difference:.1e}")
    return 0 if difference <= TOLERANCES[entry["dtype"]] else 1


if __name__ == "__main__":
    sys.exit(main())
