"""Folders of image files, and tables that list them."""

import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from sklenet.datasets import list_image_folder, load_image_folder


def write_images(folder, *names, shape=(20, 30)):
    for value, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full(shape, value, np.uint8)).save(path, "PNG")
    return folder


def test_list_folder_is_sorted_without_hidden_and_foreign_files(tmp_path):
    names = ["b/2.PNG", "b/10.png", "a/z.jpeg", "a/sub/deep.png", "a/.hidden.png", ".git/x/1.png"]
    folder = write_images(tmp_path, *names, "__MACOSX/b/1.png")
    for foreign in ("a/notes.txt", "b/Thumbs.db", "LICENSE"):
        (folder / foreign).write_text("text")
    files, labels = list_image_folder(str(folder))
    found = [os.path.relpath(file, folder).replace(os.sep, "/") for file in files]
    assert found == ["a/sub/deep.png", "a/z.jpeg", "b/10.png", "b/2.PNG"]
    assert labels.tolist() == ["a", "a", "b", "b"]


def test_list_folder_empty_class_raises(tmp_path):
    folder = write_images(tmp_path, "a/1.png")
    (folder / "lonely").mkdir()
    (folder / "lonely" / "notes.txt").write_text("text")
    with pytest.raises(ValueError, match="the class 'lonely' of .* without any"):
        list_image_folder(folder)


def test_list_folder_without_classes_raises(tmp_path):
    with pytest.raises(ValueError, match="a folder of images for each class, got .* with nothing"):
        list_image_folder(tmp_path)
    with pytest.raises(ValueError, match=r"for each class, got .* with 1\.png"):
        list_image_folder(write_images(tmp_path, "1.png"))
    with pytest.raises(ValueError, match="got the file"):
        list_image_folder(tmp_path / "1.png")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        list_image_folder(tmp_path / "none")


@pytest.mark.parametrize("name", ["train", "Training"])
def test_list_folder_split_is_found(tmp_path, name):
    folder = write_images(tmp_path, f"{name}/a/1.png", "test/a/2.png", "valid/b/3.png")
    assert [len(list_image_folder(folder, split)[0]) for split in ("train", "test", "val")] == [
        1
    ] * 3
    assert list_image_folder(folder, "validation")[1].tolist() == ["b"]
    with pytest.raises(ValueError, match=r"split must be one of \['train', 'val', 'test'\].* None"):
        list_image_folder(folder)


def test_list_folder_unknown_split_raises(tmp_path):
    folder = write_images(tmp_path, "train/a/1.png", "test/a/2.png")
    for split in ("val", "dev", 3):
        with pytest.raises(ValueError, match="split must be one of .*; got"):
            list_image_folder(folder, split)
    with pytest.raises(ValueError, match="split must be None"):
        list_image_folder(folder / "train", "train")


@pytest.mark.parametrize("name", ["training", "Train"])
def test_list_folder_of_two_training_parts_raises(tmp_path, name):
    folder = write_images(tmp_path, "train/a/1.png", f"{name}/a/2.png", "test/a/3.png")
    if len([*folder.iterdir()]) < 3:
        pytest.skip("the file system does not distinguish capitals")
    with pytest.raises(ValueError, match=f"one folder for each part .*{name}"):
        list_image_folder(folder, "train")


def test_list_folder_class_called_train_is_a_class(tmp_path):
    folder = write_images(tmp_path, "train/1.png", "bus/1.png")
    assert list_image_folder(folder)[1].tolist() == ["bus", "train"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_list_folder_links(tmp_path):
    folder = write_images(tmp_path / "data", "a/1.png", "b/1.png")
    write_images(tmp_path / "elsewhere", "2.png")
    (folder / "a" / "more").symlink_to(tmp_path / "elsewhere")
    assert len(list_image_folder(folder)[0]) == 3
    (folder / "b" / "up").symlink_to(folder)
    with pytest.raises(ValueError, match="up is a link to a folder above it"):
        list_image_folder(folder)


def write_csv(folder, text):
    (folder / "labels.csv").write_text(text)
    return folder / "labels.csv"


def test_list_csv_files_are_relative_to_it(tmp_path):
    write_images(tmp_path, "images/x.png", "images/y.png")
    path = write_csv(tmp_path, "label,id,filename\n7,0,images/x.png\n-1,1,images/y.png\n")
    files, labels = list_image_folder(path)
    assert files == [str(tmp_path / "images/x.png"), str(tmp_path / "images/y.png")]
    assert_array_equal(labels, [7, -1])
    assert_array_equal(load_image_folder(path)[0][:, 0, 0], [0, 1])


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_list_csv_of_another_delimiter(tmp_path, delimiter):
    text = 'label,file\n3,"a, b.png"\n'.replace(",", delimiter, 1).replace("3,", f"3{delimiter}")
    files, labels = list_image_folder(write_csv(tmp_path, text))
    assert (files, labels.tolist()) == ([str(tmp_path / "a, b.png")], [3])


def test_list_table_with_split_raises(tmp_path):
    pd = pytest.importorskip("pandas")
    for table in (write_csv(tmp_path, "file,label\na,b\n"), pd.DataFrame({"file": ["a"]})):
        with pytest.raises(ValueError, match="split must be None for a table of files, got 'train"):
            list_image_folder(table, "train")


@pytest.mark.parametrize("labels", [["007", "1"], ["cat", "1"], ["1.5", "2"]])
def test_list_csv_other_labels_stay_strings(tmp_path, labels):
    path = write_csv(tmp_path, "first,second\n" + "".join(f"x.png,{label}\n" for label in labels))
    assert list_image_folder(path)[1].tolist() == labels


def test_list_csv_columns_and_root(tmp_path):
    path = write_csv(tmp_path, "a,b,c\n1,x.png,cat\n")
    files, labels = list_image_folder(path, columns=("b", "c"), root="elsewhere")
    assert (files, labels.tolist()) == ([os.path.join("elsewhere", "x.png")], ["cat"])
    with pytest.raises(ValueError, match=r"columns must be those .* the columns \['a', 'b', 'c'\]"):
        list_image_folder(path)
    with pytest.raises(ValueError, match=r"columns must be two of \['a', 'b', 'c'\]"):
        list_image_folder(path, columns=("b", "d"))
    with pytest.raises(ValueError, match="columns is for a CSV file"):
        list_image_folder(write_images(tmp_path, "a/1.png"), columns=("b", "c"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "a header and rows"),
        ("a,b\n1,2\n3\n", "got 1 in row 3"),
        ("1.png,cat\n2.png,dog\n", "the first row .*1.png.*: put file,label above"),
        ("cat;1.JPG \ndog;2.JPG\n", "the first row .*1.JPG.*: put file;label above"),
    ],
)
def test_list_csv_malformed_raises(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        list_image_folder(write_csv(tmp_path, text))


def test_list_frame(tmp_path):
    pd = pytest.importorskip("pandas")
    write_images(tmp_path, "x.png", "y.png")
    frame = pd.DataFrame({"path": ["x.png", "y.png"], "class": [True, False]}, index=[5, 3])
    files, labels = list_image_folder(frame, root=tmp_path)
    assert files == [str(tmp_path / "x.png"), str(tmp_path / "y.png")]
    assert labels.tolist() == [True, False]
    with pytest.raises(ValueError, match="in its column 'path', got nan in row 1"):
        list_image_folder(frame.assign(path=["x.png", np.nan]))
    X, y = load_image_folder(frame.assign(**{"class": ["a", "b"]}), root=tmp_path)
    assert (X.shape, y.tolist()) == ((2, 20, 30), ["a", "b"])


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_load_folder_reads_images_in_order(tmp_path, n_jobs):
    folder = write_images(tmp_path, *(f"{i % 3}/{i:03}.png" for i in range(30)))
    X, y = load_image_folder(folder, n_jobs=n_jobs, size=(5, 6), mode="RGB")
    assert X.shape == (30, 5, 6, 3)
    assert_array_equal(X[:, 0, 0, 0], sorted(range(30), key=lambda i: (i % 3, i)))
    assert_array_equal(y, np.repeat(["0", "1", "2"], 10))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_load_folder_skips_broken_images_with_their_labels(tmp_path, n_jobs):
    folder = write_images(tmp_path, *(f"{i % 2}/{i}.png" for i in range(8)))
    for i in (2, 5):
        (folder / f"{i % 2}/{i}.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"2\.png cannot be read as an image"):
        load_image_folder(folder, n_jobs=n_jobs)
    with pytest.warns(UserWarning, match=r"2 of 8 images were left out: .*2\.png.* And 1 more\."):
        X, y = load_image_folder(folder, on_error="skip", n_jobs=n_jobs)
    assert_array_equal(X[:, 0, 0], [0, 4, 6, 1, 3, 7])
    assert_array_equal(y, ["0", "0", "0", "1", "1", "1"])


def test_load_folder_of_broken_images_raises(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"an image that can be read, got 1 .*1\.png"):
        load_image_folder(tmp_path, on_error="skip")


def test_list_folder_train_among_classes_is_a_class(tmp_path):
    folder = write_images(tmp_path, "train/steam/1.png", "bus/1.png", "car/1.png")
    assert list_image_folder(folder)[1].tolist() == ["bus", "car", "train"]
    with pytest.raises(ValueError, match="split must be one of"):
        list_image_folder(write_images(tmp_path / "two", "train/a/1.png", "test/1.png"))


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_load_folder_looping_link_is_named(tmp_path):
    folder = write_images(tmp_path, "a/1.png")
    (folder / "a" / "loop.png").symlink_to("loop.png")
    with pytest.raises(ValueError, match=r"loop\.png cannot be read as an image"):
        load_image_folder(folder)
    with pytest.warns(UserWarning, match="1 of 2 images were left out"):
        assert len(load_image_folder(folder, on_error="skip")[0]) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,label\nx.png,\n", "a file name and a label in row 2"),
        ("file,label\nä.png,cat\n".encode("latin-1"), "must be a CSV file in UTF-8, got .*csv"),
        (b"file,label\nx.png," + b"a" * 200_000 + b"\n", "must be a CSV file in UTF-8, got .*csv"),
    ],
)
def test_list_csv_unreadable_raises(tmp_path, content, message):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list_image_folder(tmp_path / "labels.csv")


@pytest.mark.parametrize("label", ["99999999999999999999", "--5", "+1", "01", "1.0"])
def test_list_csv_odd_numbers_stay_strings(tmp_path, label):
    path = write_csv(tmp_path, f"file,label\nx.png,{label}\n")
    assert list_image_folder(path)[1].tolist() == [label]


@pytest.mark.parametrize("labels", [["cat", np.nan], [None, "cat"], ["a", 1]])
def test_list_frame_without_labels_raises(labels):
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="The column 'label' must have"):
        list_image_folder(
            pd.DataFrame({"file": ["x", "y"], "label": pd.Series(labels, dtype=object)})
        )
    for labels in ([1.0, np.nan], ["cat", ""]):
        with pytest.raises(ValueError, match="labels in its column 'label', got .* in row 1"):
            list_image_folder(pd.DataFrame({"file": ["x", "y"], "label": labels}))
    with pytest.raises(ValueError, match="file names in its column 'file', got '' in row 0"):
        list_image_folder(pd.DataFrame({"file": [""], "label": ["cat"]}))
    with pytest.raises(ValueError, match="a data frame with rows"):
        list_image_folder(pd.DataFrame({"file": [], "label": []}))
