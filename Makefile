# make demo    set up, then search, train and export a network for this machine (Fashion-MNIST)
# make test    set up, then run every test
# make check   the tests and the format of the sources
# make test-targets   the tests on every emulated target and over ssh; installs their compilers and simulators
#
# make conformance    ONNX's backend cases and whole networks against ONNX Runtime; writes docs/conformance.md
# make fuzz SECONDS=600    mutates models and feeds them to the reader of ONNX
# make benchmark-training   a training step of four networks, in turns with PyTorch where PYTORCH, a Python, has it
#
# make benchmark   the tables of docs/performance.md; PEERS, a Python, may have other runtimes; with CIFAR10=folder, that of
#                  the binary files, also of two networks that it searches first, beside the demonstration's
#
# make study   the slower checks of searches: trains the 125 networks of a small benchmark, supernets, and every
#              differentiable system on planted architectures; with CELL_TABLE=nb201_accuracy.csv CIFAR10=folder also on
#              the cells of NAS-Bench-201, judged by that table
#
# Needs Debian 12 with git, make and a Swift toolchain of 6.1 or later; root or sudo where packages are missing.

# What the package is built from, what the demonstration trains on, and what the tests compile and emulate with.
PACKAGES = gcc g++ pkg-config libopenblas-dev libprotobuf-c-dev protobuf-c-compiler libonnx-dev libprotobuf-dev \
           libsqlite3-dev zlib1g-dev dataset-fashion-mnist
TEST_PACKAGES = gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user libonnx-testdata
TARGET_PACKAGES = gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm gcc-arm-linux-gnueabihf libc6-dev-armhf-cross \
                  gcc-riscv64-linux-gnu libc6-dev-riscv64-cross openssh-server
SCHEMA = /usr/include/onnx/onnx.proto
SCHEMA_CODE = Sources/CONNX/onnx.pb-c.c
MARTLET = .build/release/martlet
# What compares with ONNX Runtime; another interpreter that has conformance/requirements.txt can be named instead.
PYTHON = .build/conformance/python/bin/python
CONFORMANCE_TARGETS = aarch64-qemu armv7-neon cortex-m55 riscv64-v
SECONDS = 600
PYTORCH = python3
SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)

PEERS = python3
BENCHMARK = $(PEERS) benchmarks/runtimes.py
SEARCHED = runs/demo
ifdef CIFAR10
SEARCHED += runs/cells runs/large
endif

.PHONY: demo study benchmark benchmark-training test test-targets conformance fuzz check format setup setup-test build

demo: build
	$(MARTLET) search --space mbconv-28 --data fashion-mnist --latency 0.07ms --preset demo -o runs/demo --force

test: setup setup-test
	swift test

test-targets: setup setup-test
	$(call install,$(TARGET_PACKAGES))
	swift test --filter 'HardwareTests.(EmulatedTarget|SSH)'

conformance: build setup-test $(PYTHON)
	$(call install,$(TARGET_PACKAGES))
	@status=0; \
	$(PYTHON) conformance/cases.py || status=1; \
	$(PYTHON) conformance/cases.py --light || status=1; \
	for target in $(CONFORMANCE_TARGETS); do \
	    $(PYTHON) conformance/cases.py --target $$target --groups convolution pooling activation matmul || status=1; \
	done; \
	$(PYTHON) conformance/networks.py || status=1; \
	$(PYTHON) conformance/report.py > docs/conformance.md || status=1; \
	exit $$status

.build/conformance/python/bin/python: conformance/requirements.txt
	$(call install,python3-venv)
	python3 -m venv .build/conformance/python
	$@ -m pip install --quiet --requirement conformance/requirements.txt

# Every input that crashes, hangs or takes gigabytes is left in .build/fuzz/ for a test.
fuzz: setup
	mkdir -p .build/fuzz/corpus
	MARTLET_FUZZ=1 swift build --configuration release --sanitize fuzzer --scratch-path .build/fuzz --product fuzz-onnx
	.build/fuzz/release/fuzz-onnx -max_total_time=$(SECONDS) -max_len=16384 -timeout=20 -rss_limit_mb=2048 \
	    -print_final_stats=1 -artifact_prefix=.build/fuzz/ .build/fuzz/corpus

benchmark: build $(SEARCHED:%=%/best/model.onnx)
	$(BENCHMARK) compare
	$(BENCHMARK) compare --threads 2
	$(BENCHMARK) compare --avx2
	$(BENCHMARK) ablate
	$(BENCHMARK) build
	$(BENCHMARK) tune --seconds 60
	$(BENCHMARK) emulate $(SEARCHED:%=%/best/model.onnx) build/benchmarks/models/mobilenetv2_035_96.onnx

# Their latency counts here, so they are trained just enough to choose by. 3073 bytes are an image and its label.
PART = build/benchmarks/cifar10
QUICK = $(MARTLET) search --data cifar10 --data-folder $(PART) --preset quick --force

runs/demo/best/model.onnx:
	$(MAKE) demo

runs/cells/best/model.onnx: | build $(PART)
	$(QUICK) --space nas-bench-201 --latency 0.6ms --supernet-epochs 8 --epochs 2 -o runs/cells

runs/large/best/model.onnx: | build $(PART)
	$(QUICK) --space mbconv-224 --latency 5ms --supernet-epochs 0.2 --epochs 0.2 -o runs/large

$(PART):
	mkdir -p $@
	for file in $(CIFAR10)/*_batch*.bin; do head -c $$((500 * 3073)) $$file > $@/$${file##*/}; done

# Systems and, after each, itself without its own mechanism.
PICKED = darts1 darts2 idarts 'idarts, K = 0, T = 1' 'idarts, exact products' \
         prime 'prime, no regulariser' 'prime, fixed schedule' \
         snas 'snas, temperature fixed at 1' 'snas, softmax mixture' \
         unas 'unas, relaxed sample alone' 'unas, running baseline' proxyless

study: setup
	swift build --configuration release --product Study
	.build/release/Study table docs/micro-125.jsonl 2 4
	.build/release/Study latency docs/micro-125.jsonl
	.build/release/Study supernets docs/micro-125-supernets.jsonl
	.build/release/Study ranking docs/micro-125.jsonl docs/micro-125-supernets.jsonl | tee docs/micro-125-ranking.txt
	.build/release/Study exact docs/study-exact.md
	.build/release/Study planted docs/study-planted.md
	.build/release/Study regularisers docs/study-regularisers.md
	.build/release/Study picks docs/study-picks.md docs/micro-125.jsonl 5 500 $(PICKED)
ifdef CELL_TABLE
	.build/release/Study cells docs/study-cells.md $(CELL_TABLE) $(CIFAR10) 20 1 - - - - darts1 idarts
	.build/release/Study cells docs/study-cells.md $(CELL_TABLE) $(CIFAR10) 5 1 - - - - darts1 'darts1, every fourth step' \
	    darts2 idarts 'idarts, K = 0, T = 1' prime snas unas proxyless
	.build/release/Study cells docs/study-hypergradients.md $(CELL_TABLE) $(CIFAR10) 6 6 - - - - \
	    'hypergradient, no implicit term' 'hypergradient, K = 0'
	.build/release/Study implicit docs/study-implicit.md $(CIFAR10) 1 101
	.build/release/Study objective docs/study-objective.md $(CIFAR10) 3 1
	.build/release/Study objective docs/study-objective-48000.md $(CIFAR10) 4 3 - - - 48000
endif

benchmark-training: setup
	swift build --configuration release --product TrainingBenchmark
	.build/release/TrainingBenchmark --python $(PYTORCH)

check: test
	swift format lint --strict --recursive Package.swift Sources Tests

format:
	swift format format --in-place --recursive Package.swift Sources Tests

build: setup
	swift build --configuration release --product martlet

setup: $(SCHEMA_CODE)
	$(call install,$(PACKAGES))

setup-test:
	$(call install,$(TEST_PACKAGES))

# Installs those of the packages that are missing.
define install
@missing=$$(for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
if [ -n "$$missing" ]; then \
    echo "installing" $$missing; \
    $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy --no-install-recommends $$missing; \
fi
endef

# The schema comes with libonnx-dev, so the packages are installed before it is looked for.
$(SCHEMA_CODE): Makefile
	$(call install,$(PACKAGES))
	mkdir -p Sources/CONNX/include
	protoc-c --proto_path=$(dir $(SCHEMA)) --c_out=Sources/CONNX $(notdir $(SCHEMA))
	mv Sources/CONNX/onnx.pb-c.h Sources/CONNX/include/
	touch $@
