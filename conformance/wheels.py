"""Files that Python packages carry: the package is fetched and unpacked, never installed."""
import os
import subprocess
import sys
import zipfile

# ONNX's backend cases, and networks that people ship: a speech detector, text recognition, a file-type classifier.
PACKAGES = {
    "onnx": "onnx==1.16.2",
    "silero-vad": "silero-vad==6.2.3",
    "rapidocr-onnxruntime": "rapidocr-onnxruntime==1.4.4",
    "magika": "magika==1.0.3",
}


def unpacked(package, folder):
    """The folder that the package's wheel is unpacked in."""
    requirement = PACKAGES[package]
    place = os.path.join(folder, "packages", requirement)
    if os.path.isdir(place):
        return place
    wheels = place + ".wheel"
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", wheels,
         requirement], check=True)
    partial = place + ".part"
    for name in os.listdir(wheels):
        with zipfile.ZipFile(os.path.join(wheels, name)) as wheel:
            wheel.extractall(partial, [n for n in wheel.namelist() if n.endswith((".onnx", ".pb"))])
    os.rename(partial, place)
    return place
