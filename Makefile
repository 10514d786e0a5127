# Stream Manager. On a fresh machine `make run` and `make test` are all it takes: both install what
# is missing (tools/deps.sh says what, and how to do it by hand).

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

# The feature for the FFmpeg that is installed. Recursive on purpose: it is asked for after `deps`
# has installed it.
AVCODEC_MAJOR = $(firstword $(subst ., ,$(shell pkg-config --modversion libavcodec 2>/dev/null)))
FFMPEG_OF_59 := ffmpeg5
FFMPEG_OF_60 := ffmpeg6
FFMPEG_OF_61 := ffmpeg7
FFMPEG_OF_62 := ffmpeg8
FFMPEG = $(FFMPEG_OF_$(AVCODEC_MAJOR))
# The default ones beside it.
ENCODERS := ,nvenc,vaapi,x264
# The default feature is left alone where it is the right one, so that a bare `cargo build` and
# `make` share what they have built.
FEATURES = $(if $(FFMPEG),$(if $(filter ffmpeg5,$(FFMPEG)),,--no-default-features \
	--features $(FFMPEG)$(ENCODERS)),$(error no FFmpeg that is known: pkg-config says libavcodec \
	"$(AVCODEC_MAJOR)", and 59 to 62 will do. `make deps` installs it))

# Passed on to the program: make run ARGS="--config examples/seed.toml".
ARGS ?=
# Narrows `make check`: make check TEST=rtmp::.
TEST ?=

.PHONY: help run test check fmt lint doc bench deps deps-run screenshot contact-sheet show web

help:
	@echo 'make run         build and start the node with a demo programme (ARGS="--config FILE")'
	@echo 'make test        everything that must pass: format, lints, documentation, all tests'
	@echo 'make check       the tests alone, without installing anything (TEST=name of some)'
	@echo 'make fmt         format the code'
	@echo 'make lint        format and lints, as make test checks them'
	@echo 'make doc         the library documentation, under target/doc'
	@echo 'make web         build the dashboard into web/dist, which the program embeds'
	@echo 'make bench       the benchmarks'
	@echo 'make deps        install what building and testing take, and nothing else'
	@echo 'make screenshot  play the demo programme into docs/demo.png'
	@echo 'make contact-sheet  render every scene of examples/scenes.toml into docs/scenes.md'
	@echo 'make show        run the show of docs/show.md for five minutes, and make its pictures'

run: deps-run
	cargo build --release --bin stream-manager $(FEATURES)
	@exec target/release/stream-manager run $(ARGS)

test: deps
	@FEATURES="$(FEATURES)" tools/test.sh

check:
	cargo test $(FEATURES) $(TEST)

fmt:
	cargo fmt --all

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets $(FEATURES) -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" \
		cargo doc --no-deps --document-private-items $(FEATURES)

web:
	tools/web.sh build

bench:
	cargo bench $(FEATURES)

deps:
	@tools/deps.sh test

deps-run:
	@tools/deps.sh run

screenshot: deps
	cargo build --release --bin stream-manager $(FEATURES)
	tools/screenshot.sh docs/demo.png

contact-sheet: deps
	cargo build --release --bin stream-manager $(FEATURES)
	tools/contact_sheet.sh

show: deps
	tools/web.sh check
	SHOW_SECONDS=300 SHOW_PICTURES=docs/show \
		cargo test --release $(FEATURES) --test node show:: -- --nocapture
