"""What no schema can see. Each rule takes a `Site` and yields what is wrong with it."""

import re
from urllib.parse import urlsplit

from checks.manifests import POD_IP, quantity, seconds, selects, title, walk

# Seconds that a program gets for leaving after its drain deadline.
LEAVING = 10
# A field of a time: a list or range of numbers or names, with a step; and the five of them.
TIMES = r"(\*|\w[\w,-]*)(/\d+)?"
SCHEDULE = re.compile(rf"{TIMES}( {TIMES}){{4}}|@(hourly|daily|weekly|monthly|yearly)")
# Words that the schemas leave open: by the key, or by the key above it and the key.
WORDS = {
    "protocol": "TCP UDP SCTP",
    "imagePullPolicy": "Always IfNotPresent Never",
    "accessModes": "ReadWriteOnce ReadOnlyMany ReadWriteMany ReadWriteOncePod",
    "policyTypes": "Ingress Egress",
    "operator": "In NotIn Exists DoesNotExist",
    "podManagementPolicy": "OrderedReady Parallel",
    "concurrencyPolicy": "Allow Forbid Replace",
    "restartPolicy": "Always OnFailure Never",
    "whenUnsatisfiable": "DoNotSchedule ScheduleAnyway",
    "fsGroupChangePolicy": "OnRootMismatch Always",
    "terminationMessagePolicy": "File FallbackToLogsOnError",
    "seccompProfile/type": "RuntimeDefault Localhost Unconfined",
    "unhealthyPodEvictionPolicy": "IfHealthyBudget AlwaysAllow",
    "strategy/type": "Recreate RollingUpdate",
    "updateStrategy/type": "RollingUpdate OnDelete",
    "policies/type": "Pods Percent",
    "metricType": "AverageValue Value",
    "target/type": "Utilization Value AverageValue",
    "metrics/type": "Resource Pods Object External ContainerResource",
}


def check_words(site):
    """Words and quantities that the schemas let pass."""
    for found in site.objects:
        for path, value in walk(found):
            allowed = WORDS.get("/".join(path[-2:])) or WORDS.get(path[-1])
            if allowed and isinstance(value, str) and value not in allowed.split():
                yield f"{title(found)}: {'.'.join(path)}: `{value}` is none of {allowed}"
            amount = len(path) > 1 and path[-2] in ("requests", "limits") or path[-1] == "sizeLimit"
            if amount and quantity(value) is None:
                yield f"{title(found)}: {'.'.join(path)}: `{value}` is not a quantity, such as 500m or 4Gi"


def check_namespace(site):
    """Everything is in one namespace."""
    for found in site.objects:
        if found["kind"] != "Namespace" and found["metadata"].get("namespace") != site.namespace:
            other = found["metadata"].get("namespace")
            yield f"{title(found)} is in the namespace {other}, the others in {site.namespace}"
    for found in site.of("Namespace"):
        if found["metadata"]["name"] != site.namespace:
            yield f"{title(found)} is not the namespace {site.namespace} that the objects are in"


def check_selectors(site):
    """Every selector takes some pod, and each workload's takes its own."""
    for service in site.of("Service"):
        pods = site.behind(service)
        if not pods:
            yield f"{title(service)}: its selector matches no pod"
        for port in service["spec"]["ports"]:
            for pod in pods:
                if pod.port(port.get("targetPort", port["port"])) is None:
                    yield f"{title(service)}: the target port {port.get('targetPort')} is not a port of {pod.name}"
    for pod in site.pods:
        selector = pod.owner["spec"].get("selector")
        if selector is not None and not selects(selector, pod.labels):
            yield f"{pod.name}: its selector does not match its own pods"
        for spread in pod.spec.get("topologySpreadConstraints", []):
            if not selects(spread.get("labelSelector", {}), pod.labels):
                yield f"{pod.name}: it is spread by a selector that does not match its own pods"
        governing = pod.owner["spec"].get("serviceName")
        service = site.find("Service", governing) if governing else None
        if pod.owner["kind"] == "StatefulSet" and (service is None or service["spec"].get("clusterIP") != "None"):
            yield f"{pod.name}: its serviceName {governing} is not a headless Service"
    for kind, key in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        for found in site.of(kind):
            if not any(selects(found["spec"][key], pod.labels) for pod in site.pods):
                yield f"{title(found)}: its selector matches no pod"


def check_references(site):
    """ConfigMaps, Secrets, claims, accounts and volumes that are referred to are there."""
    by_hand = site.catalogue["by-hand"]["secrets"]
    for secret in site.of("Secret"):
        yield f"{title(secret)}: a secret does not belong into the manifests"
    for secret in by_hand:
        if f"create secret generic {secret}" not in site.doc:
            yield f"Secret/{secret}: docs/deploy-kubernetes.md does not say how it is made"
    for pod in site.pods:
        if site.find("ServiceAccount", pod.spec.get("serviceAccountName")) is None:
            yield f"{pod.name}: there is no ServiceAccount {pod.spec.get('serviceAccountName')}"
        for kind, name, keys in references(pod):
            found = site.find(kind, name)
            if found is None and not (kind == "Secret" and name in by_hand):
                yield f"{pod.name}: there is no {kind} {name}" + (" in settings.toml" if kind == "Secret" else "")
            for key in keys:
                if found is not None and key not in found.get("data", {}):
                    yield f"{pod.name}: {kind} {name} has no key {key}"
        volumes = {volume["name"] for volume in pod.spec.get("volumes", [])}
        for container in pod.spec["containers"]:
            mounts = [mount["name"] for mount in container.get("volumeMounts", [])]
            yield from (f"{pod.name}: there is no volume {name} to mount" for name in mounts if name not in volumes)
            yield from (f"{pod.name}: nothing mounts the volume {name}" for name in volumes if name not in mounts)


def references(pod):
    """Kind, name and keys of what a pod refers to."""
    for volume in pod.spec.get("volumes", []):
        if "configMap" in volume:
            source = volume["configMap"]
            yield "ConfigMap", source["name"], [item["key"] for item in source.get("items", [])]
        if "secret" in volume:
            source = volume["secret"]
            yield "Secret", source["secretName"], [item["key"] for item in source.get("items", [])]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], []
    for container in pod.spec["containers"]:
        for origin in [*container.get("envFrom", []), *(env.get("valueFrom", {}) for env in container.get("env", []))]:
            for key, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
                for reference in (origin.get(f"{key}Ref"), origin.get(f"{key}KeyRef")):
                    if reference:
                        yield kind, reference["name"], [reference["key"]] if "key" in reference else []


def check_security(site):
    """Every container is restricted, and no pod gets what it does not need."""
    for found in site.of("Namespace"):
        if found["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{title(found)}: it must enforce the restricted profile of pod security"
    for pod in site.pods:
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod.name}: automountServiceAccountToken must be false"
        if pod.spec.get("enableServiceLinks") is not False:
            yield f"{pod.name}: enableServiceLinks must be false, or Services turn into WINDLASS_… variables"
        for key in ("hostNetwork", "hostPID", "hostIPC", "initContainers"):
            if pod.spec.get(key):
                yield f"{pod.name}: {key} is not expected here"
        for container in pod.spec["containers"]:
            where = f"{pod.name}: container {container['name']}"
            context = {**pod.spec.get("securityContext", {}), **container.get("securityContext", {})}
            wanted = {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }
            for key, value in wanted.items():
                if context.get(key) != value:
                    yield f"{where}: securityContext.{key} is {context.get(key)}, not {value}"
            image, _, tag = container["image"].rpartition(":")
            if not image or tag == "latest":
                yield f"{where}: the image {container['image']} names no version"
            given = container.get("resources", {})
            for group, resource in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
                if resource not in given.get(group, {}):
                    yield f"{where}: resources.{group}.{resource} is missing"
            for resource, limit in given.get("limits", {}).items():
                if (quantity(given.get("requests", {}).get(resource, 0)) or 0) > (quantity(limit) or 0):
                    yield f"{where}: more {resource} is requested than its limit"


def check_settings(site):
    """What the programs find as settings is known, readable and fits the pod."""
    for program in site.programs:
        pod, container, values = program.pod, program.container, program.values
        where = f"{pod.name}: container {container['name']}"
        yield from (f"{where}: {problem}" for problem in program.problems)
        for key in program.entry.get("binds", []):
            address = str(values.get(key, ""))
            if address.partition(":")[0] != "0.0.0.0":
                yield f"{where}: `{key}` is {address}, which nothing outside of the pod reaches"
        listening = [
            int(str(values[key]).rpartition(":")[2])
            for key in program.entry.get("binds", [])
            if ":" in str(values[key])
        ]
        listening += [int(values[key]) for key in ("flight-port", "grpc-port") if key in values]
        named = sorted(pod.ports.values())
        if sorted(listening) != named:
            yield f"{where}: the program listens on {sorted(listening)}, the container names {named}"
        mounts = [mount["mountPath"] for mount in container.get("volumeMounts", []) if not mount.get("readOnly")]
        for key in program.entry.get("writes", []):
            folder = values.get(key, "")
            if not any(folder == mount or folder.startswith(f"{mount}/") for mount in mounts):
                yield f"{where}: `{key}` is {folder}, where nothing that can be written is mounted"


def check_addresses(site):
    """Who is told an address reaches somebody under it."""
    for program in site.programs:
        values, where = program.values, program.pod.name
        targets = [
            ("scheduler", str(values.get("scheduler", "")), "engine-bind"),
            ("cluster", urlsplit(str(values.get("cluster", ""))).netloc, "api-bind"),
        ]
        # A scheduler that is one of several is reached at its own address.
        if program.name == "windlass-scheduler" and values.get("advertised-host") != POD_IP:
            port = str(values.get("engine-bind", "")).rpartition(":")[2]
            targets.append(("advertised-host", f"{values.get('advertised-host', '')}:{port}", "engine-bind"))
        if program.name == "windlass-executor" and values.get("advertised-host") != POD_IP:
            yield f"{where}: `advertised-host` must be the pod's own address, status.podIP"
        for key, address, bind in targets:
            host, _, port = address.rpartition(":")
            if key not in values and key != "advertised-host":
                continue
            wrong = site.reaches(host, int(port) if port.isdigit() else None)
            if wrong:
                yield f"{where}: `{key}` leads to {address}: {wrong}"
                continue
            service = site.find("Service", host.partition(".")[0])
            served = next(found for found in service["spec"]["ports"] if found["port"] == int(port))
            scheduler = site.program("windlass-scheduler")
            number = str(scheduler.values.get(bind, "")).rpartition(":")[2] if scheduler else ""
            for pod in site.behind(service):
                if str(pod.port(served.get("targetPort", served["port"]))) != number:
                    yield f"{where}: `{key}` leads to {address}, behind which is not the scheduler's {bind}"
            if bind == "engine-bind" and not service["spec"].get("publishNotReadyAddresses"):
                yield f"{title(service)}: without publishNotReadyAddresses executors lose a scheduler that drains"


def check_agreement(site):
    """Scheduler and executors agree on what both must know."""
    scheduler, executor = site.program("windlass-scheduler"), site.program("windlass-executor")
    if scheduler is None or executor is None:
        yield "there is no scheduler or no executor"
        return
    ours, theirs = scheduler.values.get("message-limit"), executor.values.get("message-limit")
    if ours != theirs:
        yield f"message-limit: the scheduler has {ours}, executors {theirs}"
    if 3 * seconds(executor.values.get("heartbeat")) > seconds(scheduler.values.get("executor-timeout")):
        yield "executor-timeout: it must outlast three heartbeats"
    owner, state = scheduler.pod.owner, scheduler.values.get("state-dir")
    is_shared = "state" in scheduler.values
    if owner["spec"].get("strategy", {}).get("type") != "Recreate":
        yield f"{scheduler.pod.name}: there may be one version of the scheduler at a time: strategy Recreate"
    if owner["spec"].get("replicas") != 1:
        if not is_shared:
            yield f"{scheduler.pod.name}: there may be one scheduler at a time without `state` in an etcd: replicas 1"
        yield from check_several(site, scheduler, executor)
    kept = {volume["name"] for volume in scheduler.pod.spec["volumes"] if "persistentVolumeClaim" in volume}
    mounts = {mount["name"] for mount in scheduler.container["volumeMounts"] if mount["mountPath"] == state}
    if not is_shared and not mounts & kept:
        yield f"{scheduler.pod.name}: the state in {state} is not on a volume that outlives the pod"
    home = str(scheduler.values.get("home", ""))
    if home.startswith("file://"):
        for program in (scheduler, executor):
            if home.removeprefix("file://") not in [mount["mountPath"] for mount in program.container["volumeMounts"]]:
                yield f"{program.pod.name}: the home {home} is not mounted"
    else:
        for program in (scheduler, executor):
            if not any("secretRef" in source for source in program.container.get("envFrom", [])):
                yield f"{program.pod.name}: the home {home} needs credentials, and no Secret is among its variables"


def check_several(site, scheduler, executor):
    """Executors find each of several schedulers, and each is reached under its own address."""
    if scheduler.values.get("advertised-host") != POD_IP:
        yield f"{scheduler.pod.name}: `advertised-host` of one of several must be its own address, status.podIP"
    service = site.find("Service", str(executor.values.get("scheduler", "")).partition(":")[0])
    if service is not None and service["spec"].get("clusterIP") != "None":
        yield f"{title(service)}: it must be headless, so that executors see each of several schedulers"


def check_lifecycle(site):
    """Probes ask what the program answers, and a drain has the time it needs."""
    for program in site.programs:
        pod, container = program.pod, program.container
        where = f"{pod.name}: container {container['name']}"
        if "drain-deadline" not in program.entry["settings"]:
            continue
        http = str(program.values.get("http-bind", "")).rpartition(":")[2]
        for probe, asked in (
            ("startupProbe", "liveness"),
            ("livenessProbe", "liveness"),
            ("readinessProbe", "readiness"),
        ):
            call = container.get(probe, {}).get("httpGet", {})
            if str(pod.port(call.get("port"))) != http:
                yield f"{where}: {probe} asks port {call.get('port')}, not the program's http port {http}"
            if call.get("path") != program.entry[asked]:
                yield f"{where}: {probe} asks {call.get('path')}, not {program.entry[asked]}"
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        needed = pause + seconds(program.values.get("drain-deadline")) + LEAVING
        grace = pod.spec.get("terminationGracePeriodSeconds", 30)
        patience = pod.owner["spec"].get("progressDeadlineSeconds", 600)
        if pod.owner["kind"] == "Deployment" and patience <= grace:
            yield f"{pod.name}: progressDeadlineSeconds is {patience}, but an old pod may take {grace} to leave"
        if grace < needed:
            yield (
                f"{where}: terminationGracePeriodSeconds is {grace}, but the pause before SIGTERM, the drain deadline "
                f"and {LEAVING} s for leaving are {needed:g}"
            )


def check_schedules(site):
    """What is done again and again has a time, and is not done twice at a time."""
    for found in site.of("CronJob"):
        spec = found["spec"]
        if not SCHEDULE.fullmatch(spec["schedule"]):
            yield f"{title(found)}: `{spec['schedule']}` is not a schedule, such as 30 2 * * *"
        if "timeZone" not in spec:
            yield f"{title(found)}: without timeZone its schedule is in the time zone of the control plane"
        if spec.get("concurrencyPolicy") != "Forbid":
            yield f"{title(found)}: its jobs must not overlap: concurrencyPolicy Forbid"
        if spec["jobTemplate"]["spec"].get("backoffLimit") != 0:
            yield f"{title(found)}: the next job does what one has left: backoffLimit 0"


def check_scaling(site):
    """One autoscaler at most, which alone sets the number; disruption budgets that let something happen."""
    known, executor = site.catalogue["metrics"]["scheduler"], site.program("windlass-executor")
    scalers = site.of("HorizontalPodAutoscaler") + site.of("ScaledObject")
    for pod in site.pods:
        mine = [found for found in scalers if found["spec"]["scaleTargetRef"]["name"] == pod.owner["metadata"]["name"]]
        if len(mine) > 1:
            yield f"{pod.name}: more than one autoscaler: {', '.join(map(title, mine))}"
        if mine and "replicas" in pod.owner["spec"]:
            yield f"{pod.name}: an autoscaler sets the number of replicas, so the manifest must not"
        budgets = [found for found in site.of("PodDisruptionBudget") if selects(found["spec"]["selector"], pod.labels)]
        for found in budgets:
            if found["spec"].get("maxUnavailable") in (0, "0%") or "minAvailable" in found["spec"]:
                yield f"{title(found)}: set maxUnavailable to one or more, or nodes cannot be emptied"
    for found in scalers:
        target = found["spec"]["scaleTargetRef"]
        if site.find(target.get("kind", "Deployment"), target["name"]) is None:
            yield f"{title(found)}: there is no {target.get('kind', 'Deployment')} {target['name']}"
    for found in site.of("ScaledObject"):
        least, most = found["spec"].get("minReplicaCount", 0), found["spec"].get("maxReplicaCount", 100)
        if not 1 <= least <= most:
            yield f"{title(found)}: between {least} and {most} executors: there must always be one"
        for trigger in found["spec"]["triggers"]:
            where, metric = f"{title(found)}: trigger {trigger['name']}", trigger["metadata"]["valueLocation"]
            url = urlsplit(trigger["metadata"]["url"])
            wrong = site.reaches(url.hostname, url.port) or (None if "." in url.hostname else "it lacks the namespace")
            if wrong:
                yield f"{where}: {url.netloc}: {wrong}"
            if metric not in known:
                yield f"{where}: the scheduler has no metric {metric}"
        modifiers = found["spec"].get("advanced", {}).get("scalingModifiers", {})
        names = {trigger["name"] for trigger in found["spec"]["triggers"]}
        for word in set(re.findall(r"[a-z_]+", modifiers.get("formula", ""))) - names:
            yield f"{title(found)}: the formula has `{word}`, which is not a trigger"
        target, vcores = modifiers.get("target", 0), executor.values.get("vcores", 0) if executor else 0
        if float(target) != float(vcores):
            yield f"{title(found)}: its target is {target} tasks, an executor takes {vcores}"


def covers(entry, target, port):
    """Whether an entry under a rule's `ports` is for a TCP port of `target`."""
    first = target.ports.get(entry["port"]) if isinstance(entry.get("port"), str) else entry.get("port", 0)
    last = entry.get("endPort", first if "port" in entry else 65535)
    return entry.get("protocol", "TCP") == "TCP" and first is not None and first <= port <= last


def admitted(site, source, target, port):
    """Whether the policies let a pod (namespace, its labels, the pod's labels) reach a port of `target`."""
    namespace, namespace_labels, labels = source
    closed = False
    for policy in site.of("NetworkPolicy"):
        spec = policy["spec"]
        if not selects(spec["podSelector"], target.labels) or "Ingress" not in spec.get("policyTypes", ["Ingress"]):
            continue
        closed = True
        for rule in spec.get("ingress", []):
            if rule.get("ports") and not any(covers(entry, target, port) for entry in rule["ports"]):
                continue
            for peer in rule.get("from") or [{"ipBlock": {}}]:
                here = "namespaceSelector" not in peer and namespace == site.namespace
                there = "namespaceSelector" in peer and selects(peer["namespaceSelector"], namespace_labels)
                if "ipBlock" in peer or (here or there) and selects(peer.get("podSelector", {}), labels):
                    return True
    return not closed


def check_network(site):
    """The policies let through what the cluster needs, and nothing else."""
    scheduler, executor = site.role("scheduler"), site.role("executor")
    if not (scheduler and executor) or not {"engine", "api", "http"} <= scheduler.ports.keys():
        yield "the pods of scheduler and executors cannot be told by their labels and their ports' names"
        return
    home = (site.namespace, {"kubernetes.io/metadata.name": site.namespace})
    client, other = {"windlass-client": "true"}, {"kubernetes.io/metadata.name": "other"}
    monitoring = {"kubernetes.io/metadata.name": "monitoring"}
    # A client, its namespace and labels, and the ports that are open to it.
    expected = [
        ("the scheduler", (*home, scheduler.labels), {"flight", "grpc"}),
        ("an executor", (*home, executor.labels), {"engine", "flight"}),
        ("a labelled client", (*home, client), {"api"}),
        ("a labelled client in a labelled namespace", ("other", {**other, **client}, client), {"api"}),
        ("a labelled client in another namespace", ("other", other, client), set()),
        ("a pod that lacks the label", (*home, {"app": "stranger"}), set()),
        ("a pod of another namespace", ("other", other, {"app": "stranger"}), set()),
        ("a pod of another namespace with an executor's labels", ("other", other, executor.labels), set()),
        ("a collector of metrics", ("monitoring", monitoring, {}), {"http"}),
        ("KEDA's operator", ("keda", {"kubernetes.io/metadata.name": "keda"}, {}), {"http"}),
    ]
    jobs = [pod for pod in site.pods if pod.owner["kind"] in ("Job", "CronJob")]
    expected += [(f"the pod of {job.name}", (*home, job.labels), {"api"}) for job in jobs]
    for who, source, allowed in expected:
        for pod in (scheduler, executor):
            for name, number in pod.ports.items():
                reached = admitted(site, source, pod, number)
                if reached and name not in allowed:
                    yield f"NetworkPolicy: {who} reaches the port {name} ({number}) of {pod.name}"
                if not reached and name in allowed:
                    yield f"NetworkPolicy: {who} does not reach the port {name} ({number}) of {pod.name}"


CHECKS = [
    check_words,
    check_namespace,
    check_selectors,
    check_references,
    check_security,
    check_settings,
    check_addresses,
    check_agreement,
    check_lifecycle,
    check_schedules,
    check_scaling,
    check_network,
]
