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

from checks.manifests import WORKLOADS, Site, title
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


def namespace_of(objects):
    """The namespace that the workloads among some objects are in."""
    return next((found["metadata"].get("namespace") for found in objects if found["kind"] in WORKLOADS), None)


def check_site(root, objects, versions):
    """Everything that is wrong with the objects of an overlay and of the jobs in its namespace."""
    problems, schema = [], yaml.safe_load((root / "scaled-object.schema.yaml").read_text())
    for found in objects:
        if found["kind"] == "ScaledObject":
            problems += scaled_object_problems(found, schema, versions)
        else:
            problems += [p for version in versions for p in schema_problems(json.dumps(found, sort_keys=True), version)]
    if problems:
        # What the schemas refuse may have any structure, which the other checks do not expect.
        return problems
    catalogue = tomllib.loads((root / "settings.toml").read_text())
    doc = (root.parent / "docs" / "deploy-kubernetes.md").read_text()
    site = Site(objects, catalogue, doc, namespace_of(objects))
    return [problem for check in CHECKS for problem in check(site)]


def check_all(root, overlays, kubectl="kubectl", versions=tuple(VERSIONS)):
    """Names of what is checked with the objects in it and the problems of it: each overlay, then the jobs as such."""
    jobs, taken = {folder.name: render(kubectl, folder) for folder in folders(root, "jobs")}, set()
    for overlay in overlays:
        objects, problems = render(kubectl, overlay)
        for name, (rendered, _) in jobs.items():
            if namespace_of(rendered) == namespace_of(objects):
                taken.add(name)
                objects = objects + rendered
        yield overlay.name, objects, problems or check_site(root, objects, versions)
    problems = [f"{name} {problem}" for name, (_, wrong) in jobs.items() for problem in wrong]
    problems += [f"{name}: no overlay is in its namespace" for name in jobs.keys() - taken]
    yield "jobs", [found for rendered, _ in jobs.values() for found in rendered], problems + list(check_example(root))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=HERE, help="the folder with overlays/ and jobs/")
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("--versions", default=",".join(VERSIONS), help="of Kubernetes, at least two")
    args = parser.parse_args()
    versions, failed = tuple(args.versions.split(",")), False
    published_versions = list(dict.fromkeys(map(published.major_minor, published.all_versions())))
    if len(versions) < 2 or not set(versions) <= set(published_versions):
        parser.error(f"--versions needs two or more of {', '.join(published_versions)}")
    for name, objects, problems in check_all(args.root, folders(args.root, "overlays"), args.kubectl, versions):
        failed |= bool(problems)
        for problem in problems:
            print(f"{name}: {problem}")
        if not problems:
            own = " (ScaledObject by a schema of our own)" if any(o["kind"] == "ScaledObject" for o in objects) else ""
            print(f"{name}: {len(objects)} objects, good for Kubernetes {' and '.join(versions)}{own}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
