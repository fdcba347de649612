"""The order of work, resumption and failures, with commands that only pretend to train."""

import json
import shutil
import textwrap

import pytest
from filelock import FileLock

from cellseg_mm.ablation.ladder import Ladder, Row
from cellseg_mm.ablation.run_ladder import run_ladder

DEMO = "configs/mask-rcnn_convnext-atto_fpn_cell.py"
QUICK = ("train_dataloader.num_workers=0", "model.backbone.init_cfg=None")
FLIPS = "configs/mask-rcnn_r50_fpn_cell.py"
FLIP = "train_dataloader.dataset.pipeline.3"


@pytest.fixture
def scripts(tmp_path):
    """A training, and a test whose AP tells how often the checkpoint's row was trained.

    Training fails while the file `broken-<row>` exists, testing while `untestable-<row>` does.
    """
    train = textwrap.dedent(f"""
        import json, pathlib, sys
        config, folder = sys.argv[1], pathlib.Path(sys.argv[3])
        with open({str(tmp_path / "calls")!r}, "a") as calls:
            calls.write(folder.parent.name + (" resumed" if "--resume" in sys.argv else "") + "\\n")
        assert "ExactResumeHook" in open(config).read()
        if pathlib.Path({str(tmp_path)!r}, f"broken-{{folder.parent.name}}").exists():
            (folder / "epoch_1.pth").touch()
            (folder / "last_checkpoint").write_text("/moved/away/epoch_1.pth")
            sys.exit("error: no memory left")
        count = pathlib.Path({str(tmp_path)!r}, f"trained-{{folder.name}}")
        count.write_text(str(int(count.read_text() if count.exists() else 0) + 1))
        (folder / "best_coco_segm_mAP_epoch_9.pth").touch()
        (folder / "best_coco_segm_mAP_epoch_10.pth").write_text(count.read_text())
        cost = dict(seconds=1, epochs=2, peak_bytes=1, memory="process", device="CPU")
        (folder / "training_cost.json").write_text(json.dumps(cost))
    """)
    test = textwrap.dedent(f"""
        import json, pathlib, sys
        checkpoint, folder = map(pathlib.Path, (sys.argv[2], sys.argv[4]))
        with open({str(tmp_path / "calls")!r}, "a") as calls:
            calls.write(f"test {{folder.parent.name}}\\n")
        if pathlib.Path({str(tmp_path)!r}, f"untestable-{{folder.parent.name}}").exists():
            sys.exit("error: no memory left")
        assert checkpoint.name.endswith("epoch_10.pth")
        scores = dict(segm_mAP=int(checkpoint.read_text()) / 2, weights=checkpoint.parent.name)
        (folder / "metrics.json").write_text(json.dumps(scores))
    """)
    (tmp_path / "train.py").write_text(train)
    (tmp_path / "test.py").write_text(test)
    return tmp_path


@pytest.fixture
def run(scripts, prepared, repository, tmp_path, monkeypatch):
    monkeypatch.chdir(repository)

    def run_rows(*rows, folds=None):
        ladder = Ladder("T", rows, (0,), folds, str(prepared))
        (tmp_path / "calls").write_text("")
        results = run_ladder(
            ladder, tmp_path / "out", scripts, lambda results: None, lambda line: None
        )
        return results, (tmp_path / "calls").read_text().splitlines()

    return run_rows


def row(name, *options, config=DEMO):
    return Row(name, config, QUICK + options)


def test_done_runs_are_not_repeated_and_changed_ones_are(run, tmp_path):
    results, calls = run(row("a"), row("b", "max_epochs=3"))
    assert [(r.state, r.scores["segm_mAP"]) for r in results] == [("done", 0.5)] * 2
    assert calls == ["a", "test a", "b", "test b"]
    assert results[0].model["parameters"] > 1e6
    assert len(list(tmp_path.glob("out/runs/a/*/first_batch.png"))) == 1

    assert run(row("a"), row("b", "max_epochs=3"))[1] == []
    assert run(row("a"), row("b", "max_epochs=4"))[1] == ["b", "test b"]
    # The earlier result is still there.
    assert run(row("a"), row("b", "max_epochs=3"))[1] == []


def test_folds_come_one_after_the_other(run, tmp_path):
    results, calls = run(row("a"), row("b", "max_epochs=3"), folds=2)

    assert calls == ["a", "test a", "b", "test b"] * 2
    assert [(r.row, r.fold) for r in results] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    written = next(tmp_path.glob("out/runs/a/fold-1_*.py")).read_text()
    assert str(tmp_path / "out/folds/fold-1/train.json") in written


def test_a_failure_does_not_stop_the_others_and_is_resumed(run, tmp_path):
    (tmp_path / "broken-a").touch()
    results, calls = run(row("a"), row("b"), row("c", config="configs/none.py"))

    assert [r.state for r in results] == ["failed", "done", "failed"]
    assert "training ended with exit code 1: no memory left" in results[0].error
    assert (
        results[2].error == "The config configs/none.py does not exist: choose one from configs/."
    )
    assert calls == ["a", "b", "test b"]

    (tmp_path / "broken-a").unlink()
    results, calls = run(row("a"), row("b"))
    # The note of the checkpoint named a place that is no more; the file beside it counts.
    assert calls == ["a resumed", "test a"]
    assert [r.state for r in results] == ["done", "done"]


def test_an_augmentation_that_changes_no_batch_is_an_error(run):
    # The last two never flip, though one of them claims to flip vertically.
    never = f"{FLIP}.prob=0.0"
    vertical = f"{FLIP}.direction=vertical"
    results, _ = run(
        row("flips", config=FLIPS),
        row("no flips", never, config=FLIPS),
        row("vertical", never, vertical, config=FLIPS),
    )

    assert [r.state for r in results] == ["done", "done", "failed"]
    assert "differs from that of 'no flips'" in results[2].error
    assert "does not reach the loader" in results[2].error


def flips(of, *options):
    return Row(f"{of}, flips", DEMO, (*QUICK, *options, "test_time.views=flips"), weights_of=of)


def test_a_row_may_test_the_weights_of_another(run, tmp_path):
    results, calls = run(row("a"), flips("a"), folds=2)

    assert calls == ["a", "test a", "test a-flips"] * 2
    assert [r.state for r in results] == ["done"] * 4
    assert results[2].model == results[0].model
    assert results[2].training == {}  # it cost no training
    assert results[2].weights_of == "a"
    for fold in (0, 1):  # the weights of the same fold
        assert results[2 + fold].scores["weights"].startswith(f"fold-{fold}")
    written = next(tmp_path.glob("out/runs/a-flips/*.py")).read_text()
    assert "views='flips'" in written
    record = json.loads(next(tmp_path.glob("out/runs/a-flips/*/run.json")).read_text())
    assert record["weights_of"] == "a"

    assert run(row("a"), flips("a"), folds=2)[1] == []
    # Other settings of the training, another run of both.
    longer = run(row("a", "max_epochs=20"), flips("a", "max_epochs=20"), folds=2)[1]
    assert longer == ["a", "test a", "test a-flips"] * 2


def test_weights_that_were_trained_anew_are_tested_anew(run, tmp_path):
    assert [r.scores["segm_mAP"] for r in run(row("a"), flips("a"))[0]] == [0.5, 0.5]
    shutil.rmtree(tmp_path / "out/runs/a")
    (tmp_path / "broken-a").touch()
    results, _ = run(row("a"), flips("a"))
    assert [(r.state, r.scores) for r in results] == [("failed", {})] * 2

    (tmp_path / "broken-a").unlink()
    results, calls = run(row("a"), flips("a"))
    assert calls == ["a resumed", "test a", "test a-flips"]
    assert [r.scores["segm_mAP"] for r in results] == [1.0, 1.0]


def test_weights_of_a_row_that_failed(run, tmp_path):
    (tmp_path / "broken-a").touch()
    (tmp_path / "untestable-b").touch()
    rows = row("a"), flips("a"), row("b"), flips("b")
    results, calls = run(*rows, row("c", config="configs/none.py"), flips("c"))

    assert [r.state for r in results] == ["failed", "failed", "failed", "done", "failed", "failed"]
    assert results[1].error == "it tests the weights of 'a', whose training failed."
    assert results[5].error == "it tests the weights of 'c', which cannot be run."
    assert calls == ["a", "b", "test b", "test b-flips"]

    (tmp_path / "broken-a").unlink()
    (tmp_path / "untestable-b").unlink()
    results, calls = run(*rows)
    assert [r.state for r in results] == ["done"] * 4
    # The training of b was not to blame.
    assert calls == ["a resumed", "test a", "test a-flips", "test b"]


def test_nothing_that_can_be_run(run):
    with pytest.raises(ValueError, match="no key 'max_epoch'; the nearest are max_epochs"):
        run(row("a", "max_epoch=3"))


def test_two_processes_do_not_share_a_folder(run, tmp_path, monkeypatch):
    monkeypatch.setattr("cellseg_mm.ablation.run_ladder._PATIENCE", 0)
    (tmp_path / "out").mkdir()

    with (
        FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(ValueError, match="Another process is running the ablation"),
    ):
        run(row("a"))


def test_the_record_says_what_was_run(run, tmp_path):
    run(row("a", "max_epochs=7"))
    record = json.loads(next(tmp_path.glob("out/runs/a/*/run.json")).read_text())

    assert record["config"] == DEMO
    assert record["options"][-1] == "max_epochs=7"
    assert (record["state"], record["seed"], record["fold"]) == ("done", 0, None)
    assert len(record["first_batches"]["hashes"]) == 8
