"""Files of a folder as people lay them out, links included."""

from braintumor.domain import files_below


def names(folder):
    return [str(path.relative_to(folder)) for path in files_below(folder)]


def test_cases_collected_by_links_are_found_once_each(tmp_path):
    elsewhere = tmp_path / "elsewhere" / "case"
    elsewhere.mkdir(parents=True)
    (elsewhere / "t1.nii").write_text("")
    data = tmp_path / "data"
    (data / "b").mkdir(parents=True)
    (data / "b" / "t2.nii").write_text("")
    (data / "a").symlink_to(elsewhere)
    (data / "again").symlink_to(elsewhere)
    assert names(data) == ["a/t1.nii", "b/t2.nii"]


def test_a_link_to_a_parent_ends(tmp_path):
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "t1.nii").write_text("")
    (tmp_path / "case" / "up").symlink_to(tmp_path)
    assert names(tmp_path) == ["case/t1.nii"]


def test_hidden_files_folders_and_broken_links_are_left_out(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.nii").write_text("")
    (tmp_path / ".DS_Store").write_text("")
    (tmp_path / "gone.nii").symlink_to(tmp_path / "nowhere")
    (tmp_path / "t1.nii").write_text("")
    assert names(tmp_path) == ["t1.nii"]
    assert names(tmp_path / "nowhere") == []
