#!/usr/bin/env python3
"""The latency of martlet's C beside other runtimes, and what of the schedule brings how much.

  runtimes.py compare   [--threads N] [--avx2] [MODEL.onnx ...]   ours and every runtime that can be imported, in turns
  runtimes.py ablate    [--threads N] [MODEL.onnx ...]            ours with one part of the schedule left out
  runtimes.py build     [MODEL.onnx ...]                          compile times, sizes, arena against its bound
  runtimes.py tune      [--threads N] [--seconds S] [MODEL.onnx ...]   the default schedule and the tuned one, in turns
  runtimes.py emulate   [MODEL.onnx ...]                          instructions of an inference under emulation

Without models it works on the reference networks in build/benchmarks/models, which it exports from torchvision and timm
where those can be imported (weights are random: speed does not depend on them), and on what searches left in runs/. A virtual environment with onnxruntime
and openvino adds those runtimes; without it ours is measured alone.

Ours is the default schedule everywhere but in `tune`. All programs of a network take turns, burst by burst, on the same cores; figures are medians over rounds, ratios are
taken round by round. One JSON object is printed for each network, then a table.
"""
import argparse
import glob
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
WORK = os.path.join(ROOT, "build", "benchmarks")

NETWORKS = {
    "mobilenet_v2": ("torchvision", "mobilenet_v2", 224),
    "mobilenet_v3_large": ("torchvision", "mobilenet_v3_large", 224),
    "efficientnet_b0": ("torchvision", "efficientnet_b0", 224),
    "resnet18": ("torchvision", "resnet18", 224),
    "mobilenetv2_035_96": ("timm", "mobilenetv2_035", 96),
    "squeezenet1_1": ("torchvision", "squeezenet1_1", 224),
    "mnasnet1_0": ("torchvision", "mnasnet1_0", 224),
    "vit_tiny": ("timm", "vit_tiny_patch16_224", 224),
}

ABLATIONS = [
    ("all", []),
    ("no fused blocks", ["--without", "fuse-blocks"]),
    ("no joined branches", ["--without", "join-convolutions"]),
    ("no Winograd", ["--without", "winograd"]),
    ("small register tiles", ["--without", "register-tiles"]),
    ("no layout, no kernels", ["--portable"]),
]

# A runtime in a process of its own: says ready, then answers each line with the median of a burst.
PEER = """
import os, statistics, sys, time
kind, path, threads, burst, narrow = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5] == "1"
os.environ["OMP_NUM_THREADS"] = str(threads)
if narrow: os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
import numpy
def image(shape): return numpy.random.default_rng(0).standard_normal([d if isinstance(d, int) and d > 0 else 1 for d in shape]).astype("float32")
if kind == "onnxruntime":
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    feed = {port.name: image(port.shape)}
    infer = lambda: session.run(None, feed)
else:
    import openvino
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(image([int(d) for d in request.get_input_tensor().shape])))
    infer = request.infer
for _ in range(3): infer()
print("ready", flush=True)
for _ in sys.stdin:
    samples, end = [], time.perf_counter() + burst
    while time.perf_counter() < end or len(samples) < 5:
        start = time.perf_counter()
        infer()
        samples.append(1e3 * (time.perf_counter() - start))
    print(statistics.median(samples), flush=True)
"""


class Peer:
    """Another runtime, waiting in its process."""

    def __init__(self, kind, model, options):
        self.process = subprocess.Popen(
            pinned(options.threads)
            + [sys.executable, "-c", PEER, kind, model, str(options.threads), str(options.burst), str(int(options.avx2))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        # Libraries may greet before we do; no line at all means that the runtime cannot take the network.
        self.works = any(line.strip() == "ready" for line in iter(self.process.stdout.readline, ""))

    def burst(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """A network as C, compiled; kept until the compiler of networks is newer."""

    def __init__(self, model, options, extra=(), target=None, anew=False):
        self.name = named(model)
        self.options = options
        extra = list(extra) if "--tune" in extra else [*extra, "--untuned"]
        label = "-".join([self.name, str(options.threads), target or "host", *extra])
        self.folder = os.path.join(WORK, "programs", re.sub(r"[^\w-]", "_", label))
        figures = os.path.join(self.folder, "figures.json")
        newest = max(os.path.getmtime(path) for path in (options.martlet, model))
        if anew or not os.path.exists(figures) or os.path.getmtime(figures) < newest:
            self._make(model, extra, target, figures)
        with open(figures) as file:
            vars(self).update(json.load(file))

    def _make(self, model, extra, target, figures):
        options = self.options
        words = [options.martlet, "compile", model, "-o", self.folder, "--force", "--name", "network",
                 "--threads", str(options.threads), *extra]
        if target:
            words += ["--target", target]
        start = time.perf_counter()
        text = subprocess.run(words, check=True, capture_output=True, text=True).stderr
        generating = time.perf_counter() - start
        steps, source, weights, arena = map(int, re.search(
            r"(\d+) steps, (\d+) bytes of C, (\d+) bytes of weights, *(\d+) bytes of arena", text.replace("\n", " ")).groups())
        flags = "-std=c99 -O3 -ffp-contract=fast " + ("-march=x86-64-v3" if target == "x86-64-v3" else "-march=native")
        if options.threads > 1:
            flags += " -pthread -D_GNU_SOURCE -DMARTLET_POOL_PIN"
        make = ["make", "-C", self.folder, "CC=gcc", "CFLAGS=" + flags]
        start = time.perf_counter()
        subprocess.run(make + ["network.o"], check=True, capture_output=True)
        compiling = time.perf_counter() - start
        subprocess.run(["gcc", *flags.split(), "-I.", "-o", "bench-network", "bench_main.c", "network.o", "-lm"], check=True,
                       capture_output=True, cwd=self.folder)
        with open(figures, "w") as file:
            json.dump({"steps": steps, "source": source, "weights": weights, "arena": arena, "generating": generating,
                       "compiling": compiling, "note": " ".join(re.findall(r"tuned: (.*)", text))}, file)

    def burst(self):
        out = subprocess.run(
            pinned(self.options.threads) + [os.path.join(self.folder, "bench-network"), str(self.options.burst)],
            check=True, capture_output=True, text=True).stdout
        return json.loads(out.splitlines()[-1])["median_ms"]

    def close(self):
        pass


def named(model):
    """The network's name: a search calls its winner RUN/best/model.onnx."""
    folder, file = os.path.split(os.path.abspath(model))
    return os.path.basename(os.path.dirname(folder)) if os.path.basename(folder) == "best" else os.path.splitext(file)[0]


def pinned(threads):
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    return ["taskset", "-c", ",".join(map(str, cores))]


def median_of(values):
    return statistics.median(values)


def spread(values):
    """The median deviation from the median, as a share of it."""
    center = statistics.median(values)
    return statistics.median([abs(v - center) for v in values]) / center


def exported():
    """The reference networks as ONNX files, exported where they are missing and can be."""
    folder = os.path.join(WORK, "models")
    os.makedirs(folder, exist_ok=True)
    paths = []
    for name, (library, model, side) in NETWORKS.items():
        path = os.path.join(folder, name + ".onnx")
        if not os.path.exists(path):
            if not (importlib.util.find_spec("torch") and importlib.util.find_spec(library)):
                print(f"{name}: skipped, since torch or {library} cannot be imported", file=sys.stderr)
                continue
            import torch
            torch.manual_seed(1)
            if library == "timm":
                import timm
                network = timm.create_model(model, pretrained=False)
            else:
                import torchvision
                network = torchvision.models.get_model(model, weights=None)
            network.eval()
            # Statistics as training leaves them: zeros and ones would let an exporter drop the normalisation.
            for layer in network.modules():
                if isinstance(layer, torch.nn.BatchNorm2d):
                    torch.nn.init.normal_(layer.running_mean, std=0.2)
                    torch.nn.init.uniform_(layer.running_var, 0.6, 1.4)
            torch.onnx.export(network, torch.zeros(1, 3, side, side), path, opset_version=17, dynamo=False,
                              input_names=["image"], output_names=["scores"])
        paths.append(path)
    return paths


def peak(options):
    """GFLOP/s of one core by the probe."""
    program = os.path.join(WORK, "fma_peak" + ("_avx2" if options.avx2 else ""))
    if not os.path.exists(program):
        subprocess.run(["gcc", "-O3", "-ffp-contract=fast", "-march=" + ("x86-64-v3" if options.avx2 else "native"),
                        "-o", program, os.path.join(HERE, "fma_peak.c")], check=True)
    return float(subprocess.run(pinned(1) + [program], check=True, capture_output=True, text=True).stdout)


def figure(options, model, name):
    text = subprocess.run([options.martlet, "inspect", model, "--summary"], check=True, capture_output=True, text=True).stdout
    return int(re.search(rf"^{name} +(\d+)", text, re.M).group(1))


def rounds(programs, count):
    """Median times of a round by program; the first round warms up and does not count."""
    times = {name: [] for name in programs}
    for turn in range(count + 1):
        for name, program in programs.items():
            time_ = program.burst()
            if turn > 0:
                times[name].append(time_)
    return times


def compare(options):
    target = "x86-64-v3" if options.avx2 else None
    for model in options.models:  # compiling first leaves timing undisturbed
        Ours(model, options, target=target)
    if options.rounds == 0:
        return
    kinds = [k for k in ("onnxruntime", "openvino") if importlib.util.find_spec(k)]
    rows = []
    for model in options.models:
        ours = Ours(model, options, target=target)
        programs = {"ours": ours}
        for kind in kinds:
            peer = Peer(kind, os.path.abspath(model), options)
            if peer.works:
                programs[kind] = peer
        peaks = [peak(options)]
        times = rounds(programs, options.rounds)
        peaks.append(peak(options))
        for program in programs.values():
            program.close()
        row = {"network": ours.name, "threads": options.threads, "avx2": options.avx2}
        for name, values in times.items():
            row[name] = {"ms": round(median_of(values), 4), "spread": round(spread(values), 3)}
        others = [name for name in times if name != "ours"]
        if others:
            for o in others:
                row[o]["ratio"] = round(median_of([a / b for a, b in zip(times[o], times["ours"])]), 3)
            ratios = [min(times[o][i] for o in others) / times["ours"][i] for i in range(options.rounds)]
            row["ratio"], row["least"], row["most"] = (round(v, 3) for v in (median_of(ratios), min(ratios), max(ratios)))
        row["share_of_peak"] = round(
            2e-6 * figure(options, model, "multiply-accumulates") / median_of(times["ours"]) / max(peaks) / options.threads, 3)
        row["peak_gflops"] = max(peaks)
        rows.append(row)
        print(json.dumps(row), flush=True)
    names = ["ours"] + kinds
    table([["network"] + [f"{n}, ms" for n in names] + ["best / ours", "range", "of peak"]] + [
        [r["network"]] + [
            f"{r[n]['ms']:.3f} ± {100 * r[n]['spread']:.0f} %" + (f", x {r[n]['ratio']:.2f}" if "ratio" in r[n] else "")
            if n in r else "" for n in names]
        + ([f"{r['ratio']:.2f}", f"{r['least']:.2f}-{r['most']:.2f}"] if "ratio" in r else ["", ""])
        + [f"{100 * r['share_of_peak']:.0f} %"] for r in rows])
    ratios = [r["ratio"] for r in rows if "ratio" in r]
    if ratios:
        print(f"\ngeometric mean of best / ours: {math.exp(sum(map(math.log, ratios)) / len(ratios)):.3f}; least {min(ratios):.2f}")


def ablate(options):
    for model in options.models:
        for _, extra in ABLATIONS:
            Ours(model, options, extra)
    if options.rounds == 0:
        return
    rows = []
    for model in options.models:
        programs = {label: Ours(model, options, extra) for label, extra in ABLATIONS}
        times = rounds(programs, options.rounds)
        for program in programs.values():
            program.close()
        row = {"network": programs["all"].name, "threads": options.threads, "ms": round(median_of(times["all"]), 4)}
        for label, _ in ABLATIONS[1:]:
            row[label] = round(median_of([a / b for a, b in zip(times[label], times["all"])]), 3)
        rows.append(row)
        print(json.dumps(row), flush=True)
    labels = [label for label, _ in ABLATIONS[1:]]
    table([["network", "all, ms"] + labels] + [
        [r["network"], f"{r['ms']:.3f}"] + [f"x {r[label]:.2f}" for label in labels] for r in rows])


def build(options):
    rows = []
    for model in options.models:
        ours = Ours(model, options, anew=True)
        row = {"network": ours.name, "source_bytes": ours.source, "weight_bytes": ours.weights, "arena_bytes": ours.arena,
               "arena_bound": figure(options, model, "arena bytes at least"), "martlet_seconds": round(ours.generating, 2),
               "gcc_seconds": round(ours.compiling, 2)}
        rows.append(row)
        print(json.dumps(row), flush=True)
    table([["network", "C, KB", "weights, MB", "arena, KB", "bound, KB", "arena / bound", "martlet, s", "gcc -O3, s"]] + [
        [r["network"], f"{r['source_bytes'] / 1e3:.0f}", f"{r['weight_bytes'] / 1e6:.1f}", f"{r['arena_bytes'] / 1e3:.0f}",
         f"{r['arena_bound'] / 1e3:.0f}", f"{r['arena_bytes'] / r['arena_bound']:.3f}", f"{r['martlet_seconds']:.1f}",
         f"{r['gcc_seconds']:.1f}"] for r in rows])


def tune(options):
    """The default schedule beside the one that measuring chose."""
    tuning = ["--tune", f"{options.seconds:g}"]
    for model in options.models:
        Ours(model, options)
        Ours(model, options, tuning)
    if options.rounds == 0:
        return
    rows = []
    for model in options.models:
        programs = {"default": Ours(model, options), "tuned": Ours(model, options, tuning)}
        times = rounds(programs, options.rounds)
        ratios = [a / b for a, b in zip(times["default"], times["tuned"])]
        row = {"network": programs["default"].name, "threads": options.threads, "note": programs["tuned"].note,
               "default_ms": round(median_of(times["default"]), 4), "tuned_ms": round(median_of(times["tuned"]), 4)}
        row["ratio"], row["least"], row["most"] = (round(v, 3) for v in (median_of(ratios), min(ratios), max(ratios)))
        rows.append(row)
        print(json.dumps(row), flush=True)
    table([["network", "default, ms", "tuned, ms", "default / tuned", "range", "what tuning said"]] + [
        [r["network"], f"{r['default_ms']:.3f}", f"{r['tuned_ms']:.3f}", f"{r['ratio']:.2f}",
         f"{r['least']:.2f}-{r['most']:.2f}", r["note"]] for r in rows])


def emulate(options):
    """Instructions of one inference: portable code without a schedule, and what martlet compiles by default."""
    plugin = os.path.join(WORK, "count_instructions.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", plugin, os.path.join(HERE, "count_instructions.c")], check=True)
    targets = {"aarch64": lambda *words: aarch64_instructions(plugin, *words)}
    for name in ("cortex-m4", "cortex-m7", "cortex-m55"):
        targets[name] = lambda *words, name=name: board_instructions(name, *words)
    rows = []
    for model in options.models:
        row = {"network": named(model)}
        for target, count in targets.items():
            row[target] = {label: count(options, model, extra) for label, extra in (("before", ["--portable"]), ("after", []))}
        rows.append(row)
        print(json.dumps(row), flush=True)

    def cells(counts):
        if None in counts.values():
            return "does not fit"
        return f"{counts['before'] / 1e6:.2f} M to {counts['after'] / 1e6:.2f} M, x {counts['before'] / counts['after']:.2f}"
    table([["network", *targets]] + [[r["network"]] + [cells(r[t]) for t in targets] for r in rows])


def aarch64_instructions(plugin, options, model, extra):
    """The difference between runs of two inferences and of one, both of which must give the reference's numbers."""
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        subprocess.run([options.martlet, "compile", model, "-o", folder, "--force", "--name", "network", "--quiet",
                        "--target", "aarch64-qemu", *extra], check=True)
        with open(os.path.join(folder, "main.c")) as check, open(os.path.join(folder, "count.c"), "w") as out:
            # The self-check with its run made as often as it has arguments.
            once = "status = network_run(&in, &out, arena);"
            text = check.read()
            assert once in text
            out.write(text.replace(once, f"for (int k = 0; k < argc; k++) {once}"))
        subprocess.run(["aarch64-linux-gnu-gcc", "-std=c99", "-O3", "-march=armv8-a", "-ffp-contract=fast", "-static", "-I.",
                        "-o", "count", "count.c", "network.c", "-lm"], check=True, cwd=folder)
        counts = []
        for words in (["network_test.bin"], ["network_test.bin", "again"]):
            run = subprocess.run(["qemu-aarch64", "-cpu", "max", "-plugin", plugin, "-d", "plugin", "./count", *words],
                                 cwd=folder, capture_output=True, text=True)
            if run.returncode != 0:
                raise SystemExit(f"{model} on aarch64: the outputs differ from the reference\n{run.stdout}{run.stderr}")
            counts.append(int(re.search(r"instructions (\d+)", run.stderr + run.stdout).group(1)))
        return counts[1] - counts[0]


def board_instructions(target, options, model, extra):
    """By martlet itself; `None` where the network does not fit into the board's memory."""
    run = subprocess.run([options.martlet, "bench", model, "--target", target, "--json", *extra], capture_output=True, text=True)
    if run.returncode != 0:
        print(f"{model} on {target}: {run.stderr.strip()}", file=sys.stderr)
        return None
    return json.loads(run.stdout.splitlines()[-1])["instructions"]


def table(rows):
    print("\n| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows[1:]:
        print("| " + " | ".join(row) + " |")


def versions():
    words = [subprocess.run(["gcc", "--version"], capture_output=True, text=True).stdout.splitlines()[0]]
    for name in ("onnxruntime", "openvino"):
        if importlib.util.find_spec(name):
            words.append(f"{name} {importlib.metadata.version(name)}")
    return "; ".join(words + [platform.machine()])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["compare", "ablate", "build", "tune", "emulate"])
    parser.add_argument("models", nargs="*")
    parser.add_argument("--martlet", default=os.path.join(ROOT, ".build", "release", "martlet"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="0 only compiles, for a quiet run later")
    parser.add_argument("--burst", type=float, default=0.3, help="seconds of a turn")
    parser.add_argument("--seconds", type=float, default=60, help="of tuning")
    parser.add_argument("--avx2", action="store_true", help="ours for x86-64-v3; oneDNN told so; onnxruntime cannot be")
    options = parser.parse_intermixed_args()
    os.makedirs(os.path.join(WORK, "programs"), exist_ok=True)
    if not options.models:
        options.models = exported() + sorted(glob.glob(os.path.join(ROOT, "runs", "*", "best", "model.onnx")))
    print(versions(), file=sys.stderr)
    {"compare": compare, "ablate": ablate, "build": build, "tune": tune, "emulate": emulate}[options.what](options)


main()
