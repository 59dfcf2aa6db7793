#!/usr/bin/env bash
# Trains the default model from nothing: ./models/emoji/train.sh [FOLDER]
#
# Renders the pictures, makes the vocabulary, trains the autoencoder, then text encoder and UNet together, and writes
# FOLDER/emoji.safetensors (build/emoji by default). Can be stopped with Ctrl-C, or killed, at any time: the same command
# goes on where it was and ends with the same weights. Needs FreeType, HarfBuzz, the font and Unicode's list of emoji:
#   apt install libfreetype-dev libharfbuzz-dev fonts-noto-color-emoji unicode-data
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
out=${1:-$root/build/emoji}
recipe=$root/models/emoji/recipe.yaml
mkdir -p "$out"

"$root/ci.sh" build release sumi make_emoji_dataset >"$out/build.log" 2>&1 || { cat "$out/build.log"; exit 70; }
sumi=$root/build/release/sumi

pictures() { # NAME JITTER
  if [ ! -f "$out/$1/metadata.jsonl" ]; then "$root/build/release/make_emoji_dataset" "$out/$1" --jitter "$2"; fi
}
pictures data 1
pictures data-moved 3
if [ ! -f "$out/tokenizer/merges.txt" ]; then
  "$sumi" train tokenizer --data "$out/data" --out "$out/tokenizer" --size 2048
fi

# First as sharp as it can; then with noise in the latents that the decoder learns to bear, which costs nothing in
# sharpness. A UNet that is not quite right then draws clean colours all the same.
autoencoder() { # NAME and options
  local name=$1
  shift
  if [ ! -f "$out/$name/autoencoder.safetensors" ]; then
    "$sumi" train autoencoder --config "$recipe" --out "$out/$name" --resume --size 128 --crop 64 --batch 8 --lr 1e-3 \
      --beta1 0.9 --beta2 0.99 --lr-shape cosine --save-every 500 --sample-every 500 "$@"
  fi
}
autoencoder autoencoder-sharp --data "$out/data-moved" --steps 7500 --warmup 200 --ema 0.999
autoencoder autoencoder --ckpt "$out/autoencoder-sharp/autoencoder.safetensors" --data "$out/data" --steps 2000 \
  --warmup 100 --ema 0.995 --kl-weight 0.3

prompts=()
for prompt in "red apple" "cat face on a blue background" "rocket on a pink background" "grinning face" \
  "sunflower on a black background" "octopus" "guitar on a yellow background" "a teapot"; do
  prompts+=(--sample-prompt "$prompt")
done
if [ ! -f "$out/diffusion/model.safetensors" ]; then
  "$sumi" train ldm --ckpt "$out/autoencoder/autoencoder.safetensors" --config "$recipe" \
    --tokenizer "$out/tokenizer" --data "$out/data" --out "$out/diffusion" --resume --from-scratch --train-text \
    --text-lr-scale 0.3 --timestep-shift 2 --size 128 --batch 16 --steps 28000 --lr 7e-4 --warmup 300 \
    --lr-shape cosine --ema 0.999 --clip 0.5 --save-every 500 --sample-every 2500 "${prompts[@]}"
fi
# Where and how long goes into the file with the rest of its history.
hours=$(awk -F, 'FNR == 1 { for (i = 1; i <= NF; ++i) if ($i == "seconds") column = i; next } { sum += $column }
  END { printf "%.1f", sum / 3600 }' "$out"/{autoencoder-sharp,autoencoder,diffusion}/metrics.csv)
processor=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1 || true)
about=$(sed -n 's/^about: "\(.*\)"$/\1/p' "$recipe")
"$sumi" convert --ckpt "$out/diffusion/model.safetensors" --dtype f16 --out "$out/emoji.safetensors" \
  --about "$about, in $hours hours on $(nproc 2>/dev/null || echo some) cores${processor:+ of $processor}"
echo "$out/emoji.safetensors is the default model once it lies in $root/models/emoji/"
