"""The registry: versions appear whole or not at all, and what is served is always something complete."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from braintumor.active_learning.registry import Registry
from braintumor.domain import BusyError, Severity, UnknownVersionError, WeightsError
from braintumor.segment import weights
from braintumor.segment.network import AttentionUNet, NetworkConfig

TINY = NetworkConfig(channels=(4, 8), cbam=False)
LIB = Path(__file__).resolve().parents[2] / "lib"


def model(folder, seed, version="1.4.0"):
    torch.manual_seed(seed)
    weights.save(AttentionUNet(TINY), folder, {"name": "tiny", "version": version})
    return folder


@pytest.fixture
def place(tmp_path):
    """A shipped model, a candidate for it, and where the registry goes."""
    model(tmp_path / "shipped", 0)
    model(tmp_path / "candidate", 1, "whatever")
    return tmp_path


def registry(place):
    return Registry(place / "registry", place / "shipped")


def test_a_new_registry_serves_the_shipped_model_and_writes_nothing(place):
    found = registry(place)
    assert found.current().version == "1.4.0"
    assert found.current().folder == place / "shipped"
    assert found.current().flags == ()
    assert [v.version for v in found.versions()] == ["1.4.0"]
    assert not (place / "registry").exists()


def test_a_published_model_is_served_with_its_evidence_and_its_own_version(place):
    published = registry(place).publish(place / "candidate", {"before": 0.8, "after": 0.9})
    current = registry(place).current()
    assert current == published
    assert (current.version, current.parent) == ("1.4.0+r1", "1.4.0")
    assert current.evidence == {"before": 0.8, "after": 0.9}
    loaded = weights.load(current.folder)
    assert (loaded.version, loaded.checksum) == ("1.4.0+r1", current.checksum)
    assert loaded.checksum == weights.load(place / "candidate").checksum


def test_versions_rise_and_any_can_be_served_again(place):
    one = registry(place).publish(place / "candidate", {})
    two = registry(place).publish(model(place / "second", 2), {})
    assert (two.version, two.parent) == ("1.4.0+r2", one.version)
    for wanted in ("1.4.0+r1", "1.4.0", "1.4.0+r2"):
        assert registry(place).serve(wanted).version == wanted
        assert registry(place).current().version == wanted
    assert [v.version for v in registry(place).versions()] == ["1.4.0", "1.4.0+r1", "1.4.0+r2"]
    registry(place).serve("1.4.0")
    assert registry(place).publish(model(place / "third", 3), {}).version == "1.4.0+r3"


def test_a_number_is_not_used_twice_though_its_folder_was_deleted(place):
    gone = registry(place).publish(place / "candidate", {})
    registry(place).serve("1.4.0")
    shutil.rmtree(gone.folder)
    assert registry(place).publish(model(place / "second", 2), {}).version == "1.4.0+r2"


def test_an_unknown_version_changes_nothing(place):
    registry(place).publish(place / "candidate", {})
    for name in ("9.9.9", "1.4.0+r9", "../shipped", ""):
        with pytest.raises(UnknownVersionError):
            registry(place).serve(name)
    assert registry(place).current().version == "1.4.0+r1"


def test_a_candidate_that_is_no_model_is_refused(place):
    (place / "candidate/models/attention_unet.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError):
        registry(place).publish(place / "candidate", {})
    assert [v.version for v in registry(place).versions()] == ["1.4.0"]


def test_evidence_against_another_model_than_the_served_one_does_not_publish(place):
    registry(place).publish(place / "candidate", {})
    with pytest.raises(BusyError):
        registry(place).publish(model(place / "second", 2), {}, instead_of="1.4.0")
    assert registry(place).current().version == "1.4.0+r1"


def damage_pointer(place):
    (place / "registry/current.json").write_text('{"versi')


def lose_pointer(place):
    (place / "registry/current.json").unlink()


def point_nowhere(place):
    (place / "registry/current.json").write_text(json.dumps({"version": "1.4.0+r7", "last": 7}))


def damage_weights(place):
    path = place / "registry/versions/1.4.0+r1/models/attention_unet.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize("harm", [damage_pointer, lose_pointer, point_nowhere, damage_weights])
def test_damage_falls_back_to_the_shipped_model_and_says_so(place, harm):
    registry(place).publish(place / "candidate", {})
    harm(place)
    current = registry(place).current()
    assert current.version == "1.4.0"
    assert [(flag.code, flag.severity) for flag in current.flags] == [("served-model-fallback", Severity.SERIOUS)]
    registry(place).serve("1.4.0")
    assert registry(place).current().flags == ()  # somebody has chosen


def test_damaged_weights_cannot_be_served(place):
    registry(place).publish(place / "candidate", {})
    registry(place).serve("1.4.0")
    damage_weights(place)
    with pytest.raises(WeightsError):
        registry(place).serve("1.4.0+r1")
    assert [v.version for v in registry(place).versions()] == ["1.4.0"]


PUBLISH = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from braintumor.active_learning.registry import Registry
place, deadly = Path(sys.argv[2]), int(sys.argv[3])
calls = 0
def counted(do):
    def step(*given, **named):
        global calls
        calls += 1
        if calls == deadly:
            os.kill(os.getpid(), 9)
        return do(*given, **named)
    return step
os.replace, os.fsync, os.mkdir, os.rename = map(counted, (os.replace, os.fsync, os.mkdir, os.rename))
Registry(place / "registry", place / "shipped").publish(place / "candidate", {"after": 1})
"""


def publish(place, deadly=0, **options):
    command = [sys.executable, "-c", PUBLISH, str(LIB), str(place), str(deadly)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def test_killed_at_any_step_the_old_or_the_new_model_is_served_whole(place):
    """In one process for speed: a stand-in for the kill, which nothing catches; real kills are tested below."""

    class KilledError(BaseException):
        pass

    def dying_at(deadly, monkeypatch):
        calls = [0]

        def counted(do):
            def step(*given, **named):
                calls[0] += 1
                if calls[0] == deadly:
                    raise KilledError
                return do(*given, **named)

            return step

        for name in ("replace", "fsync", "mkdir", "rename", "open"):
            monkeypatch.setattr(os, name, counted(getattr(os, name)))

    seen = set()
    for deadly in range(1, 100):
        with pytest.MonkeyPatch.context() as patch:
            dying_at(deadly, patch)
            try:
                done = registry(place).publish(place / "candidate", {"after": 1})
            except KilledError:
                done = None
        current = registry(place).current()
        assert current.flags == ()
        weights.load(current.folder)
        for version in registry(place).versions():
            assert weights.load(version.folder).version == version.version
        seen.add(current.version)
        if done:
            break
        again = registry(place).publish(place / "candidate", {"after": 1})  # whoever died comes again
        assert registry(place).current() == again
        registry(place).serve("1.4.0")
        shutil.rmtree(place / "registry")
    assert done
    assert deadly > 10
    assert seen == {"1.4.0", "1.4.0+r1"}
    assert not [path for path in (place / "registry/versions").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("deadly", [2, 9])
def test_a_process_killed_while_publishing_leaves_the_served_model(place, deadly):
    assert publish(place, deadly).wait(60) == -9
    assert registry(place).current().version == "1.4.0"
    assert registry(place).publish(place / "candidate", {}).version == "1.4.0+r1"  # and its lock is free


def test_two_processes_publish_one_after_the_other(place):
    model(place / "other", 2)
    both = [
        publish(place),
        subprocess.Popen([sys.executable, "-c", PUBLISH.replace('"candidate"', '"other"'), str(LIB), str(place), "0"]),
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    versions = registry(place).versions()
    assert [v.version for v in versions] == ["1.4.0", "1.4.0+r1", "1.4.0+r2"]
    assert versions[2].parent == "1.4.0+r1"
    assert registry(place).current() == versions[2]
