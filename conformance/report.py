#!/usr/bin/env python3
"""Prints docs/conformance.md from what cases.py and networks.py found."""
import argparse
import glob
import json
import os

import networks
import wheels

INTRODUCTION = """# Conformance

Written by `make conformance`, which runs ONNX's backend cases and whole networks through generated C. A case is *refused* when
`martlet verify` ends with 3 and the reason; it has *failed* on any other result but equality.
"""


def load(options, name):
    path = os.path.join(options.work, "results", name)
    if not os.path.exists(path):
        return None
    with open(path) as file:
        return json.load(file)


def cases(result):
    lines = [f"## ONNX's backend cases\n\nFrom the package {wheels.PACKAGES['onnx']}: node, simple, pytorch-operator, "
             "pytorch-converted. `conformance/cases.py`\n",
             "| cases | passed | refused | failed |", "|---|---|---|---|",
             f"| {result['total']} | {result.get('passed', 0)} | {result.get('refused', 0)} | {result.get('failed', 0)} |",
             "", "Why cases are refused:\n", "| reason | cases |", "|---|---|"]
    lines += [f"| {reason.replace('|', chr(92) + '|')} | {count} |" for reason, count in result["reasons"]]
    return lines + [f"\nFailed: {failure}" for failure in result["failures"]] + [""]


def targets(results):
    lines = ["## Convolution, pooling, activation and matrix product cases on emulated targets\n",
             "`conformance/cases.py --target NAME --groups convolution pooling activation matmul`\n",
             "| target | cases | passed | refused | failed |", "|---|---|---|---|---|"]
    for r in results:
        lines.append(f"| {r['target']} | {r['total']} | {r.get('passed', 0)} | {r.get('refused', 0)} | {r.get('failed', 0)} |")
        lines += [f"\nFailed: {failure}\n" for failure in r["failures"]]
    return lines + [""]


def number(value, form):
    return "" if value is None else format(value, form)


def table(rows):
    lines = ["| network | difference | `--exact` | arena | bound of its order | of the best order | weights | source | gcc -O3 |",
             "|---|---|---|---|---|---|---|---|---|"]
    for r in rows:
        if "why" in r and r.get("arena") is None:
            lines.append(f"| {r['name']} | {r['why']} | | | | | | | |")
            continue
        cells = [r["name"], number(r.get("fast"), ".1e"), number(r.get("exact"), ".1e")]
        cells += [number(r.get(k), ",") for k in ("arena", "bound")]
        cells.append(("" if r.get("proven", True) else "≥ ") + number(r.get("best"), ","))
        cells += [number(r.get(k), ",") for k in ("weights", "source")]
        lines.append("| " + " | ".join(cells + [number(r.get("seconds"), ".1f") + " s"]) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", default=".build/conformance")
    options = parser.parse_args()
    lines = [INTRODUCTION]
    result = load(options, "cases-host.json")
    if result:
        lines += cases(result)
    result = load(options, "light-host.json")
    if result:
        lines += ["## Light networks\n", f"{result.get('passed', 0)} of the package's {result['total']} networks whose weights "
                  "are constants pass. `conformance/cases.py --light`\n"]
        lines += [f"Failed: {failure}\n" for failure in result["failures"]]
    found = sorted(glob.glob(os.path.join(options.work, "results", "groups-*.json")))
    if found:
        lines += targets([load(options, os.path.basename(path)) for path in found])
    paths = [networks.result_path(options.work, name) for name, _ in networks.all_networks()]
    rows = [json.load(open(path)) for path in paths if os.path.exists(path)]
    if rows:
        passed = sum(r["passed"] for r in rows)
        lines += [f"## Networks\n\n{passed} of {len(rows)} agree with ONNX Runtime within {networks.TOLERANCE:g} of the output's "
                  "largest magnitude, through the fast kernels of the machine and with `--exact`. Sizes are in bytes; source is C "
                  "without weights; gcc's time is processor time. `conformance/networks.py`\n",
                  "The arena's bounds: *of its order* is what the chosen order of nodes keeps alive at once, *of the best "
                  "order* the same for the best of all orders, found by search (≥ where the search was given up: no order "
                  "needs less, the best may need more).\n",
                  "### Exported from PyTorch\n\nRandom weights and statistics; `.dynamo` went through the newer exporter.\n"]
        lines += table([r for r in rows if r["name"] not in networks.SHIPPED])
        lines += ["\n### Shipped by Python packages\n"]
        lines += table([r for r in rows if r["name"] in networks.SHIPPED])
        lines += ["\nThey are from " + ", ".join(f"`{wheels.PACKAGES[p]}`" for p in wheels.PACKAGES if p != "onnx")
                  + ": a speech detector with an LSTM, recognition and detection of text, a classifier of files. "
                  "None of them is part of the repository."]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
