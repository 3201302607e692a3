# make setup   creates .venv with torch and the package, in editable mode
# make demo    shows MNIST digits to a spiking network and reads them off its spikes; then trains one to tell them
# make vowels  tells who speaks, with delays that are zero, random, or learned
# make test    lint, C++ tests (plain and under sanitizers), CUDA kernels if there is an nvcc, documentation, pytest
# make docs    builds build/docs/index.html, with warnings as errors
# make bench   times the ops here
# make wheel   builds dist/*.whl
# PYTHON and TORCH pick the interpreter and the torch that .venv is made with: make TORCH=torch==2.10.0 setup
# JOBS is how many processes run pytest: make JOBS=8 test

PYTHON ?= python3
TORCH ?= torch==2.13.0
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin

CSRC := $(wildcard csrc/*/*)
CPP := $(wildcard csrc/*/*.h csrc/*/*.cpp csrc/*/*.cu tests/cpp/*.h tests/cpp/*.cpp)
# cmake, ninja and the linters are pip's.
CMAKE := $(BIN)/cmake -S . -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja --log-level=NOTICE
CTEST := $(BIN)/ctest --output-on-failure --no-tests=error --test-dir

.PHONY: setup demo vowels test lint core sanitize docs pytest bench wheel clean
# pytest's closing line is the last of make test, also with -j.
.NOTPARALLEL:

setup: $(VENV)/native.stamp

$(VENV)/torch.stamp:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("inferno_cuda needs Python 3.11 or newer: make PYTHON=python3.12 setup")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q '$(TORCH)'
	@touch $@

$(VENV)/package.stamp: $(VENV)/torch.stamp pyproject.toml
	$(BIN)/python -m pip install -q 'setuptools>=77' ninja
	INFERNO_PURE=1 $(BIN)/python -m pip install -q --no-build-isolation -e '.[test]'
# SpikingJelly's requirements bring torchvision, and with that another torch; the extra has what its neurons need of them.
# Of aeon only the recordings of vowels are read.
	$(BIN)/python -m pip install -q --no-deps spikingjelly==2.0.0 aeon==1.6.0
	@touch $@

# Rebuilds what has changed, where pip would rebuild everything.
$(VENV)/native.stamp: $(VENV)/package.stamp setup.py csrc/sources.txt $(CSRC)
	@mkdir -p build
	@echo 'building inferno_cuda._C (build/native.log)'
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python setup.py -q build_ext --inplace >build/native.log 2>&1 || { cat build/native.log; exit 1; }
	@tail -n 1 build/native.log
	@touch $@

$(VENV)/demo.stamp: $(VENV)/package.stamp
	INFERNO_PURE=1 $(BIN)/python -m pip install -q --no-build-isolation -e '.[demo]'
	@touch $@

demo: setup $(VENV)/demo.stamp
	$(BIN)/python -m inferno_cuda demo
	$(BIN)/python -m inferno_cuda demo --task trained

vowels: setup
	$(BIN)/python -m inferno_cuda demo --task vowels

test: setup lint core sanitize docs pytest

lint: $(VENV)/package.stamp
	$(BIN)/ruff check --extend-exclude build .
	$(BIN)/clang-format --dry-run -Werror $(CPP)
	$(BIN)/python tools/check_imports.py

core: $(VENV)/package.stamp
	$(CMAKE) -B build/cmake -DPython3_EXECUTABLE=$(CURDIR)/$(BIN)/python
	$(BIN)/cmake --build build/cmake -- --quiet
	$(CTEST) build/cmake

sanitize: $(VENV)/package.stamp
	$(CMAKE) -B build/sanitize -DINFERNO_SANITIZE=ON -DINFERNO_CUDA=OFF
	$(BIN)/cmake --build build/sanitize -- --quiet
	$(CTEST) build/sanitize

$(VENV)/docs.stamp: $(VENV)/package.stamp
	INFERNO_PURE=1 $(BIN)/python -m pip install -q --no-build-isolation -e '.[docs]'
	@touch $@

# A fresh environment each time: a page that was read before would keep its warnings to itself.
docs: setup $(VENV)/docs.stamp
	$(BIN)/python -m sphinx -q -E -W -j auto --keep-going -b html docs build/docs

pytest: setup core
	INFERNO_REQUIRE_CORE_PY=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile

bench: setup
	$(BIN)/python -m inferno_cuda bench

wheel: $(VENV)/package.stamp
	rm -rf build/lib.* build/bdist.* dist
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip wheel -q --no-build-isolation --no-deps -w dist .
	@ls dist/*.whl

clean:
	rm -rf build dist *.egg-info inferno_cuda/*.so
	rm -f $(VENV)/native.stamp
