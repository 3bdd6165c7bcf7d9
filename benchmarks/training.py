#!/usr/bin/env python3
"""PyTorch's side of the training benchmark; started by TrainingBenchmark where PyTorch is installed.

  training.py darts|nb201|mobilenet|spos [--threads N] [--batch N] [--burst SECONDS] [--paths FILE]

Prints "ready"; then every line of input is one turn: steps (forward, backward, SGD with momentum; f32, channels last)
for the given seconds, answered by {"median_s": …, "memory": …}. `memory` is by how many bytes the process's peak grew
since PyTorch was loaded. `spos` reads the paths of a supernet as lists of nodes; a turn is one step of each.
"""
import argparse
import json
import re
import resource
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


def norm(c, affine=True):
    return nn.BatchNorm2d(c, affine=affine)


def conv(c, k, kernel, stride=1, dilation=1, groups=1):
    return nn.Conv2d(c, k, kernel, stride, dilation * (kernel // 2), dilation, groups, bias=False)


class Head(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.linear = nn.Linear(c, 10)

    def forward(self, x):
        return self.linear(x.mean((2, 3)))


# MobileNetV2 (Sandler et al., CVPR 2018, table 2)


class Inverted(nn.Module):
    def __init__(self, c, k, expansion, stride):
        super().__init__()
        inner, layers = c * expansion, []
        if expansion > 1:
            layers += [conv(c, inner, 1), norm(inner), nn.ReLU6(inplace=True)]
        layers += [conv(inner, inner, 3, stride, groups=inner), norm(inner), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(*layers, conv(inner, k, 1), norm(k))
        self.adds = stride == 1 and c == k

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.adds else y


def mobilenet():
    layers, c = [conv(3, 32, 3, 2), norm(32), nn.ReLU6(inplace=True)], 32
    for expansion, k, depth, stride in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
    ]:
        for i in range(depth):
            layers.append(Inverted(c, k, expansion, stride if i == 0 else 1))
            c = k
    return nn.Sequential(*layers, conv(c, 1280, 1), norm(1280), nn.ReLU6(inplace=True), Head(1280))


# NAS-Bench-201 (Dong and Yang, ICLR 2020)


def relu_conv_norm(c, k, kernel, stride=1, affine=False):
    return nn.Sequential(nn.ReLU(), conv(c, k, kernel, stride), norm(k, affine))


class Mixture(nn.Module):
    """A weighted sum; `operators` holds None for zeros."""

    def __init__(self, operators):
        super().__init__()
        self.index = [i for i, op in enumerate(operators) if op is not None]
        self.operators = nn.ModuleList([op for op in operators if op is not None])

    def forward(self, x, w):
        return sum(w[i] * op(x) for i, op in zip(self.index, self.operators))


class Cell201(nn.Module):
    def __init__(self, c):
        super().__init__()
        pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.edges = nn.ModuleList(
            [Mixture([None, nn.Identity(), relu_conv_norm(c, c, 1), relu_conv_norm(c, c, 3), pool]) for _ in range(6)])

    def forward(self, x, w):
        nodes, edge = [x], 0
        for node in range(1, 4):
            terms = []
            for source in nodes:
                terms.append(self.edges[edge](source, w[edge]))
                edge += 1
            nodes.append(sum(terms))
        return nodes[-1]


class Reduction201(nn.Module):
    def __init__(self, c, k):
        super().__init__()
        self.inner = nn.Sequential(relu_conv_norm(c, k, 3, 2, True), relu_conv_norm(k, k, 3, 1, True))
        self.outer = nn.Sequential(nn.AvgPool2d(2, 2), conv(c, k, 1))

    def forward(self, x):
        return self.outer(x) + self.inner(x)


class Supernet201(nn.Module):
    def __init__(self, c=16, cells=5):
        super().__init__()
        self.stem, layers = nn.Sequential(conv(3, c, 3), norm(c)), []
        for stage in range(3):
            k = c << stage
            layers += [Reduction201(k // 2, k)] if stage else []
            layers += [Cell201(k) for _ in range(cells)]
        self.layers = nn.ModuleList(layers)
        self.head = nn.Sequential(norm(4 * c), nn.ReLU(), Head(4 * c))
        self.alpha = nn.Parameter(1e-3 * torch.randn(6, 5))

    def forward(self, x):
        w, x = self.alpha.softmax(-1), self.stem(x)
        for layer in self.layers:
            x = layer(x, w) if isinstance(layer, Cell201) else layer(x)
        return self.head(x)


# DARTS (Liu et al., ICLR 2019)


class Reduction(nn.Module):
    def __init__(self, c, k):
        super().__init__()
        self.a, self.b, self.norm = conv(c, k // 2, 1, 2), conv(c, k // 2, 1, 2), norm(k, False)

    def forward(self, x):
        x = F.relu(x)
        return self.norm(torch.cat([self.a(x), self.b(x[:, :, 1:, 1:])], 1))


class Zeros(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return (x if self.stride == 1 else x[:, :, :: self.stride, :: self.stride]) * 0.0


def separable(c, kernel, stride, dilation=1):
    return [nn.ReLU(), conv(c, c, kernel, stride, dilation, c), conv(c, c, 1), norm(c, False)]


def darts_edge(c, stride):
    return Mixture([
        Zeros(stride),
        nn.Sequential(nn.MaxPool2d(3, stride, 1), norm(c, False)),
        nn.Sequential(nn.AvgPool2d(3, stride, 1, count_include_pad=False), norm(c, False)),
        nn.Identity() if stride == 1 else Reduction(c, c),
        nn.Sequential(*separable(c, 3, stride), *separable(c, 3, 1)),
        nn.Sequential(*separable(c, 5, stride), *separable(c, 5, 1)),
        nn.Sequential(*separable(c, 3, stride, 2)),
        nn.Sequential(*separable(c, 5, stride, 2)),
    ])


class CellDarts(nn.Module):
    def __init__(self, before, last, c, reduces, was_reduced):
        super().__init__()
        self.first = Reduction(before, c) if was_reduced else relu_conv_norm(before, c, 1)
        self.second = relu_conv_norm(last, c, 1)
        self.edges = nn.ModuleList(
            [darts_edge(c, 2 if reduces and source < 2 else 1) for node in range(2, 6) for source in range(node)])

    def forward(self, a, b, w):
        nodes, edge = [self.first(a), self.second(b)], 0
        for _ in range(4):
            terms = []
            for source in nodes:
                terms.append(self.edges[edge](source, w[edge]))
                edge += 1
            nodes.append(sum(terms))
        return torch.cat(nodes[2:], 1)


class SupernetDarts(nn.Module):
    def __init__(self, c=16, cells=8):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 3 * c, 3), norm(3 * c))
        before = last = 3 * c
        was_reduced, layers, self.reduces = False, [], []
        for cell in range(cells):
            reduces = cell in (cells // 3, 2 * cells // 3)
            c *= 2 if reduces else 1
            layers.append(CellDarts(before, last, c, reduces, was_reduced))
            self.reduces.append(int(reduces))
            was_reduced, before, last = reduces, last, 4 * c
        self.cells, self.head = nn.ModuleList(layers), Head(last)
        self.alpha = nn.Parameter(1e-3 * torch.randn(2, 14, 8))

    def forward(self, x):
        w = self.alpha.softmax(-1)
        a = b = self.stem(x)
        for cell, reduces in zip(self.cells, self.reduces):
            a, b = b, cell(a, b, w[reduces])
        return self.head(b)


# A path of a supernet, from its list of nodes


def numbers(text):
    return [int(float(part)) for part in text.strip("[]").split(",") if part.strip()]


def fields(text):
    """A record of lists of numbers: {kernel = [7, 7], stride = [1, 1]}."""
    return {name: numbers(values) for name, values in re.findall(r"(\w+) = (\[[^]]*\])", text)}


class Path:
    """The nodes of a path on shared parameters; affine-free batch norms keep no running statistics, as ours."""

    def __init__(self, document, parameters):
        self.document, self.parameters = document, parameters
        for node in document["nodes"]:
            if node["op"] == "parameter" and node["name"] not in parameters:
                parameters[node["name"]] = nn.Parameter(torch.randn(node["shape"]) * 0.1)
        self.used = [parameters[n["name"]] for n in document["nodes"] if n["op"] == "parameter"]

    def loss(self, x, y):
        values = dict(zip(self.document["inputs"], (x, y)))
        for node in self.document["nodes"]:
            o, a = [values[i] for i in node["operands"]], node["attributes"]
            values[node["results"][0]] = self.run(node, node["op"], o, a)
        return values[self.document["loss"]]

    def run(self, node, op, o, a):
        if op == "parameter":
            return self.parameters[node["name"]]
        if op == "conv2d":
            pad = numbers(a.get("padding", "[0, 0, 0, 0]"))
            stride = numbers(a.get("stride", "[1, 1]"))
            return F.conv2d(o[0], o[1], o[2] if len(o) > 2 else None, stride, pad[:2], 1, int(a.get("groups", "1")))
        if op == "batch_norm":
            return F.batch_norm(o[0], None, None, *(o[1:] or (None, None)), training=True, eps=float(a.get("epsilon", "1e-5")))
        if op == "slice":
            for d, (start, size) in enumerate(zip(numbers(a["starts"]), numbers(a["sizes"]))):
                o[0] = o[0].narrow(d, start, size)
            return o[0]
        if op == "reduce_mean":
            return o[0].mean(numbers(a["axes"]), keepdim=a.get("keepsDimensions", "false") == "true")
        if op == "average_pool2d":
            window = fields(a["window"])
            if list(o[0].shape[2:]) == window["kernel"]:
                return o[0].mean((2, 3), keepdim=True)
            return F.avg_pool2d(
                o[0], window["kernel"], window["stride"], window["padding"][:2], False,
                a.get("countsPadding", "false") == "true")
        if op == "hard_sigmoid":
            return F.hardsigmoid(o[0])
        if op == "cross_entropy_soft" or op == "soft_cross_entropy":
            return F.cross_entropy(o[0], o[1])
        if op == "reshape":
            return o[0].reshape(node["shape"])
        simple = {
            "relu": F.relu, "hard_swish": F.hardswish, "sigmoid": torch.sigmoid, "add": torch.add,
            "multiply": torch.mul, "linear": F.linear, "identity": lambda x: x,
        }
        return simple[op](*o)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=["darts", "nb201", "mobilenet", "spos"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--burst", type=float, default=2.0)
    parser.add_argument("--paths")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    loaded = peak()

    batch = options.batch or {"mobilenet": 96, "spos": 96}.get(options.case, 64)
    steps = []
    if options.case == "spos":
        x = torch.randn(batch, 1, 28, 28).contiguous(memory_format=torch.channels_last)
        y = F.one_hot(torch.arange(batch) % 10, 10).float()
        shared, momentum = {}, {}
        for document in json.load(open(options.paths)):
            path = Path(document, shared)

            def step(path=path):
                for p in path.used:
                    p.grad = None
                path.loss(x, y).backward()
                with torch.no_grad():
                    for p in path.used:
                        if p in momentum:
                            momentum[p].mul_(0.9).add_(p.grad)
                        else:
                            momentum[p] = p.grad.clone()
                        p.add_(momentum[p], alpha=-0.025)

            steps.append(step)
    else:
        model = {"darts": SupernetDarts, "nb201": Supernet201, "mobilenet": mobilenet}[options.case]()
        side = 64 if options.case == "mobilenet" else 32
        model = model.to(memory_format=torch.channels_last)
        x = torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
        y = torch.arange(batch) % 10
        optimizer = torch.optim.SGD(model.parameters(), 0.025, momentum=0.9)

        def step():
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

        steps.append(step)
    for step in steps:
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        times, end = [], time.perf_counter() + options.burst
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            for step in steps:
                step()
            times.append((time.perf_counter() - start) / len(steps))
        print(json.dumps({"median_s": statistics.median(times), "memory": peak() - loaded}), flush=True)


main()
