"""Do the chart and the other manifests render to what a cluster accepts, and keep what the image promises?

No cluster can be had where these run: what the API server, the probes in traffic and the network policy do is not shown here.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from serving.settings import Settings
from tests.bundle import signing

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "unjar"
VERSIONS = ("1.27", "1.30", "1.33")


@pytest.fixture(scope="session")
def helm() -> str:
    subprocess.run([ROOT / "scripts" / "helm"], check=True)
    return str(ROOT / "build" / "tools" / "helm")


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return signing.public(tmp_path_factory.mktemp("key") / "vendor.pub", signing.new_key())


def template(helm: str, *given: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([helm, "template", "site", str(CHART), *given], capture_output=True, text=True)


def rendered(helm: str, *given: str) -> dict[str, Any]:
    done = template(helm, *given)
    assert done.returncode == 0, done.stderr
    return {one["kind"]: one for one in yaml.safe_load_all(done.stdout) if one}


def everything(key: Path) -> tuple[str, ...]:
    chosen = {
        "autoscaling.enabled": "true", "serviceMonitor.enabled": "true", "tokensSecret": "tokens", "settings.PROCESSES": "auto",
        "releases.existingClaim": "releases", "image.digest": "sha256:" + "ab" * 32,
    }  # fmt: skip
    flags = [flag for name, value in chosen.items() for flag in ("--set", f"{name}={value}")]
    return (*flags, "--set-file", f"trustedKeys={key}")


def test_the_chart_is_clean(helm: str) -> None:
    done = subprocess.run([helm, "lint", "--strict", str(CHART)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("whole", [False, True])
def test_every_object_is_one_that_the_api_knows(helm: str, key: Path, whole: bool, version: str) -> None:
    found = rendered(helm, *(everything(key) if whole else ()))
    monitor = found.pop("ServiceMonitor", None)
    assert (monitor is not None) is whole
    for one in found.values():
        kubernetes_validate.validate(one, version, strict=True)
    assert set(found) == {"Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"} | (
        {"ConfigMap", "HorizontalPodAutoscaler"} if whole else set()
    )


def container(found: dict[str, Any]) -> dict[str, Any]:
    (one,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(one)


def test_it_has_no_rights_and_no_way_out(helm: str) -> None:
    found = rendered(helm)
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    # Variables of a service named unjar would be taken for settings.
    assert pod["enableServiceLinks"] is False
    assert container(found)["securityContext"] == {
        "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    policy = found["NetworkPolicy"]["spec"]
    assert (policy["egress"], policy["policyTypes"]) == ([], ["Ingress", "Egress"])


def test_a_release_that_is_not_ready_never_takes_anothers_place(helm: str) -> None:
    found = rendered(helm)
    assert found["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert container(found)["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert container(found)["lifecycle"]["preStop"]["exec"]["command"][0] == "python"


def test_settings_are_settings_of_the_server(helm: str, key: Path) -> None:
    found = container(rendered(helm, *everything(key)))
    environment = {one["name"]: one["value"] for one in found["env"]}
    assert Settings.read(environment, {}).require_keys == "on"
    assert environment["UNJAR_PROCESSES"] == "auto"
    assert found["image"] == "unjar@sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--set", "replicas=0"), "replicas"),
        (("--set", "replica=2"), "replica"),
        (("--set", "image.digest=latest"), "digest"),
        (("--set", "settings.UNJAR_PORT=1"), "UNJAR_PORT"),
        (("--set", "trustedKeys=secret"), "trustedKeys"),
        (("--set", "releases.existingClaim=r"), "needs trustedKeys"),
    ],
)
def test_values_that_make_no_sense_are_refused(helm: str, flags: tuple[str, ...], expected: str) -> None:
    done = template(helm, *flags)
    assert done.returncode != 0
    assert expected in done.stderr


def test_kserve_starts_it_with_keys_and_asks_it_by_the_protocol() -> None:
    runtime, service = yaml.safe_load_all((ROOT / "deploy" / "kserve.yaml").read_text())
    assert runtime["spec"]["protocolVersions"] == ["v2"]
    (one,) = runtime["spec"]["containers"]
    environment = {pair["name"]: pair["value"].replace("{{.Name}}", "encoder") for pair in one["env"]}
    settings = Settings.read(environment, {})
    assert (settings.require_keys, settings.name) == ("on", "encoder")
    assert service["spec"]["predictor"]["model"]["runtime"] == runtime["metadata"]["name"]


@pytest.mark.parametrize("name", ["compose.yaml", "stack.yaml"])
def test_compose_and_stack_are_as_hardened_as_deploy_sh(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text()
    one = yaml.safe_load(text)["services"]["unjar"]
    assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"])
    assert Settings.read(one["environment"], {}).require_keys == "on"
    # Counts and reports are all that is ever written.
    assert [volume for volume in one["volumes"] if not volume.endswith(":ro")] == ["state:/state"]
    grace = int(re.sub("s$", "", one["stop_grace_period"]))
    assert grace > Settings().grace_s


def test_the_stack_starts_the_new_one_first_and_goes_back_by_itself() -> None:
    update = yaml.safe_load((ROOT / "deploy" / "stack.yaml").read_text())["services"]["unjar"]["deploy"]["update_config"]
    assert (update["order"], update["failure_action"]) == ("start-first", "rollback")
