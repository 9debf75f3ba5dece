"""Results as the programs write them: of a sweep, of a prediction with a run, and odd ones."""
import itertools
import json
import math
import os
import random
import shutil
import subprocess

NAME = "two <b>ranks</b> & <img src=x onerror=alert(1)> more"
MARKUP = "</script><b title=\"x\">half</b> of a name that is so long that it pushes all beside it away"  # no name that a scenario may have; others write files, too
SCENARIO = f"""
name: "{NAME}"
model: {{kind: resnet18, image: 28x28x1, classes: 10}}
training: {{data: synthetic, batch: 64, optimizer: {{kind: sgd, lr: 0.1}}, dtype: fp32, steps: 2}}
cluster: {{device: a100-sxm-80gb, nodes: 2, devices_per_node: 1, network: {{kind: crossbar, link: {{bandwidth: 100 Gb/s, latency: 5 us}}}}}}
strategies:
  - {{name: ddp, data: auto, bucket: 1 MiB}}
  - {{name: pipe, data: auto, pipeline: {{stages: 2, schedule: 1f1b, micro_batches: 4}}}}
  - {{name: half, subnetwork: {{workers: auto, construction: block, coverage: 0.5, masking: forward}}}}
"""
SWEEP = """
sweep:
  cluster.nodes: [2, 3, 4, 8]
  cluster.network.link.bandwidth: [10 Gb/s, 800 Mb/s, 5 GB/s]
  training.batch: [32, 64, 300000]
"""
STATED = """
name: stated
prices: {forward: 18 ms, input_gradient: 18 ms, weight_gradient: 9 ms, transfer: 1 ms}
strategies:
  - {name: 1f1b, pipeline: {stages: 4, schedule: 1f1b, micro_batches: 8}}
sweep:
  strategies.1f1b.pipeline.micro_batches: [8, 12, 16]
"""
# Machines whose pictures differ: in layers, on a grid, around a circle, and too large to draw all of it.
MACHINES = {
    "tree": "nodes: 8, devices_per_node: 4, interconnect: {bandwidth: 100 GB/s, latency: 1 us}, nics: {count: 4, bus: {bandwidth: 50 GB/s, latency: 1 us}}, network: {kind: rail, nodes_per_leaf: 4, link: {bandwidth: 100 Gb/s, latency: 2 us}}",
    "torus": "nodes: 12, network: {kind: torus, dims: [3, 4], link: {bandwidth: 10 GB/s, latency: 1 us}}",
    "ring": "nodes: 6, network: {kind: ring, link: {bandwidth: 10 GB/s, latency: 1 us}}",
    "nodes": "nodes: 32, devices_per_node: 8, interconnect: {bandwidth: 100 GB/s, latency: 1 us}, network: {kind: fat-tree, nodes_per_leaf: 8, link: {bandwidth: 50 GB/s, latency: 1 us}}",
    "alone": "nodes: 1, devices_per_node: 4, interconnect: {bandwidth: 100 GB/s, latency: 1 us}",
    "alike": "nodes: 192, network: {kind: fat-tree, nodes_per_leaf: 16, link: {bandwidth: 10 GB/s, latency: 1 us}}",
}
ON_A_MACHINE = """
name: %s
model: {kind: mlp, image: 32x32x1, hidden: [256, 256, 256], classes: 10}
training: {data: synthetic, batch: 3072, optimizer: {kind: adam, lr: 0.1}, dtype: fp32, steps: 2}
cluster: {device: a100-sxm-80gb, %s}
strategies:
  - {name: ddp, data: auto, bucket: 128 KiB}
  - {name: fsdp, data: {ranks: auto, zero: 3}}
"""
# Folders with little in them, and their scenarios' names.
ODD = {"stated": "stated", "played": "stated", "refused": NAME, "estimated": NAME, "large": "large", "run": NAME, "other": NAME, "long": NAME, **{name: name for name in MACHINES}}
LONG_RANKS, LONG_OPS, MANY = 20, 1000, 5000
# The bandwidths of the sweep, the smallest first: 8 bits are a byte.
BANDWIDTHS = ["800 Mb/s", "10 Gb/s", "5 GB/s"]
OTHER_PLAN = "0123456789abcdef"
# Axes of the sweep that is too large for a page.
LARGE = {"a": list(range(28)), "b": list(range(28)), "c": list(range(28))}
COLLECTIVES = ["all_reduce", "reduce_scatter", "all_gather"]


def words(name):
    """A name from a file as people read it: collectives as the field writes them."""
    return name.replace("_", "-" if name in COLLECTIVES else " ")


def make_large(swept, folder):
    """More rows than a page has room for, at random, of the form of a sweep's first: most do not matter to any two values."""
    with open(f"{swept}/sweep.json") as file:
        manifest = json.load(file)
    manifest["files"] = [{**manifest["files"][0], "file": "large.yaml", "name": "large", "points": math.prod(map(len, LARGE.values())), "strategies": ["ddp"], "columns": list(LARGE)}]
    with open(f"{folder}/sweep.json", "w") as file:
        json.dump(manifest, file)
    with open(f"{swept}/results.jsonl") as rows:
        row = json.loads(next(line for line in rows if '"status":"played"' in line))
    draws = random.Random(7)
    with open(f"{folder}/results.jsonl", "w") as file:
        for point, values in enumerate(itertools.product(*LARGE.values())):
            status = draws.choice(["played"] * 8 + ["does not fit"])
            samples, memory = draws.uniform(1, 1000), draws.randrange(2**20, 2**32)
            row.update(scenario="large", file="large.yaml", point=point, strategy="ddp", values=dict(zip(LARGE, values)), status=status, reason=None if status == "played" else "too large",
                       step_time_s=32 / samples, step_time_low_s=None, step_time_high_s=None, samples_per_s=samples, run_samples_per_s=samples, peak_memory_bytes=memory, fits=status == "played")
            file.write(json.dumps(row, separators=(",", ":")) + "\n")


def make_folders(rehearse, work):
    """Results as the programs write them, and their pages."""
    def run(*command):
        subprocess.run([rehearse, *command], check=True, cwd=work, stdout=subprocess.DEVNULL)
    for name, text in [("plain.yaml", SCENARIO), ("sweep.yaml", SCENARIO + SWEEP), ("stated.yaml", STATED)]:
        with open(f"{work}/{name}", "w") as file:
            file.write(text)
    run("sweep", "sweep.yaml", "--out", "swept")
    run("sweep", "stated.yaml", "--out", "stated")
    run("sweep", "sweep.yaml", "--method", "estimate", "--out", "estimated")
    run("simulate", "stated.yaml", "--out", "played/predicted.json")
    run("simulate", "plain.yaml", "--out", "single/predicted.json")
    # Of a sweep that has only begun: nothing but refused rows, and a torn one.
    for folder in ["refused", "run", "other", "large"]:
        os.mkdir(f"{work}/{folder}")
    shutil.copy(f"{work}/swept/sweep.json", f"{work}/refused")
    with open(f"{work}/swept/results.jsonl") as rows, open(f"{work}/refused/results.jsonl", "w") as file:
        file.writelines([line for line in rows if '"status":"refused"' in line] + ['{"scen'])
    make_large(f"{work}/swept", f"{work}/large")
    with open(f"{work}/single/predicted.json") as file:
        summary = json.load(file)
    renamed = summary["strategies"][2]["strategy"]
    summary["strategies"][2]["strategy"] = MARKUP
    for s in summary["strategies"]:
        if "not_told_apart_from" in s:
            s["not_told_apart_from"] = [MARKUP if name == renamed else name for name in s["not_told_apart_from"]]
    with open(f"{work}/single/predicted.json", "w") as file:
        json.dump(summary, file)
    for name, cluster in MACHINES.items():
        with open(f"{work}/{name}.yaml", "w") as file:
            file.write(ON_A_MACHINE % (name, cluster))
        run("simulate", f"{name}.yaml", "--out", f"{name}/predicted.json")
    # Thousands of ops.
    os.mkdir(f"{work}/long")
    with open(f"{work}/long/predicted.json", "w") as file:
        s = {k: v for k, v in summary["strategies"][0].items() if k not in ("pictures", "not_told_apart_from")}
        s["timeline"] = [[rank, "compute", "backward" if op % 3 else "forward", f"op {op}", 1e-3 * op, 1e-3 * op + (3e-4 if op % 2 else 9e-4)] for rank in range(LONG_RANKS) for op in range(LONG_OPS)]
        s["links"] = [{"name": f"node{k}>leaf{k // 8}", "bytes": 7, "utilisation": k / MANY} for k in range(MANY)]
        s["ranks"] = [{**s["ranks"][rank % 2], "rank": rank} for rank in range(MANY)]
        json.dump({**summary, "strategies": [s]}, file)
    # A run of two of them that took a little longer.
    summary.update(source="measured", device="cpu", strategies=summary["strategies"][:2])
    for of_predictions in ["topology", "device_memory_bytes"]:
        summary.pop(of_predictions, None)
    for s in summary["strategies"]:
        for of_predictions in ["step_time_low_s", "step_time_high_s", "not_told_apart_from"]:
            s.pop(of_predictions, None)
        s.update(step_time_s=1.1 * s["step_time_s"], losses=[2.3 * 0.9**k for k in range(30)], evaluations=[{"step": 30, "accuracy": 0.5, "loss": 0.75}])
        s["timeline"] = [[*span[:4], 1.1 * span[4], 1.1 * span[5]] for span in s["timeline"]]
        path = s["pictures"]["critical_path"]
        s["pictures"] = {"critical_path": {"shares": [{**share, "time_s": 1.1 * share["time_s"]} for share in path["shares"]], "parts": [[*part[:2], 1.1 * part[2], 1.1 * part[3]] for part in path["parts"]]}}
    with open(f"{work}/single/measured.json", "w") as file:
        json.dump(summary, file)
    with open(f"{work}/run/measured.json", "w") as file:
        json.dump(summary, file)
    # The first of them with another plan.
    shutil.copy(f"{work}/single/predicted.json", f"{work}/other")
    summary["strategies"][0]["plan_hash"] = OTHER_PLAN
    with open(f"{work}/other/measured.json", "w") as file:
        json.dump(summary, file)
    for folder in ["swept", "single", *ODD]:
        run("report", folder)
