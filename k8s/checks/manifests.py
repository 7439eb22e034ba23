"""Rendered objects, the pods that they make, and what each program will find as its settings."""

import re
import tomllib
from dataclasses import dataclass, field
from itertools import pairwise

WORKLOADS = ("Deployment", "StatefulSet", "Job", "CronJob")
POD_IP = "(the pod's address)"
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
FACTORS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
FACTORS |= {f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTP", start=1)}
KINDS = {
    "address": r"\d+\.\d+\.\d+\.\d+:\d+",
    "host-port": r"[a-z0-9.-]+:\d+",
    "host": r"[a-z0-9.-]+",
    "port": r"\d+",
    "url": r"[a-z0-9]+://\S+",
    "dir": r"/\S*",
    "size": r"\d+(\.\d+)?\s*([kMGT]i?)?B?",
    "count": r"[1-9]\d*",
    "duration": r"(\d+(ms|s|m|h|d) ?)+",
    "switch": r"true|false",
    "text": r".+",
}


@dataclass
class Pod:
    """What a workload makes pods of."""

    owner: dict
    namespace: str
    labels: dict
    spec: dict

    @property
    def name(self):
        return f"{self.owner['kind']}/{self.owner['metadata']['name']}"

    @property
    def ports(self):
        """Port numbers by name."""
        found = {}
        for container in self.spec["containers"]:
            found |= {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
        return found

    def port(self, wanted):
        """The number of a port that is given by number or name, if the pod has it."""
        return self.ports.get(wanted) if isinstance(wanted, str) else wanted if wanted in self.ports.values() else None


@dataclass
class Program:
    """A container with the settings that its program will find."""

    pod: Pod
    container: dict
    entry: dict
    values: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)

    @property
    def name(self):
        return self.container["command"][0]


class Site:
    """The objects of one overlay, together with those of the jobs."""

    def __init__(self, objects, catalogue, doc, namespace):
        self.objects, self.catalogue, self.doc, self.namespace = objects, catalogue, doc, namespace
        self.pods = [as_pod(found) for found in objects if found["kind"] in WORKLOADS]
        self.programs = [program_of(self, pod, container) for pod in self.pods for container in pod.spec["containers"]]

    def of(self, kind):
        return [found for found in self.objects if found["kind"] == kind]

    def find(self, kind, name):
        return next((found for found in self.of(kind) if found["metadata"]["name"] == name), None)

    def behind(self, service):
        """The pods that a Service leads to."""
        selector = service["spec"].get("selector")
        return [pod for pod in self.pods if selector and selector.items() <= pod.labels.items()]

    def role(self, role):
        """The pod of the scheduler or of the executors."""
        return next((pod for pod in self.pods if pod.labels.get("app.kubernetes.io/component") == role), None)

    def program(self, name):
        return next((program for program in self.programs if program.name == name), None)

    def reaches(self, host, port):
        """Why `host:port` leads nowhere, or None."""
        name, _, rest = host.partition(".")
        service = self.find("Service", name)
        if service is None:
            return f"there is no Service {name}"
        if rest and rest.split(".")[0] != self.namespace:
            return f"the Service {name} is in the namespace {self.namespace}, not in {rest.split('.')[0]}"
        if port not in [found["port"] for found in service["spec"]["ports"]]:
            return f"the Service {name} has no port {port}"
        return None


def as_pod(owner):
    spec = owner["spec"]["jobTemplate"]["spec"] if owner["kind"] == "CronJob" else owner["spec"]
    template = spec["template"]
    return Pod(owner, owner["metadata"].get("namespace"), template["metadata"].get("labels", {}), template["spec"])


def title(found):
    return f"{found['kind']}/{found['metadata']['name']}"


def quantity(text):
    """A quantity as a number, or None if Kubernetes would not read it."""
    match = QUANTITY.fullmatch(str(text))
    return float(match[1]) * FACTORS.get(match[2], 1) if match else None


def seconds(text):
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h|d)", str(text)))


def selects(selector, labels):
    """Whether a label selector takes these labels; an empty one takes all."""
    for rule in selector.get("matchExpressions", []):
        value, inside = labels.get(rule["key"]), labels.get(rule["key"]) in rule.get("values", [])
        taken = {"In": inside, "NotIn": not inside, "Exists": value is not None, "DoesNotExist": value is None}
        if not taken.get(rule["operator"], False):
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def walk(value, path=()):
    """Every key with its value, and the path to it."""
    pairs = value.items() if isinstance(value, dict) else [(path[-1], part) for part in value]
    for key, part in pairs:
        here = (*path, key) if isinstance(value, dict) else path
        yield here, part
        if isinstance(part, (dict, list)):
            yield from walk(part, here)


# What a program will find as its settings: defaults, then its file, then the environment, then flags.


def program_of(site, pod, container):
    name = (container.get("command") or ["(the image's)"])[0]
    entry = site.catalogue.get(name)
    program = Program(pod, {**container, "command": [name]}, entry or {"settings": {}})
    if entry is None:
        program.problems.append(f"the program `{name}` is not in settings.toml")
        return program
    flags, environment = flags_of(container), environment_of(site, pod, container)
    program.values = {key: kind[1] for key, kind in entry["settings"].items() if len(kind) > 1}
    given = [("the variable", environment), ("the flag", flags)]
    config = flags.get("config") or environment.get("config")
    if config:
        text = mounted_text(site, pod, container, config)
        try:
            found = tomllib.loads(text or "")
            given.insert(0, (f"the key in {config}", {key.replace("_", "-"): found[key] for key in found}))
        except tomllib.TOMLDecodeError as error:
            program.problems.append(f"the file {config} is not TOML: {error}")
        if text is None:
            program.problems.append(f"the file {config} is not mounted from a ConfigMap")
    for where, values in given:
        for key, value in values.items():
            add_setting(program, where, key, value)
    for key in entry["required"]:
        if key not in program.values:
            program.problems.append(f"{name} needs the setting `{key}`, which nothing sets")
    return program


def add_setting(program, where, key, value):
    kind = program.entry["settings"].get(key)
    if kind is None:
        program.problems.append(f"{where} for `{key}` is not a setting of {program.name}")
        return
    pattern = KINDS[kind[0]] if isinstance(kind[0], str) else "|".join(kind[0])
    if value != POD_IP and not re.fullmatch(pattern, str(value)):
        program.problems.append(f"{where} for `{key}` has the value `{value}`, which is not a valid {kind[0]}")
        return
    program.values[key] = value


def flags_of(container):
    flags, words = {}, [*container.get("command", [])[1:], *container.get("args", [])]
    for word, following in pairwise([*words, ""]):
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            flags[key] = value if equals else following
    return flags


def environment_of(site, pod, container):
    values = {}
    for source in container.get("envFrom", []):
        found = site.find("ConfigMap", source.get("configMapRef", {}).get("name"))
        values |= (found or {}).get("data", {})
    for variable in container.get("env", []):
        origin = variable.get("valueFrom", {})
        value = variable.get("value")
        if origin.get("fieldRef", {}).get("fieldPath") == "status.podIP":
            value = POD_IP
        elif "resourceFieldRef" in origin:
            group, _, resource = origin["resourceFieldRef"]["resource"].partition(".")
            # Rounded up, as Kubernetes does.
            value = -int(-(quantity(container["resources"].get(group, {}).get(resource, 0)) or 0) // 1)
        values[variable["name"]] = value
    return {k[9:].lower().replace("_", "-"): v for k, v in values.items() if k.startswith("WINDLASS_")}


def mounted_text(site, pod, container, path):
    folder, _, name = path.rpartition("/")
    mount = next((found for found in container.get("volumeMounts", []) if found["mountPath"] == folder), {})
    volume = next((found for found in pod.spec.get("volumes", []) if found["name"] == mount.get("name")), {})
    found = site.find("ConfigMap", volume.get("configMap", {}).get("name"))
    return (found or {}).get("data", {}).get(name)
