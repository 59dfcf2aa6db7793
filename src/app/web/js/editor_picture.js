// Pictures and masks between files and memory, for the editor.
import {Mask} from './editor_mask.js';
import {uriOf} from './files.js';

// The picture to edit: {width, height, levels, uri}. `levels` are ever smaller versions to draw from, each half as
// large as the one before; `uri` is a data URI of the picture, unchanged. Without a blob it is white, of the size
// given.
export async function openPicture(blob, width, height) {
  const file = blob || await new Promise((resolve) => canvasOf(width, height, '#fff').toBlob(resolve, 'image/png'));
  let whole;
  try {
    whole = await createImageBitmap(file);
  } catch {
    throw new Error('This file cannot be read as a picture. Give a PNG, JPEG or WebP.');
  }
  const levels = [whole];
  for (let last = whole; Math.max(last.width, last.height) > 1024; levels.push(last)) {
    const half = canvasOf(Math.ceil(last.width / 2), Math.ceil(last.height / 2));
    const context = half.getContext('2d');
    context.imageSmoothingQuality = 'high';
    context.drawImage(last, 0, 0, half.width, half.height);
    last = half;
  }
  return {width: whole.width, height: whole.height, levels, uri: await uriOf(file)};
}

// A PNG with white where the mask is 1; null where it is nowhere.
export async function maskUri(mask) {
  if (mask.painted === 0) return null;
  const canvas = canvasOf(mask.width, mask.height), context = canvas.getContext('2d', {alpha: false});
  if (!context) throw tooLarge(mask);
  const rows = Math.max(1, Math.floor((1 << 20) / mask.width));  // at a time: 4 MB
  for (let y = 0; y < mask.height; y += rows) {
    const strip = new ImageData(mask.width, Math.min(rows, mask.height - y));
    const pixels = new Uint32Array(strip.data.buffer), from = y * mask.width;
    for (let i = 0; i < pixels.length; ++i) pixels[i] = mask.data[from + i] ? 0xffffffff : 0xff000000;  // A, B, G, R
    context.putImageData(strip, 0, y);
  }
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!blob) throw tooLarge(mask);
  return uriOf(blob);
}

// The mask of a picture (a data URI), brought to a size.
export async function readMask(uri, width, height) {
  const image = new Image();
  image.src = uri;
  await image.decode();
  const canvas = canvasOf(width, height, '#000'), context = canvas.getContext('2d', {willReadFrequently: true});
  context.drawImage(image, 0, 0, width, height);
  const {data} = context.getImageData(0, 0, width, height), mask = new Mask(width, height);
  for (let i = 0; i < mask.data.length; ++i) {
    mask.data[i] = data[4 * i] >> 7;
    mask.painted += mask.data[i];
  }
  return mask;
}

function canvasOf(width, height, colour) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  if (colour) {
    const context = canvas.getContext('2d');
    context.fillStyle = colour;
    context.fillRect(0, 0, width, height);
  }
  return canvas;
}

const tooLarge = (mask) =>
  new Error(`A mask of ${mask.width} × ${mask.height} pixels is more than this browser can write.`);
