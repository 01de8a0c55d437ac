# make demo       light environment (.venv, no torch); plays a camera bag through the node; report in out/demo/
# make test       everything (.venv-dev), then all tests
# make test-torch28  exports with torch 2.8, as for a Jetson Orin, in an environment of its own (.venv-torch28)
# make test-jazzy    the ROS tests on ROS 2 Jazzy, in an environment of its own (.venv-jazzy)
# make reproduce  the papers' tables on SynthOR, hours; goes on where it was; tables and plots in runs/reduced/
# make weights    the shipped models from rendered images, hours, one part on a GPU; goes on where it was; models in runs/models/
# Variables: PYTHON, SAMPLE (a bag, images or a video to play), DEMO_OPTIONS (of `orpose replay`), PYTEST_OPTIONS

# Real reduced frames where they lie beside the checkout, else the bundled clip.
REAL := ../shared/data/mvor_seq1_x12_color
ifneq ($(wildcard $(REAL)),)
SAMPLE ?= $(REAL)
DEMO_OPTIONS ?= $(if $(filter $(REAL),$(SAMPLE)),--fps 10 --frame-size 640x480)
else
SAMPLE ?= $(firstword $(wildcard samples/or_clip*))
DEMO_OPTIONS ?= $(if $(filter samples/or_clip,$(SAMPLE)),--annotations samples/or_clip_annotations.json)
endif
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$python ros_ws/check_python.py 2>/dev/null && echo $$python && break; done)

MESSAGES := $(wildcard ros_ws/src/orpose_msgs/*.* ros_ws/src/orpose_msgs/msg/*.msg) ros_ws/build_msgs.py
PIP_INSTALL := -m pip install --disable-pip-version-check --quiet --editable

.PHONY: .venv .venv-dev msgs demo test test-torch28 test-jazzy lint reproduce weights clean help

help:
	@head -n 7 Makefile | sed 's/^# //'

# For the tests that convert without a GPU. In a folder of its own: without a GPU its import fails unless it is told of one.
# Most of what it depends on is for other things.
TORCH_TENSORRT := -m pip install --disable-pip-version-check --quiet --no-deps --upgrade \
	--target .venv-dev/torch-tensorrt-rtx torch-tensorrt-rtx==2.12.1 dllist==2.0.0

# For identities in `orpose replay` and `orpose evaluate`. What it depends on is there, but for a second OpenCV that would overwrite ours.
TRACKEVAL := -m pip install --disable-pip-version-check --quiet --no-deps trackeval==1.3.0

# The stamps make a second run do nothing, without asking any package index.
.venv: .venv/.messages
.venv-dev: .venv-dev/.messages
msgs: .venv/.messages

.venv/.installed: pyproject.toml setup.py
	@$(or $(PYTHON),python3) ros_ws/check_python.py
	@echo "installing into .venv, 2 to 4 minutes; pip says nothing meanwhile"
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP_INSTALL) '.[ros,replay]'
	.venv/bin/python $(TRACKEVAL)
	@touch $@

.venv-dev/.installed: pyproject.toml setup.py
	@$(or $(PYTHON),python3) ros_ws/check_python.py
	@echo "installing into .venv-dev, torch included: several minutes; pip says nothing meanwhile"
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/python $(PIP_INSTALL) '.[dev]'
	.venv-dev/bin/python $(TORCH_TENSORRT)
	.venv-dev/bin/python $(TRACKEVAL)
	@touch $@

%/.messages: %/.installed $(MESSAGES)
	$*/bin/python ros_ws/build_msgs.py
	@touch $@

demo: .venv/.messages
	.venv/bin/orpose replay '$(SAMPLE)' --out out/demo $(DEMO_OPTIONS)

# Tests that watch the clock run alone, the others two at a time; a process that dies ends the run and its test is named.
# A selection is for pytest itself: `make test` ends where -k leaves nothing.
TIMED_TESTS := tests/orpose_ros tests/orpose/test_replay.py tests/examples tests/test_packaging.py

test: .venv-dev/.messages
	.venv-dev/bin/python -m pytest --numprocesses 2 --dist loadfile --max-worker-restart 0 $(TIMED_TESTS:%=--ignore %) $(PYTEST_OPTIONS)
	.venv-dev/bin/python -m pytest $(TIMED_TESTS) $(PYTEST_OPTIONS)

.venv-torch28/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-torch28
	.venv-torch28/bin/python $(PIP_INSTALL) . torch==2.8.0 torchvision==0.23.0 onnx onnxscript safetensors
	@touch $@

test-torch28: .venv-dev/.messages .venv-torch28/.installed
	ORPOSE_TORCH28_PYTHON=$(CURDIR)/.venv-torch28/bin/python \
		.venv-dev/bin/python -m pytest $(PYTEST_OPTIONS) tests/orpose_models/export/test_torch28.py

.venv-jazzy/.installed: pyproject.toml setup.py
	@$(or $(PYTHON),python3) ros_ws/check_python.py
	$(PYTHON) -m venv .venv-jazzy
	.venv-jazzy/bin/python $(PIP_INSTALL) '.[jazzy]'
	@touch $@

test-jazzy: .venv-jazzy/.messages
	.venv-jazzy/bin/python -m pytest $(PYTEST_OPTIONS) tests/orpose_ros tests/orpose/test_replay.py

reproduce: .venv-dev/.messages
	.venv-dev/bin/python -m training.reproduce training/configs/reproduce.yaml

weights: .venv-dev/.messages
	.venv-dev/bin/python -m training.weights training/configs/weights.yaml

lint: .venv-dev/.messages
	.venv-dev/bin/ruff check
	.venv-dev/bin/ruff format --check
	.venv-dev/bin/mypy

# The environments stay: `rm -r .venv .venv-dev .venv-torch28 .venv-jazzy` removes them.
clean:
	rm -rf out build ros_ws/build ros_ws/install ros_ws/log *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
