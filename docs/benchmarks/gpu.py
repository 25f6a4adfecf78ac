"""What a device does: encoding, masks, training, memory, volumes; a table in Markdown.

python docs/benchmarks/gpu.py                     # the best device there is
python docs/benchmarks/gpu.py --device cpu --small

Encoders: the built-in one, and a ViT-S/16 with random weights (nothing is downloaded;
speed does not depend on the weights). With ``--small`` sizes are those that a CPU does
in minutes. Rows that a device does not do say why.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from large import strokes, tissue
from training_memory import examples

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings
from napari_segdino.encoders import get_spec, load_encoder, resolve_device
from napari_segdino.encoders.device import measured_memory
from napari_segdino.heads.dense.train import iter_fit_dense
from napari_segdino.heads.registry import make_head
from napari_segdino.progress import drive

NUMBERS = ("float32", "bfloat16", "float16")


def made_up_weights(folder):
    """Write a ViT-S/16 with weights drawn by chance."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    name = get_spec("dinov3_vits16").timm_name
    path = folder / "vit_s.safetensors"
    save_file(timm.create_model(name, num_classes=0).state_dict(), path)
    return str(path)


def waited(device):
    """Wait for what a device still computes."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds(device, call, times=3):
    """Return the least time of a call; the first one, which warms up, is left out."""
    found = []
    for _ in range(times + 1):
        waited(device)
        start = time.perf_counter()
        call()
        waited(device)
        found.append(time.perf_counter() - start)
    return min(found[1:])


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def header(title, *cells):
    print(f"\n## {title}\n")
    row(*cells)
    row(*("---" for _ in cells))


def megabytes(used):
    return f"{used[0] / 1e6:.0f} MB" if used else "not told"


def forward(device, names, side, batches):
    header(
        f"Encoder at {side} pixels", "encoder", "numbers", "at once", "images/s", "peak"
    )
    for name in names:
        # In float16 a CPU takes ten times as long, which nobody will choose.
        for precision in NUMBERS[: 2 if device.type == "cpu" else 3]:
            encoder = load_encoder(name, str(device), precision)
            for count in batches:
                batch = torch.rand(count, 3, side, side)

                def encode(encoder=encoder, batch=batch):
                    encoder.encode(batch, [encoder.spec.depth - 1])

                try:
                    with measured_memory(device) as used:
                        rate = f"{count / seconds(device, encode):.2f}"
                except RuntimeError as error:
                    rate, used = f"not done: {str(error).splitlines()[0][:60]}", []
                row(Path(name).stem, precision, count, rate, megabytes(used))


def segmenter_of(name, device):
    return Segmenter(name, device=str(device), cache=CacheSettings(2 << 30, 0))


def masks(device, names, sides):
    header(
        "Masks of a picture in colours",
        "encoder", "pixels", "first mask", "later round", "peak",
    )  # fmt: skip
    for name in names:
        for side in sides:
            pair = np.tile(tissue(), (2, 2, 1))[:side, :side]
            marks = np.tile(strokes(tissue()), (2, 2))[:side, :side]
            one = segmenter_of(name, device)
            drive(one.iter_pipeline())
            with measured_memory(device) as used:
                waited(device)
                start = time.perf_counter()
                one.fit(pair, marks).predict(pair)
                waited(device)
                first = time.perf_counter() - start

                def again(one=one, pair=pair, marks=marks):
                    one.fit(pair, marks).predict(pair)

                later = seconds(device, again, 2)
            row(
                Path(name).stem,
                side,
                f"{first:.2f} s",
                f"{later:.2f} s",
                megabytes(used),
            )


def training(device, count, heads):
    header("Training a decoder on features of a ViT-B", "head", "images/s", "peak")
    with tempfile.TemporaryDirectory() as folder:
        found = examples(count, Path(folder), 1 << 40)
        for name in heads:
            head = make_head(name)
            recipe = replace(head.choose_recipe(False, device), epochs=1)

            def fit(head=head, recipe=recipe):
                how = {"recipe": recipe, "seed": 0, "device": device}
                drive(iter_fit_dense(head.decoder, found, 2, **how))

            with measured_memory(device) as used:
                rate = count / seconds(device, fit, 1)
            row(name, f"{rate:.1f}", megabytes(used))


def backing_off(device, vit, side):
    """Give the device little memory and see what is done."""
    header("Little memory", "allowed", "what was done")
    if device.type != "cuda":
        row("-", f"not done: torch bounds no memory of {device.type}")
        return
    total = torch.cuda.get_device_properties(device).total_memory
    for allowed in (2 << 30, 512 << 20, 160 << 20):
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / total), device)
        encoder = load_encoder(vit, str(device), "float32")
        encoder.encode(torch.rand(16, 3, side, side), [11])
        on_cpu = "on the CPU" if encoder._on_cpu is not None else "on the card"
        most = encoder._most.get((side, side), 16)
        row(f"{allowed >> 20} MB", f"batches of {most}, {on_cpu}")
    torch.cuda.set_per_process_memory_fraction(1.0, device)


def volume(device, names, depth, side):
    header(
        f"A volume of {depth} x {side} x {side}",
        "encoder", "planes/s", "bare encoder, one by one", "share",
    )  # fmt: skip
    grey = tissue().mean(-1).astype(np.uint8)[:side, :side]
    planes = np.stack([np.roll(grey, 3 * z, 0) for z in range(depth)])
    for name in names:
        one = segmenter_of(name, device)
        one.fit(planes[0], strokes(tissue())[:side, :side])
        waited(device)
        start = time.perf_counter()
        one.predict(planes, axes="ZYX")
        waited(device)
        whole = depth / (time.perf_counter() - start)
        extractor = drive(one.iter_pipeline()).extractor
        views = [torch.rand(1, 3, n, n) for n in (side, 2 * side)]

        def bare(extractor=extractor, views=views):
            for view in views:
                extractor.encoder.encode(view, extractor.levels)

        rate = 1 / seconds(device, bare, 2)
        row(Path(name).stem, f"{whole:.2f}", f"{rate:.2f}", f"{whole / rate:.2f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="auto")
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    device = resolve_device(asked.device)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(
        f"Device: {card}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    small = asked.small
    with tempfile.TemporaryDirectory() as folder:
        vit = made_up_weights(Path(folder))
        names = ("efficientnet_lite0", vit)
        forward(
            device, names, 256 if small else 512, (1, 4) if small else (1, 4, 16, 32)
        )
        masks(device, names, (256,) if small else (512, 1024))
        training(device, 24 if small else 400, ("segdino", "segdino_v2", "meddino"))
        backing_off(device, vit, 512)
        volume(device, names, 6 if small else 60, 128 if small else 512)


if __name__ == "__main__":
    main()
