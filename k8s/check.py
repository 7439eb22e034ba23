"""Checks what `kubectl kustomize` makes of every overlay and job here. No cluster is needed.

    check.py [--root DIR] [--kubectl PROGRAM] [--versions 1.30,1.37]

First the published schemas of the named Kubernetes versions, in which a field that does not exist is an error; then
what no schema can see: whether the objects fit one another, the programs' settings and the rules of this project.
Each problem is one line; the exit code is 1 if there is any. check_planted.py proves that mistakes are found.
"""

import argparse
import functools
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml
from kubernetes_validate import utils as published

from checks.manifests import Site, title
from checks.rules import CHECKS

HERE = Path(__file__).resolve().parent
# The first version whose preStop may sleep by default, and the newest that the package has schemas of.
VERSIONS = ["1.30", "1.37"]


@functools.cache
def schema_problems(text, version):
    """What the schema of a version says against an object. Cached, since most objects are in several overlays."""
    found = json.loads(text)
    try:
        kubernetes_validate.validate(found, version, strict=True)
    except published.ValidationError as error:
        return [f"{title(found)}: Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"]
    except published.SchemaNotFoundError as error:
        return [f"{title(found)}: {error.message}"]
    return []


def scaled_object_problems(found, schema, versions):
    """What is wrong with a ScaledObject, its scaling behaviour told by the schema of an autoscaler."""
    errors = jsonschema.Draft202012Validator(schema).iter_errors(found)
    problems = [f"{title(found)}: {'.'.join(map(str, error.path))}: {error.message}" for error in errors]
    behavior = found["spec"].get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": found["metadata"],
        "spec": {"maxReplicas": 1, "scaleTargetRef": {"kind": "-", "name": "-"}, "behavior": behavior},
    }
    return problems + [p for v in versions for p in schema_problems(json.dumps(autoscaler, sort_keys=True), v)]


def render(kubectl, folder):
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        return [], [f"does not render: {done.stderr.strip()}"]
    return [
        found for found in yaml.load_all(done.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if found
    ], []


def folders(root, below):
    return sorted(path.parent for path in (root / below).glob("*/kustomization.yaml"))


def check_example(root):
    """The example of a Secret has no values."""
    for line in (root / "storage.env.example").read_text().splitlines():
        if not line.startswith("#") and line.partition("=")[2]:
            yield f"storage.env.example: {line.partition('=')[0]} has a value"


def check_overlay(root, overlay, kubectl="kubectl", versions=tuple(VERSIONS)):
    """The objects of one overlay with those of the jobs, and everything that is wrong with them."""
    objects, problems = [], list(check_example(root))
    for folder in [overlay, *folders(root, "jobs")]:
        rendered, wrong = render(kubectl, folder)
        objects += rendered
        problems += [f"{folder.name} {text}" for text in wrong]
    schema = yaml.safe_load((root / "scaled-object.schema.yaml").read_text())
    for found in objects:
        if found["kind"] == "ScaledObject":
            problems += scaled_object_problems(found, schema, versions)
        else:
            problems += [p for version in versions for p in schema_problems(json.dumps(found, sort_keys=True), version)]
    # What the schemas refuse may have any shape, which the other checks do not expect.
    if not problems:
        catalogue = tomllib.loads((root / "settings.toml").read_text())
        doc = (root.parent / "docs" / "deploy-kubernetes.md").read_text()
        site = Site(objects, catalogue, doc, objects[0]["metadata"].get("namespace") or objects[0]["metadata"]["name"])
        problems = [problem for check in CHECKS for problem in check(site)]
    return objects, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=HERE, help="the folder with overlays/ and jobs/")
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("--versions", default=",".join(VERSIONS), help="of Kubernetes, at least two")
    args = parser.parse_args()
    versions, failed = tuple(args.versions.split(",")), False
    for overlay in folders(args.root, "overlays"):
        objects, problems = check_overlay(args.root, overlay, args.kubectl, versions)
        failed |= bool(problems)
        for problem in problems:
            print(f"{overlay.name}: {problem}")
        if not problems:
            own = " (ScaledObject by a schema of our own)" if any(o["kind"] == "ScaledObject" for o in objects) else ""
            print(f"{overlay.name}: {len(objects)} objects, good for Kubernetes {' and '.join(versions)}{own}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
