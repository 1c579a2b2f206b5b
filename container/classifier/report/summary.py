"""The summary of a report: what was trained on what, how good it is, and what to look at first."""

from collections.abc import Iterator, Mapping
from typing import Any

from classifier.report import confusion
from classifier.report.elements import Section, count, percent, quoted
from classifier.report.results import Results
from classifier.shares import interval

FEW_ROWS = 300  # on which an accuracy is known to within a few points only
FEWEST_OF_A_LABEL = 10  # rows by which a label's F1 is judged
FEWEST_CONFUSED = 2
WEAK = 0.9  # an F1 from which on a label is not called weak
MANY_AT_LIMIT = 0.05
FAR = 0.05  # between the shares of a label in two splits
CLEARLY = 0.005  # of a metric, from one epoch to the next


def section(results: Results) -> Section:
    """Return the section."""
    words = [" ".join(_trained(results)), *_good(results)]
    points = list(_first(results))
    return Section("summary", "Summary", [*words, *(["What to look at first:"] if points else [])], points)


def best_epoch(results: Results) -> int:
    """Return the number of the epoch that was kept, from 1: the best by ``eval_metric``, then by the loss."""
    metric = _eval_metric(results)
    ranks = [
        (epoch.get(f"val_{metric}", 0.0), -epoch.get("val_loss", 0.0), number)
        for number, epoch in enumerate(results.evaluation.get("epochs", ()), 1)
    ]
    return max(ranks)[2] if ranks else 0


def _eval_metric(results: Results) -> str:
    given = results.manifest.get("hyperparameters", {}).get("eval_metric", "accuracy")
    return str(results.evaluation.get("eval_metric", given))


def rows_of(report: Mapping[str, Any]) -> int:
    """Return the number of rows that a report is of."""
    return int(sum(each["rows"] for each in report["by_label"]))


def _trained(results: Results) -> Iterator[str]:
    """Say what was trained on what."""
    manifest, evaluation = results.manifest, results.evaluation
    encoder, hyperparameters = manifest.get("encoder", {}), manifest.get("hyperparameters", {})
    by_label = evaluation.get("data", {}).get("labels", ())
    rows = sum(each["training"] for each in by_label) or manifest.get("data", {}).get("training_rows", 0)
    labels = len(by_label) or len(manifest.get("labels", ()))
    part = " (those of the first host)" if "training" in evaluation.get("data", {}).get("sharded", ()) else ""
    on = (
        f"{count(rows, results.noun)}{part} with {count(labels, 'label')}"
        if rows
        else "rows that these files do not describe"
    )
    name, epochs = encoder.get("name"), len(evaluation.get("epochs", ()))
    chosen = evaluation.get("top_layer", manifest.get("top_layer", {}))
    if name is None:
        yield f"A model was trained on {on}."
    elif encoder.get("family") == "linear":
        yield f"A linear model of n-grams was trained on {on}."
    elif hyperparameters.get("train_only_top_layer"):
        yield f"A top layer on the frozen encoder {name} was trained on {on}."
    else:
        steps = f" for {count(epochs, 'epoch')}" if epochs else ""
        yield f"The whole network of the encoder {name} was trained{steps} on {on}."
    if chosen.get("ngram_features") and encoder.get("family") != "linear":
        yield "A linear model of n-grams has a part in its answers."
    solved = encoder.get("family") == "linear" or chosen.get("vectors_inverse_penalty")
    validated = "validation" in evaluation or manifest.get("data", {}).get("validation_rows")
    if chosen.get("refit") and validated and (solved or chosen.get("ngram_features")):
        learnt = "its top layer" if chosen.get("fine_tuned_share") else "it" if solved else "its n-grams"
        yield f"At the end, {learnt} learnt from the validation rows too; the figures on those are from before."


def _good(results: Results) -> Iterator[str]:
    """Say how good the model is, beside the baselines."""
    evaluation = results.evaluation
    held_out = "held-out validation" if evaluation.get("data", {}).get("held_out") else "validation"
    for name, words in (("test", "test"), ("validation", held_out)):
        if name in evaluation:
            report = evaluation[name]
            rows, right = rows_of(report), report["accuracy"]
            low, high = (percent(each) for each in _interval(report))
            yield (
                f"It is right for {percent(right)} of {count(rows, f'{words} row')} (95 % interval: {low} to {high}); "
                f"the mean F1 of the labels is {report['macro_f1']:.3f}. Always answering the commonest label would be "
                f"right for {percent(_of_commonest(report))}."
            )
    if "best" in evaluation and not results.split:
        metric = evaluation["best"].get("val_accuracy")
        if metric is None:
            yield "There are no validation rows and no test rows, so that nothing is known of how good it is."
        else:
            yield f"It was right for {percent(metric)} of the validation rows; the files of the job have the details."
    baseline = evaluation.get("baseline")
    if baseline and "surpassed" in baseline:
        fewer = _fewer_mistakes(evaluation.get("validation"), baseline)
        yield f"N-grams alone, the baseline, get {percent(baseline['accuracy'])} of the validation rows right{fewer}."


def _fewer_mistakes(report: Mapping[str, Any] | None, baseline: Mapping[str, Any]) -> str:
    """Compare the model with the baseline, unless that was measured on a sample of the rows, or is as good."""
    if report is None or baseline.get("rows") != rows_of(report) or report["accuracy"] <= baseline["accuracy"]:
        return ""
    fewer = (report["accuracy"] - baseline["accuracy"]) / (1 - baseline["accuracy"])
    return f": the model makes {percent(fewer, 0)} fewer mistakes"


def _interval(report: Mapping[str, Any]) -> tuple[float, float]:
    """Return the 95 % interval of the accuracy."""
    rows = rows_of(report)
    return interval(round(report["accuracy"] * rows), rows)


def _of_commonest(report: Mapping[str, Any]) -> float:
    return float(max(each["rows"] for each in report["by_label"]) / max(rows_of(report), 1))


def _first(results: Results) -> Iterator[str]:
    """Say what to look at first, the gravest first."""
    note = results.evaluation.get("baseline", {}).get("note")
    if note:
        yield f"{note[:1].upper()}{note[1:]}."
    if results.split:
        yield from _of_split(results, results.evaluation[results.split])
    yield from _of_epochs(results)
    yield from _of_data(results)
    suspects = results.evaluation.get("suspect_labels", {}).get("rows", 0)
    if suspects:
        yield f"{count(suspects, 'row')} may have a wrong label: see the list of suspects."


def _of_split(results: Results, report: Mapping[str, Any]) -> Iterator[str]:
    rows = rows_of(report)
    if rows < FEW_ROWS:
        yield f"Only {count(rows, f'{results.split} row')} were scored: small differences between models mean nothing."
    validation = results.evaluation.get("validation")
    if results.split == "test" and validation:
        low, _ = _interval(validation)
        if _interval(report)[1] < low:
            yield "On the test rows it is clearly worse than on the validation rows: are they of another kind?"
    yield from _of_labels(results, report)


def _of_labels(results: Results, report: Mapping[str, Any]) -> Iterator[str]:
    found = confusion.read(report)
    for true, predicted, wrong in found.largest()[:1]:
        if wrong >= FEWEST_CONFUSED:
            share = percent(wrong / found.totals[true], 0)
            yield (
                f"The largest confusion: {quoted(found.labels[true])} predicted as {quoted(found.labels[predicted])}, "
                f"{count(wrong, 'time')} ({share} of that label's rows)."
            )
    judged = [each for each in report["by_label"] if each["rows"] >= FEWEST_OF_A_LABEL]
    if judged:
        weakest = min(judged, key=lambda each: each["f1"])
        if weakest["f1"] < WEAK:
            yield (
                f"The weakest label with {FEWEST_OF_A_LABEL} rows or more: {quoted(weakest['label'])}, with a "
                f"precision of {percent(weakest['precision'], 0)} and a recall of {percent(weakest['recall'], 0)}."
            )
    without = sum(each["rows"] == 0 for each in report["by_label"])
    if without:
        yield f"{count(without, 'label')} without a {results.split} row, of which nothing is known."


def _of_epochs(results: Results) -> Iterator[str]:
    epochs, kept = results.evaluation.get("epochs", ()), best_epoch(results)
    name = f"val_{_eval_metric(results)}"
    if len(epochs) < 2 or name not in epochs[-1]:
        return
    if kept == len(epochs) and epochs[-1][name] - epochs[-2][name] > CLEARLY:
        yield f"{name} still rose in the last epoch: more epochs may help."
    if len(epochs) - kept >= 2:
        yield f"{name} was best in epoch {kept} of {len(epochs)}, which was kept: fewer epochs would do."


def _of_data(results: Results) -> Iterator[str]:
    data = results.evaluation.get("data", {})
    training = data.get("lengths", {}).get("training")
    if training and training["at_limit"] > MANY_AT_LIMIT * training["rows"]:
        share, limit = percent(training["at_limit"] / training["rows"], 0), data["lengths"]["limit"]
        cure = _cure_of_length(results, data["lengths"])
        yield f"{share} of the training texts have {limit:,} tokens or more, and are not read whole{cure}."
    if data.get("sharded"):  # one host's part says little about the others'
        return
    shares = label_shares(data)
    for split in ("test", "validation"):
        if split in shares:
            label, before, after = max(
                zip((each["label"] for each in data["labels"]), shares["training"], shares[split], strict=True),
                key=lambda each: abs(each[1] - each[2]),
            )
            if abs(before - after) > FAR:
                yield (
                    f"{quoted(label)} is the label of {percent(after, 0)} of the {split} rows, but of "
                    f"{percent(before, 0)} of the training rows."
                )


def _cure_of_length(results: Results, lengths: Mapping[str, Any]) -> str:
    if results.manifest.get("encoder", {}).get("family") == "linear":
        return ": try a larger max_sequence_length"
    return "" if lengths["long_texts"] == "windows" else ": try long_texts=windows"


def label_shares(data: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the share of each label in each split that has rows, in the order of the labels."""
    shares = {}
    for split in ("training", "validation", "test"):
        counts = [each[split] for each in data.get("labels", ())]
        if sum(counts):
            shares[split] = [number / sum(counts) for number in counts]
    return shares
