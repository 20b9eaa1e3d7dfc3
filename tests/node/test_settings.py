"""Settings of the node: a mistake is named before anything starts, and a path in the file lies beside the file."""

from pathlib import Path

import pytest

from braintumor.domain import SettingsError
from braintumor.node.settings import NodeSettings, load

FOLDER = '[[destinations]]\nname = "{}"\nkind = "folder"\nfolder = "out"\n'


def written(folder, text):
    path = folder / "node.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_hold():
    assert load(None) == NodeSettings()


def test_every_relative_path_lies_beside_the_file_and_an_absolute_one_stays(tmp_path):
    text = """
state = "state"
[watch]
folder = "in"
[dicom.tls]
certificate = "node.pem"
key = "/etc/node.key"
[dicom.peers.CT1.tls]
certificate = "ct1.pem"
key = "ct1.key"
[dicom.peers.CT1]
host = "ct1"
port = 104
[work]
model = "model"
"""
    found = load(written(tmp_path, text + FOLDER.format("a")))
    assert found.state == tmp_path / "state"
    assert found.watch.folder == tmp_path / "in"
    assert found.work.model == tmp_path / "model"
    assert found.destinations[0].folder == tmp_path / "out"
    assert found.dicom.tls.certificate == tmp_path / "node.pem"
    assert found.dicom.tls.key == Path("/etc/node.key")
    assert found.dicom.tls.ca is None
    assert found.dicom.peers["CT1"].tls.key == tmp_path / "ct1.key"
    assert found.database_url == f"sqlite:///{tmp_path / 'state' / 'node.db'}"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("stat = 'x'", "stat"),
        ("[dicom]\nport = 70000", "dicom.port"),
        ("[dicom]\nae_title = 'SEVENTEEN LETTERS'", "dicom.ae_title"),
        ("[dicom]\nae_title = 'BACK\\\\SLASH'", "dicom.ae_title"),
        ("[[rules]]\ndescription = '('", "rules.0.description"),
        ("[work]\nlease_s = 0", "work.lease_s"),
        (FOLDER.format("a") + FOLDER.format("a"), "two destinations have the same name"),
        (FOLDER.format("Has Space"), "destinations.0.name"),
        ("[[destinations]]\nname = 'pacs'\nkind = 'dicom'\nhost = 'pacs'", "'pacs' of kind dicom needs host and port"),
        ("[[destinations]]\nname = 'web'\nkind = 'dicomweb'", "needs url"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, named):
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text))
    assert named in str(caught.value)


def test_a_wrong_value_is_not_repeated_because_it_may_be_a_secret(tmp_path):
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, "[dicom]\nport = 'hunter2'"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("content", [b"state = ", b"\xff\xfe"])
def test_what_is_not_toml_is_refused(tmp_path, content):
    path = tmp_path / "node.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read"):
        load(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        load(tmp_path / "node.toml")
