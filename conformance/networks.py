#!/usr/bin/env python3
"""Compiles whole networks with martlet and compares them with ONNX Runtime.

Networks are exported from PyTorch, or shipped by Python packages. Each runs through the fast kernels and with --exact; the
arena, the liveness bound, the size of the source and the time gcc takes go into the table. Ends with 1 if one fails.
"""
import argparse
import json
import os
import re
import resource
import subprocess
import sys

import wheels

NEWER = ["mobilenet_v2", "mobilenet_v3_large", "resnet18", "squeezenet1_1", "vit_tiny", "swin_t", "convnext_tiny",
         "mobilevit_xxs", "mobilenetv4_conv_small", "encoder", "recurrent", "unet", "audio"]
# Package, file, the inputs' shapes, inputs that are bound to a value.
SHIPPED = {
    "silero-vad 16 kHz": ("silero-vad", "silero_vad/data/silero_vad.onnx",
                          {"input": [1, 576], "state": [2, 1, 128]}, {"sr": 16000}),
    "silero-vad 8 kHz": ("silero-vad", "silero_vad/data/silero_vad.onnx",
                         {"input": [1, 288], "state": [2, 1, 128]}, {"sr": 8000}),
    "silero-vad, opset 18": ("silero-vad", "silero_vad/data/silero_vad_op18_ifless.onnx",
                             {"input": [1, 576], "state": [2, 1, 128]}, {"sr": 16000}),
    "silero-vad, sequence": ("silero-vad", "silero_vad/data/silero_vad_16k_sequence.onnx",
                             {"input": [7, 576], "h": [1, 1, 128], "c": [1, 1, 128]}, {}),
    "PP-OCRv4 recogniser": ("rapidocr-onnxruntime", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
                            {"x": [1, 3, 48, 320]}, {}),
    "PP-OCRv4 detector": ("rapidocr-onnxruntime", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
                          {"x": [1, 3, 320, 320]}, {}),
    "PP-OCR orientation": ("rapidocr-onnxruntime", "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
                           {"x": [1, 3, 48, 192]}, {}),
    "magika": ("magika", "magika/models/standard_v3_3/model.onnx", {"bytes": [1, 2048]}, {}),
}
TOLERANCE = 1e-4


def page(shape):
    """Lines of text, black on white: on noise a detector of text answers with nothing but zeros."""
    import numpy
    from PIL import Image, ImageDraw, ImageFont
    image = Image.new("L", (shape[3], shape[2]), 255)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(24)
    lines = ["A martlet is a bird", "that has no feet,", "found in heraldry", "and over rivers."]
    for index, top in enumerate(range(20, shape[2] - 30, 56)):
        pen.text((16, top), lines[index % len(lines)], fill=0, font=font)
    return numpy.broadcast_to(numpy.asarray(image) / 127.5 - 1, shape)


def inputs_of(model, session, shapes, bound):
    """Random inputs: reals from a normal distribution; integers are bytes, or zeros and ones where shapes are not given."""
    import numpy
    random = numpy.random.default_rng(0)
    kinds = {"float": "float32", "double": "float64", "float16": "float16", "bool": "bool"}
    values = {}
    for port in session.get_inputs():
        name = port.type[len("tensor("):-1]
        kind = kinds.get(name, name)
        shape = shapes.get(port.name, port.shape)
        if port.name in bound:
            values[port.name] = numpy.asarray(bound[port.name], kind)
        elif model.endswith("_det_infer.onnx"):
            values[port.name] = page(shape).astype(kind)
        elif kind.startswith("float"):
            values[port.name] = random.standard_normal(shape).astype(kind)
        else:
            values[port.name] = random.integers(0, 256 if port.name in shapes else 2, shape).astype(kind)
    return values


def make_data(model, folder, shapes, bound):
    """Writes input_N.pb and ONNX Runtime's output_N.pb."""
    import onnxruntime
    from onnx import numpy_helper
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = 1
    # What rewrites convolutions for speed rounds differently: by 2e-4 of the largest value for the detector of text.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    values = inputs_of(model, session, shapes, bound)
    os.makedirs(folder, exist_ok=True)
    for kind, names, tensors in [
        ("input", list(values), list(values.values())),
        ("output", [o.name for o in session.get_outputs()], session.run(None, values)),
    ]:
        for index, (name, tensor) in enumerate(zip(names, tensors)):
            with open(os.path.join(folder, f"{kind}_{index}.pb"), "wb") as file:
                file.write(numpy_helper.from_array(tensor, name).SerializeToString())


def compare(options, model, folder, extra):
    """The largest difference relative to the largest magnitude, or the reason of a failure."""
    # Reals are held to the largest magnitude, which verify prints; the element-wise bound only has to be out of the way.
    command = [options.martlet, "verify", model, "--data", folder, "--rtol", "1e30", *extra]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        return None, (run.stderr.strip().splitlines() or [f"exit {run.returncode}"])[-1]
    return max([float(d) for d in re.findall(r"largest difference (\S+) of", run.stdout)], default=0.0), ""


def examine(options, name, model, shapes, bound):
    row = {"name": name}
    place = os.path.join(options.work, "networks", re.sub(r"[^\w.]+", "-", name))
    if not os.path.exists(place + "/output_0.pb"):
        make_data(model, place, shapes, bound)
    for key, extra in [("fast", []), ("exact", ["--exact"])]:
        row[key], why = compare(options, model, place, extra)
        if row[key] is None:
            row["why"] = why
    arguments = [w for k, v in bound.items() for w in ("--bind", f"{k}={v}")] + open_dimensions(model, shapes, bound)
    output = place + "-c"
    run = subprocess.run([options.martlet, "compile", model, "-o", output, "--name", "net", "--force", *arguments],
                         capture_output=True, text=True)
    if run.returncode:
        row["why"] = run.stderr.strip().splitlines()[-1]
        return row
    figures = re.search(r"(\d+) steps, (\d+) bytes of C, (\d+) bytes of weights, (\d+) bytes of arena", run.stderr)
    row.update(zip(("steps", "source", "weights", "arena"), map(int, figures.groups())))
    run = subprocess.run([options.martlet, "inspect", model, "--summary", *arguments], capture_output=True, text=True)
    for key, label in [("bound", "arena bytes at least"), ("best", "arena bytes, best order")]:
        found = re.search(label + r" +(\d+)( or more)?", run.stdout)
        row[key] = int(found.group(1)) if found else None
    row["proven"] = "or more" not in run.stdout
    # Processor time: the clock on the wall counts what else the machine does.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(["gcc", "-std=c99", "-O3", "-march=native", "-ffp-contract=fast", "-I.", "-c", "net.c"],
                         cwd=output, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    row["seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if run.returncode:
        row["why"] = "gcc: " + run.stderr.strip().splitlines()[0]
    return row


def open_dimensions(model, shapes, bound):
    """--dim for what the file leaves open, found out by asking."""
    import onnx
    words, seen = [], set()
    for value in onnx.load(model, load_external_data=False).graph.input:
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            symbol = dimension.dim_param if dimension.dim_param != "?" else ""
            if dimension.HasField("dim_value") and dimension.dim_value >= 0 or value.name not in shapes:
                continue
            key = symbol or f"{value.name}.{axis}"
            if key not in seen:
                seen.add(key)
                words += ["--dim", f"{key}={shapes[value.name][axis]}"]
    return words


def exported(options, name):
    path = os.path.join(options.work, "exports", name + ".onnx")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # In a process of its own, which gives the memory back.
        here = os.path.dirname(os.path.abspath(__file__))
        code = "import sys, warnings; warnings.filterwarnings('ignore'); import models; models.export(*sys.argv[1:])"
        run = subprocess.run([sys.executable, "-c", code, name, os.path.abspath(path)], capture_output=True, text=True,
                             env={**os.environ, "PYTHONPATH": os.pathsep.join(
                                 [here, *filter(None, [os.environ.get("PYTHONPATH")])])})
        if run.returncode:
            raise RuntimeError("cannot be exported: " + (run.stderr.strip().splitlines() or ["no reason given"])[-1])
        os.rename(path + ".part", path)
    return path


def all_networks():
    import models
    names = [*models.IMAGE_NETWORKS, *models.SMALL_NETWORKS, *(n + ".dynamo" for n in NEWER)]
    return [(n, None) for n in names] + list(SHIPPED.items())


def result_path(work, name):
    folder = os.path.join(work, "results", "networks")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, re.sub(r"[^\w.]+", "-", name) + ".json")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="all networks without names")
    parser.add_argument("--martlet", default=".build/release/martlet")
    parser.add_argument("--work", default=".build/conformance")
    options = parser.parse_args()
    rows = []
    for name, shipped in all_networks():
        if options.names and name not in options.names:
            continue
        try:
            if shipped:
                package, file, shapes, bound = shipped
                model = os.path.join(wheels.unpacked(package, options.work), file)
            else:
                model, shapes, bound = exported(options, name), {}, {}
            row = examine(options, name, model, shapes, bound)
        except Exception as error:
            row = {"name": name, "why": str(error)}
        differences = [row.get("fast"), row.get("exact")]
        row["passed"] = "why" not in row and all(d is not None and d <= TOLERANCE for d in differences)
        rows.append(row)
        print(json.dumps(row), flush=True)
        with open(result_path(options.work, name), "w") as file:
            json.dump(row, file, indent=1)
    sys.exit(0 if rows and all(row["passed"] for row in rows) else 1)


if __name__ == "__main__":
    main()
