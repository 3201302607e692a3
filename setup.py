"""Builds inferno_cuda: CPU kernels always, CUDA kernels whenever a CUDA toolkit is found.

INFERNO_CUDA=0 leaves the CUDA kernels out; INFERNO_CUDA=1 makes a missing toolkit an error.
INFERNO_PURE=1 installs the pure-torch package, without any compiled code.
TORCH_CUDA_ARCH_LIST picks the GPU architectures (default "8.0;9.0+PTX"); MAX_JOBS bounds the compilers at work.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
TORCH_MIN = "0x020a000000000000"  # 2.10: the oldest torch that the wheel loads into
ARCHS = "8.0;9.0+PTX"


def cuda_home():
    """The toolkit's folder, or None. torch's own answer is None wherever torch has no CUDA."""
    nvcc = shutil.which("nvcc")
    candidates = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    candidates.append(nvcc and str(Path(nvcc).resolve().parents[1]))
    for folder in candidates:
        # A wrapper script named nvcc may lie far from the toolkit: only a folder with the headers counts.
        if folder and (Path(folder) / "bin/nvcc").exists() and (Path(folder) / "include/cuda_runtime.h").exists():
            return folder
    return None


def toolkit_version(home):
    text = subprocess.run([f"{home}/bin/nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"release (\d+\.\d+)", text)[1]


def sources():
    lines = (ROOT / "csrc/sources.txt").read_text().splitlines()
    return ["csrc/" + line for line in lines if line and not line.startswith("#")]


def extension(home):
    """The operators' library, with the CUDA kernels if `home` is a toolkit's folder."""
    import torch
    from torch.utils import cpp_extension

    common = ["-O3", "-std=c++17", f"-DTORCH_TARGET_VERSION={TORCH_MIN}"]
    # No fused multiply-add anywhere: CPU, CUDA and eager torch then round alike.
    host = [*common, "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno", "-fvisibility=hidden"]
    options = {"include_dirs": [str(ROOT / "csrc")], "py_limited_api": True}  # torch defines Py_LIMITED_API
    files, archs, toolkit = sources(), "", ""
    if home is None:
        files = [f for f in files if not f.endswith(".cu")]
    else:
        toolkit = toolkit_version(home)
        archs = os.environ["TORCH_CUDA_ARCH_LIST"] = os.environ.get("TORCH_CUDA_ARCH_LIST") or ARCHS
        cpp_extension.CUDA_HOME = home  # None where torch has no CUDA
        # Without a version of its own, torch leaves .cu files out of the dependency tracking.
        torch.version.cuda = torch.version.cuda or toolkit
        host.append("-DINFERNO_WITH_CUDA")
        options |= {"libraries": ["cudart_static", "rt", "dl", "pthread"], "library_dirs": [f"{home}/lib64"]}
    host += [f'-DINFERNO_ARCHS="{archs}"', f'-DINFERNO_TOOLKIT="{toolkit}"']
    return cpp_extension.CppExtension(
        "inferno_cuda._C",
        files,
        extra_compile_args={"cxx": host, "nvcc": [*common, "-fmad=false", "--threads=2"]},
        # libtorch.so brings in libtorch_cuda.so where there is one; linkers drop it as unneeded unless told.
        extra_link_args=["-s", "-Wl,--no-as-needed,-ltorch,--as-needed", "-Wl,--exclude-libs,ALL"],
        **options,
    )


def switch(name):
    """An environment variable that is "1" (True), "0" (False) or unset (None)."""
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        raise SystemExit(f"{name} was {value!r}; it must be 0, 1 or unset")
    return None if value == "" else value == "1"


def build():
    """setup()'s arguments and the line that says what is built and why not more."""
    pure, cuda = switch("INFERNO_PURE"), switch("INFERNO_CUDA")
    if pure and cuda:
        raise SystemExit("INFERNO_PURE=1 (nothing compiled) and INFERNO_CUDA=1 (CUDA kernels) exclude each other")
    if pure:
        return {}, "pure torch only (INFERNO_PURE=1)"
    home = None if cuda is False else cuda_home()
    if cuda and home is None:
        raise SystemExit("INFERNO_CUDA=1, but no CUDA toolkit was found; set CUDA_HOME to its folder")
    from torch.utils.cpp_extension import BuildExtension

    built = extension(home)
    if home:
        archs = os.environ["TORCH_CUDA_ARCH_LIST"]
        says = f"CPU kernels and CUDA kernels for {archs} (CUDA {toolkit_version(home)} in {home})"
    else:
        says = "CPU kernels; no CUDA kernels: " + ("INFERNO_CUDA=0" if cuda is False else "no CUDA toolkit found")
    arguments = {
        "ext_modules": [built],
        "cmdclass": {"build_ext": BuildExtension},
        "options": {"bdist_wheel": {"py_limited_api": "cp311"}},
    }
    return arguments, says


if __name__ == "__main__":
    arguments, says = build()
    setup(**arguments)
    print(f"inferno_cuda: built {says}", flush=True)
