# Thin names for the scripts; nothing here that they do not do alone.
.PHONY: build test quickstart

build:
	swift build -c release

test:
	bash Tests/run.sh

quickstart:
	bash recipes/quickstart.sh
