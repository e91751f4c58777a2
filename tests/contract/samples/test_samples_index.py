"""Every sample is in the index, and every line of the index has a file."""

from tests.contract.samples.index import FOLDER, SAMPLES


def test_every_file_is_in_the_index_and_every_line_has_its_file() -> None:
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*") if path.suffix in {".xml", ".json"}}
    assert files == {one.file for one in SAMPLES}
    assert len(SAMPLES) == len(files)


def test_only_answers_have_a_status() -> None:
    assert all((one.status is not None) == (one.role == "answer") for one in SAMPLES)
