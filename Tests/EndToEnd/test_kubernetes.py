"""The chart, the Kustomize base and the recipes of deploy/kubernetes, by the real helm and kubectl, with no cluster: what they
make is valid by Kubernetes' own schemas, and holds what docs/kubernetes.md says. scripts/kubernetes-check runs this alone."""

import copy
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
CHART = FOLDER / "chart"
SCHEMAS = pathlib.Path(__file__).parent / "kubernetes_schemas"
VALUES = sorted((CHART / "ci").glob("*.yaml"))
RECIPES = sorted(FOLDER.glob("recipes*/*.yaml"))
CLUSTER = "1.34"
IDENTITY = {"x-auth-user", "x-auth-email", "x-auth-kind", "x-auth-subject", "x-auth-expires"}
ASKED = {"cf-access-jwt-assertion", "cookie"}


def missing(what):
    assert "EVERY_PROXY" not in os.environ, f"{what} is missing, and here it must not be"
    pytest.skip(f"no {what}", allow_module_level=True)


for tool in ("helm", "kubectl"):
    if not shutil.which(tool):
        missing(tool)
try:
    import jsonschema
    import kubernetes_validate
    import yaml
except ImportError as error:
    missing(error.name)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs helm or kubectl with a home of their own, so that no cluster or setting of the person's is found."""
    home = tmp_path_factory.mktemp("home")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(home / "none")}

    def run(*command, code=0):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + (done.stderr if code else "")

    return run


@pytest.fixture(scope="module")
def render(run):
    """The documents of the chart."""
    return lambda *options, name="gw": documents(
        run("helm", "template", name, CHART, "--namespace", "edge", "--kube-version", CLUSTER + ".0", *options))


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def problem(document):
    """What is wrong with a document, by Kubernetes' strict schema (no unknown field) or the one beside this file."""
    own = SCHEMAS / f"{document['apiVersion'].replace('/', '_')}_{document['kind']}.json"
    try:
        if own.exists():
            jsonschema.Draft202012Validator(json.loads(own.read_text())).validate(document)
        else:
            kubernetes_validate.validate(document, CLUSTER, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        return f"{document['kind']} {document['metadata']['name']}: {error.message} at {list(error.absolute_path)}"
    return None


def problems(documents):
    return [wrong for wrong in map(problem, documents) if wrong]


def one(documents, kind):
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def pod(documents):
    return one(documents, "Deployment")["spec"]["template"]["spec"]


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_the_chart_passes_lint_and_makes_valid_documents(run, render, values):
    run("helm", "lint", "--strict", CHART, "--values", values)
    made = render("--values", values)
    kinds = {document["kind"] for document in made}
    assert {"Deployment", "Service", "PodDisruptionBudget"} <= kinds
    assert not problems(made)


def test_five_value_files_use_every_value(render):
    """A value that no file sets is a value that nothing tries."""
    assert len(VALUES) == 5
    used = set()
    for path in VALUES:
        used |= set(yaml.safe_load(path.read_text()))
    assert used == set(yaml.safe_load((CHART / "values.yaml").read_text()))
    assert used | {"global"} == set(json.loads((CHART / "values.schema.json").read_text())["properties"])


@pytest.mark.parametrize("flag, why", [
    ([], "whose tokens count"),
    (["settings.team_domain=acme", "replicas=1"], "replicas"),
    (["settings.team_domain=acme", "autoscaling.minReplicas=1"], "minReplicas"),
    (["settings.team_domain=acme", "autoscaling.maxReplicas=2", "autoscaling.minReplicas=3"], "maxReplicas"),
    (["settings.team_domain=acme", "settings.listen=0.0.0.0:1"], "listen"),
    (["settings.team_domain=acme", "settings.Team=x"], "Team"),
    (["settings.team_domain=acme", "image.digest=sha256:1"], "digest"),
    (["settings.team_domain=acme", "typo=1"], "typo"),
    (["settings.team_domain=acme", "policyTests=version: 1"], "config"),
    (["settings.team_domain=acme", "config.version=1"], "config"),
    (["config=version: 1", "revoked=revoked: []"], "revoked is in force only"),
], ids=str)
def test_values_that_make_no_sense_are_refused(run, flag, why):
    sets = [word for one in flag for word in ("--set", one)]
    assert why in run("helm", "template", "gw", CHART, *sets, code=1)


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_pods_are_restricted_spread_and_end_gently(render, values):
    made = render("--values", values)
    spec = pod(made)
    pods = [spec] + [document["spec"] for document in made if document["kind"] == "Pod"]
    for one_pod in pods:
        assert one_pod["automountServiceAccountToken"] is False
        assert one_pod["securityContext"]["runAsNonRoot"] is True
        assert one_pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in one_pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
            assert container["resources"]["requests"] and container["resources"]["limits"]["memory"]
    (container,) = spec["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert all(isinstance(value, str) for value in environment.values())
    drain = int(environment["GATEWAY_DRAIN_TIMEOUT"].removesuffix("s"))
    leaves = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert leaves > 0 and spec["terminationGracePeriodSeconds"] > leaves + drain
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "metrics"}
    assert {constraint["topologyKey"] for constraint in spec["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    deployment = one(made, "Deployment")["spec"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    scalers = [document["spec"] for document in made if document["kind"] == "HorizontalPodAutoscaler"]
    # With an autoscaler the number of replicas is its own: an upgrade must not set it back.
    assert ("replicas" in deployment) != bool(scalers)
    assert (scalers[0]["minReplicas"] if scalers else deployment["replicas"]) >= 2
    assert all("subPath" not in mount for mount in container["volumeMounts"]), "a subPath never sees a change"


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_selector_finds_the_pods(render, values):
    made = render("--values", values)
    labels = one(made, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    selectors = [one(made, "Deployment")["spec"]["selector"]["matchLabels"], one(made, "Service")["spec"]["selector"],
                 one(made, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
    selectors += [constraint["labelSelector"]["matchLabels"] for constraint in pod(made)["topologySpreadConstraints"]]
    selectors += [document["spec"]["podSelector"]["matchLabels"] for document in made if document["kind"] == "NetworkPolicy"]
    others = [document["metadata"]["labels"].items() for document in made if document["kind"] == "Pod"]
    for selector in selectors:
        assert selector and selector.items() <= labels
        assert not any(selector.items() <= other for other in others), "the test's pod would be taken for a gateway"
    for monitor in (document for document in made if document["kind"] == "ServiceMonitor"):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= one(made, "Service")["metadata"]["labels"].items()


def test_settings_become_variables_in_the_program_s_own_spelling(render):
    made = render("--values", CHART / "ci/3-everything.yaml")
    environment = {entry["name"]: entry["value"] for entry in pod(made)["containers"][0]["env"]}
    assert environment["GATEWAY_EXPOSE_REASON"] == "on"
    assert environment["GATEWAY_UNAVAILABLE_STATUS"] == "403"
    assert environment["GATEWAY_MAX_CONNECTIONS"] == "32768"
    known = set(re.findall(r"GATEWAY_[A-Z_]+", (ROOT / "README.md").read_text()))
    assert set(environment) <= known, "no setting of the program"


@pytest.mark.parametrize("values", [path for path in VALUES if "settings:" in path.read_text()], ids=lambda path: path.stem)
def test_the_program_takes_the_chart_s_variables(render, values):
    """`check` may miss the keys (exit code 1), never a setting (78)."""
    binary = pathlib.Path(os.environ.get("GATEWAY_BINARY", ROOT / ".build/debug/access-gateway"))
    if not binary.exists():
        pytest.skip("no gateway is built")
    environment = {entry["name"]: entry["value"] for entry in pod(render("--values", values))["containers"][0]["env"]}
    # No address of the world is asked: keys are looked for on a port of this machine, where nobody listens.
    environment = {**environment, "GATEWAY_KEYS_URL": "http://127.0.0.1:1/keys", "SWIFT_BACKTRACE": "enable=no"}

    def check(**more):
        return subprocess.run(
            [binary, "check"], env={**environment, **more}, capture_output=True, text=True, timeout=60)

    done = check()
    assert done.returncode == 1, done.stdout + done.stderr
    assert check(GATEWAY_DRAIN_TIMEOUT="10 s s").returncode == 78, "check does not look"


def test_the_settings_file_arrives_byte_for_byte(render):
    values = yaml.safe_load((CHART / "ci/2-policies.yaml").read_text())
    made = render("--values", CHART / "ci/2-policies.yaml")
    data = one(made, "ConfigMap")["data"]
    assert data == {"access-gateway.yaml": values["config"], "policies-test.yaml": values["policyTests"],
                    "revoked.yaml": values["revoked"]}
    assert "[CH, NO]" in data["access-gateway.yaml"], "Norway became false"
    test = one(made, "Pod")
    assert test["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert test["spec"]["containers"][0]["args"][0] == "test"


def test_the_network_policy_opens_what_is_needed_and_no_more(render):
    made = render("--values", CHART / "ci/3-everything.yaml")
    policy = one(made, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [[port["port"] for port in rule["ports"]] for rule in policy["ingress"]] == [["http"], ["metrics"]]
    assert all(rule["from"] for rule in policy["ingress"]), "an empty list would let the whole world ask"
    assert [[port["port"] for port in rule["ports"]] for rule in policy["egress"]] == [[53, 53], [443]]


def test_alerts_name_metrics_that_there_are(render):
    source = (ROOT / "Sources/Telemetry/MetricsPage.swift").read_text()
    made = render("--values", CHART / "ci/5-two-teams.yaml")
    for rule in one(made, "PrometheusRule")["spec"]["groups"][0]["rules"]:
        for name in re.findall(r"access_gateway_(\w+)\{", rule["expr"]):
            assert f'"{name}"' in source or f'"access_gateway_{name}"' in source, rule


def test_alerts_are_promql(render, tmp_path, run):
    if not shutil.which("promtool"):
        pytest.skip("no promtool")
    made = render("--values", CHART / "ci/5-two-teams.yaml")
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps(one(made, "PrometheusRule")["spec"]))
    assert "5 rules found" in run("promtool", "check", "rules", rules)


def plain(documents):
    """By kind, without what Helm and a namespace add."""
    documents = copy.deepcopy(documents)
    for document in documents:
        document["metadata"].pop("namespace", None)
        for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            document["metadata"]["labels"].pop(label, None)
    return {document["kind"]: document for document in documents if document["kind"] != "Pod"}


def test_the_kustomize_base_is_the_chart(run, render):
    base = FOLDER / "base"
    made = documents(run("kubectl", "kustomize", base))
    assert not problems(made)
    chart = render(
        "--set-file", f"config={base / 'access-gateway.yaml'}", "--set-file",
        f"policyTests={base / 'policies-test.yaml'}", name="access-gateway")
    assert plain(made) == plain(chart)


def test_the_example_overlay_is_valid_and_replaces_the_settings(run):
    made = documents(run("kubectl", "kustomize", FOLDER / "example"))
    assert not problems(made)
    assert {"Namespace", "ServiceMonitor", "PrometheusRule"} <= {document["kind"] for document in made}
    assert "acme.com" in one(made, "ConfigMap")["data"]["access-gateway.yaml"]
    assert one(made, "NetworkPolicy")["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"]
    assert {document["metadata"].get("namespace") for document in made if document["kind"] != "Namespace"} == {"access-gateway"}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_each_recipe_is_valid_fails_closed_and_says_what_must_be_sent(recipe):
    text = recipe.read_text()
    loaded = documents(text)
    if recipe.stem == "istio-mesh-values":
        jsonschema.Draft202012Validator(json.loads((SCHEMAS / "istio-mesh-values.json").read_text())).validate(loaded[0])
    else:
        assert not problems(loaded)
    assert "must send:" in text or "headers are sent" in text
    for path, value in walk(loaded):
        name = path[-1]
        if name == "failOpen":
            assert value is False
        if name in ("authRequestHeaders", "headersToExtAuth", "includeRequestHeadersInCheck"):
            assert ASKED <= {header.lower() for header in value}, path
        if name in ("authResponseHeaders", "headersToBackend", "headersToUpstreamOnAllow"):
            assert {header.lower() for header in value} == IDENTITY, path
        if name == "nginx.ingress.kubernetes.io/auth-response-headers":
            assert {header.lower() for header in value.split(",")} == IDENTITY


def walk(value, path=()):
    if path:
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from walk(inner, path + (key,))


def test_the_recipes_name_the_service_that_the_example_makes(run):
    service = one(documents(run("kubectl", "kustomize", FOLDER / "example")), "Service")
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    ports = {port["port"] for port in service["spec"]["ports"] if port["name"] == "http"}
    for recipe in RECIPES:
        for path, value in walk(documents(recipe.read_text())):
            if isinstance(value, str) and ".svc." in value:
                host = value.split("//")[-1].split("/")[0]
                assert host.split(":")[0] == f"{name}.{namespace}.svc.cluster.local", recipe
                assert ":" not in host or int(host.split(":")[1]) in ports
            if path[-1] == "backendRefs":
                assert value == [{"name": name, "namespace": namespace, "port": 8000}], recipe


@pytest.mark.parametrize("change", [
    lambda document: document["spec"].update(replicsa=2),
    lambda document: document["spec"]["template"]["spec"]["containers"][0].update(image=5),
    lambda document: document["spec"].pop("selector"),
], ids=["an unknown field", "a number for text", "a field that is missing"])
def test_a_deployment_that_is_not_valid_is_found(render, change):
    document = one(render("--values", VALUES[0]), "Deployment")
    assert not problem(document)
    change(document)
    assert problem(document)


@pytest.mark.parametrize("recipe", [path for path in RECIPES if "values" not in path.stem], ids=lambda path: path.stem)
def test_a_recipe_that_is_not_valid_is_found(recipe):
    document = documents(recipe.read_text())[0]
    document["spec"]["typo"] = 1
    assert problem(document)
