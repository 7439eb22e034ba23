# The manifests of k8s/, included by the Makefile, which sets TARGET_DIR. docs/deploy-kubernetes.md is how to use them.

K8S_VERSIONS ?= 1.30,1.37

.PHONY: k8s-check k8s-flags
k8s-check: ## Check the Kubernetes manifests without a cluster, and that planted mistakes are found
	@tools=$$(k8s/tools.sh) && \
	    "$$tools/bin/python" -B k8s/check.py --kubectl "$$tools/bin/kubectl" --versions $(K8S_VERSIONS) && \
	    "$$tools/bin/python" -B k8s/check_planted.py --kubectl "$$tools/bin/kubectl"

k8s-flags: build ## Compare k8s/settings.toml with what the built programs say they take
	@tools=$$(k8s/tools.sh) && "$$tools/bin/python" -B k8s/check_settings.py "$(dir $(WINDLASS))"
