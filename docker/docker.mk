# The cluster of containers, included by the Makefile, which sets WINDLASS and TARGET_DIR. docs/deploy-compose.md.
#
#   make compose-demo FOLDER=/path/to/code      other source code than this repository's
#   make compose-demo API_PORT=50151 HTTP_PORT=8180

.PHONY: compose-images compose-up compose-demo compose-down compose-test
compose-images: build
	@docker/setup.sh
	@TARGET_DIR="$(TARGET_DIR)" docker/images.sh

compose-up: compose-images ## Start a cluster of containers
	@docker/up.sh

compose-demo: compose-images ## Run examples/code_graph on a cluster of containers
	@WINDLASS="$(WINDLASS)" FOLDER="$(if $(filter command line environment,$(origin FOLDER)),$(FOLDER))" docker/demo.sh

compose-down: ## Stop that cluster and remove what it holds
	@docker/compose.sh down --volumes --remove-orphans

compose-test: setup ## Pass the container tests: executors killed, cut off, restarted (skipped without an engine)
	@if docker info >/dev/null 2>&1; then \
	    $(MAKE) --no-print-directory compose-images && \
	    WINDLASS_COMPOSE=1 cargo test --workspace --locked --test it -- compose:: --test-threads 1 --nocapture; \
	elif case ",$$WINDLASS_REQUIRE," in *,compose,*) true ;; *) false ;; esac; then \
	    echo "there is no container engine, and WINDLASS_REQUIRE names compose" >&2; exit 1; \
	else echo "skipped: no container engine"; fi
