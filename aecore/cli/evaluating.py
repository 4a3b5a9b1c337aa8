"""The verb of the command line that tells how good a model is."""

import argparse
from typing import Any

from aecore import manifest
from aecore.analysis import quality_words
from aecore.cli.commands import Answer, Verb, open_lab
from aecore.runs import run
from aecore.runs.text import table


def evaluate(args: argparse.Namespace) -> Answer:
    import aecore
    from aecore.jobs.analyse import figures

    lab = open_lab(args)
    folder = lab.run(run(lab, args.run).id)
    analysed = folder.analysis_metrics()
    found = analysed or figures(aecore.load(folder), lab.data_roots)
    test, simple = found["test"], found["baselines"]
    rows = [["this model", f"{test['mse']:.5f}", f"{test['psnr']:.2f}", f"{test['ssim']:.4f}"]]
    rows += [[f"PCA, {simple['pca']['components']} components", f"{simple['pca']['mse']:.5f}", "", ""]]
    rows += [["mean image", f"{simple['mean_image']['mse']:.5f}", "", ""]]
    text = table([f"test split, {int(test['n']):,} images", "MSE per pixel", "PSNR dB", "SSIM"], rows)
    task = folder.config().task
    said = [f"All errors are against the target: {task.target}."] * bool(task.target)
    said += [f"PCA: {quality_words.GIVEN}."] * (task.kind != "identity") + _beyond(found)
    if analysed and "checkpoint" in analysed:
        names = (analysed["checkpoint"], manifest.stamp(folder.checkpoints))
        step, now = (manifest.step_of(folder.checkpoints / name) for name in names)
        said += [f"Of the model after step {step:,}; that after step {now:,} is not analysed yet."] * (step < now)
    if not analysed:
        said += [f"Not looked at: {lost.problem}" for lost in manifest.survey(folder.checkpoints)[1]]
    return Answer({"run": args.run, "target": task.target, **found}, "\n".join([text, *said]))


def _beyond(found: dict[str, Any]) -> list[str]:
    """Sentences on what only some runs have: the gain over what the encoder saw, and classes that were left out."""
    test, strange, said = found["test"], found.get("anomalies"), []
    if "gain" in test:
        said.append(
            f"What the encoder saw has a PSNR of {test['psnr_seen']:.2f} dB: the reconstructions gain {test['gain']:.2f} dB."
        )
    if parts := found.get("disentanglement"):
        said.append(
            f"Code units against the known factors: MIG {parts['mig']:.3f}, SAP {parts['sap']:.3f}, DCI "
            f"{parts['dci_disentanglement']:.3f}, {parts['dci_completeness']:.3f} and {parts['dci_informativeness']:.3f}, "
            f"FactorVAE score {parts['factor_vae_score']:.3f}."
        )
    if strange:
        said.append(
            f"Left out of training: {', '.join(strange['left_out'])}. Of all {strange['n']:,} test images, the error tells these "
            f"with an AUROC of {strange['auroc']:.3f} and an average precision of {strange['average_precision']:.3f} "
            f"(guessing: 0.5 and {strange['share']:.3f})."
        )
    return said


OF_A_RUN: dict[str, Verb] = {"evaluate": evaluate}
