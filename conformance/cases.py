#!/usr/bin/env python3
"""Runs ONNX's backend cases through generated C: every case by `martlet verify`, on this machine or on a target.

Writes one line a case that does not pass, the totals, and a JSON file for the report. Ends with 1 if a case fails.
"""
import argparse
import collections
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys

import wheels

KINDS = ["node", "simple", "pytorch-operator", "pytorch-converted"]
# The operators that most networks consist of, by the words that their cases' names start with.
GROUPS = {
    "convolution": ["conv", "basic_conv", "basic_deconv", "qlinearconv", "operator_conv"],
    "pooling": ["averagepool", "maxpool", "globalaveragepool", "globalmaxpool", "lppool", "maxunpool", "avgpool",
                "operator_maxpool"],
    "activation": ["relu", "leakyrelu", "prelu", "elu", "selu", "celu", "gelu", "mish", "sigmoid", "hardsigmoid",
                   "hardswish", "softmax", "logsoftmax", "log_softmax", "softplus", "softsign", "tanh",
                   "thresholdedrelu", "clip", "glu", "softmin"],
    "matmul": ["matmul", "gemm", "qlinearmatmul", "linear", "operator_mm", "operator_addmm"],
}


def is_in(name, groups):
    """Whether a case's name, without `test_`, starts with a word of the groups, followed by no other letter."""
    title = name.removeprefix("test_").lower()
    for word in (w for g in groups for w in GROUPS[g]):
        rest = title[len(word):]
        if title.startswith(word) and not rest[:1].isalpha():
            return True
        if word in ("conv", "maxpool", "avgpool") and title.startswith(word):
            return True
    return False


def cases(folder, groups):
    for kind in KINDS:
        for model in sorted(glob.glob(os.path.join(folder, kind, "*", "model.onnx"))):
            place = os.path.dirname(model)
            sets = sorted(glob.glob(os.path.join(place, "test_data_set_*")))
            if sets and (not groups or is_in(os.path.basename(place), groups)):
                yield os.path.basename(place), model, sets


def light(folder, work):
    """The networks that come without weights: theirs are constants; the inputs are made as ONNX's own runner makes them."""
    import numpy
    import onnx
    for model in sorted(glob.glob(os.path.join(folder, "light", "*.onnx"))):
        name = os.path.basename(model).removesuffix(".onnx")
        place = os.path.join(work, "light", name)
        os.makedirs(place, exist_ok=True)
        graph = onnx.load(model).graph
        constants = {tensor.name for tensor in graph.initializer}
        for index, port in enumerate(p for p in graph.input if p.name not in constants):
            shape = [d.dim_value or 1 for d in port.type.tensor_type.shape.dim]
            count = int(numpy.prod(shape))
            values = (numpy.arange(count).reshape(shape) / count).astype(numpy.float32)
            with open(os.path.join(place, f"input_{index}.pb"), "wb") as file:
                file.write(onnx.numpy_helper.from_array(values, port.name).SerializeToString())
        for index in range(len(graph.output)):
            shutil.copy(f"{model.removesuffix('.onnx')}_output_{index}.pb", os.path.join(place, f"output_{index}.pb"))
        yield name, model, [place]


def reason(words):
    """Why a case was refused, without the file and the node, which differ from case to case."""
    element = re.search(r"tensors of element type \w+ are not supported$", words)
    return element.group() if element else ": ".join(words.split(": ")[3:]) or words


def judge(case, options):
    name, model, sets = case
    for data in sets:
        command = [options.martlet, "verify", model, "--data", data, "--target", options.target, "--quiet"]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return name, "failed", "took more than 300 s"
        words = (run.stderr.strip().splitlines() or run.stdout.strip().splitlines() or ["no reason given"])[-1]
        if run.returncode == 3:
            return name, "refused", words
        if run.returncode:
            return name, "failed", f"exit {run.returncode}: {words}"
    return name, "passed", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--martlet", default=".build/release/martlet")
    parser.add_argument("--work", default=".build/conformance")
    parser.add_argument("--folder", help="the cases; those of the onnx package otherwise")
    parser.add_argument("--target", default="host")
    parser.add_argument("--groups", nargs="*", choices=sorted(GROUPS), help="all cases without this option")
    parser.add_argument("--light", action="store_true", help="the light networks instead of the cases")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    folder = options.folder or os.path.join(wheels.unpacked("onnx", options.work), "onnx/backend/test/data")
    todo = list(light(folder, options.work) if options.light else cases(folder, options.groups))
    count = collections.Counter()
    reasons = collections.Counter()
    failures = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, verdict, why in pool.map(lambda case: judge(case, options), todo):
            count[verdict] += 1
            if verdict == "refused":
                reasons[reason(why)] += 1
            if verdict == "failed":
                failures.append(f"{name}: {why}")
            if verdict != "passed":
                print(f"{verdict:8s}{name}: {why[:300]}", flush=True)
    print(f"{options.target}: {count['passed']} passed, {count['refused']} refused, {count['failed']} failed, "
          f"of {len(todo)} cases")
    os.makedirs(os.path.join(options.work, "results"), exist_ok=True)
    kind = "light" if options.light else "groups" if options.groups else "cases"
    with open(os.path.join(options.work, "results", f"{kind}-{options.target}.json"), "w") as file:
        json.dump({"target": options.target, "groups": options.groups, "total": len(todo), **count,
                   "reasons": reasons.most_common(), "failures": failures}, file, indent=1)
    sys.exit(1 if count["failed"] or not todo else 0)


if __name__ == "__main__":
    main()
