#!/bin/sh
# Draws the pictures of docs/pictures.md with the bundled model: docs/pictures.sh [PROGRAM]
set -e
cd "$(dirname "$0")/images/pictures"
sumi=${1:-../../../sumi}
draw() { "$sumi" "$@" --quiet; }
find . -name '*.png' ! -name mask.png -delete
draw "a red apple" --seed 1 -o apple.png
draw "a green apple" --init apple.png --strength 0.6 --seed 2 -o green.png
draw "a yellow smiling face" --init apple.png --mask mask.png --seed 3 -o face.png
draw "a red apple" --init apple.png --extend 0,0,32,0 --seed 6 -o extended.png
draw "a red apple" --seed 1 --hires 2 --hires-upscaler lanczos --hires-strength 0.3 -o hires.png
draw "a red heart" --seed 2 --seamless xy -o seamless.png
draw "a red apple" --seed 1 --subseed 9 --subseed-strength 0.5 -o variation.png
