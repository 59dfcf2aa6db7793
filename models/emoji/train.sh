#!/usr/bin/env bash
# Trains the default model from nothing: ./models/emoji/train.sh [FOLDER]
#
# Renders the pictures, makes the vocabulary, trains the autoencoder, then text encoder and UNet together, and writes
# FOLDER/emoji.safetensors (build/emoji by default). Can be stopped with Ctrl-C, or killed, at any time: the same command
# goes on where it was and ends with the same bytes. Needs FreeType, HarfBuzz, the font and Unicode's list of emoji:
#   apt install libfreetype-dev libharfbuzz-dev fonts-noto-color-emoji unicode-data
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
out=${1:-$root/build/emoji}
recipe=$root/models/emoji/recipe.yaml
mkdir -p "$out"

"$root/ci.sh" build release sumi make_emoji_dataset >"$out/build.log" 2>&1 || { cat "$out/build.log"; exit 70; }
sumi=$root/build/release/sumi

if [ ! -f "$out/data/metadata.jsonl" ]; then "$root/build/release/make_emoji_dataset" "$out/data"; fi
if [ ! -f "$out/tokenizer/merges.txt" ]; then
  "$sumi" train tokenizer --data "$out/data" --out "$out/tokenizer" --size 2048
fi

if [ ! -f "$out/autoencoder/autoencoder.safetensors" ]; then
  "$sumi" train autoencoder --config "$recipe" --data "$out/data" --out "$out/autoencoder" --resume \
    --size 128 --crop 64 --batch 8 --steps 7500 --lr 1e-3 --beta1 0.9 --beta2 0.99 --warmup 200 --lr-shape cosine \
    --ema 0.999 --save-every 500 --sample-every 500
fi

prompts=()
for prompt in "red apple" "cat face on a blue background" "rocket on a pink background" "grinning face" \
  "sunflower on a black background" "octopus" "guitar on a yellow background" "a teapot"; do
  prompts+=(--sample-prompt "$prompt")
done
if [ ! -f "$out/diffusion/model.safetensors" ]; then
  "$sumi" train ldm --ckpt "$out/autoencoder/autoencoder.safetensors" --config "$recipe" \
    --tokenizer "$out/tokenizer" --data "$out/data" --out "$out/diffusion" --resume --from-scratch --train-text \
    --size 128 --batch 32 --steps 7500 --lr 6e-4 --warmup 500 --lr-shape cosine --ema 0.999 --clip 1 \
    --save-every 250 --sample-every 500 "${prompts[@]}"
fi
"$sumi" convert --ckpt "$out/diffusion/model.safetensors" --dtype f16 --out "$out/emoji.safetensors" --about "$(
  sed -n 's/^about: "\(.*\)"$/\1/p' "$root/models/emoji/recipe.yaml"
)"
echo "$out/emoji.safetensors is the default model once it lies in $root/models/emoji/"
