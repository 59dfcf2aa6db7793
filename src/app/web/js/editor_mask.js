// A mask in memory: one byte for each pixel of the picture, 1 = drawn anew. Knows nothing of the page.
//
// Changes are made between begin() and end(). Before a tile is written for the first time its bits are kept, so that
// what a stroke costs in memory is the tiles that it touched, at a bit for each pixel. Each change returns the
// rectangle that must be drawn again, or null.
import {clip, union} from './editor_rect.js';

const kTile = 256;  // pixels; a kept tile has 8 KB: a stroke across 4096 pixels keeps some 256 KB

export class Mask {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.data = new Uint8Array(width * height);
    this.painted = 0;  // pixels, as of the last end()
    this.across = Math.ceil(width / kTile);
    this.kept = null;  // Map: tile number -> bits before, while a change is made
  }

  begin() {
    this.kept = new Map();
  }

  // Returns the change for undo (see swap()), or null where nothing was touched.
  end() {
    const tiles = this.kept;
    this.kept = null;
    let bytes = 0;
    for (const [tile, bits] of tiles) {
      const change = this.#count(tile) - ones(bits);
      this.painted += change;
      if (change === 0 && same(bits, this.#pack(tile))) tiles.delete(tile);
      else bytes += bits.length;
    }
    return tiles.size > 0 ? {tiles, bytes} : null;
  }

  // Exchanges a change's tiles with the mask's: undoes it, and the next time does it again.
  swap(change) {
    let dirty = null;
    for (const [tile, bits] of change.tiles) {
      const now = this.#pack(tile);
      this.#unpack(tile, bits);
      change.tiles.set(tile, now);
      this.painted += ones(bits) - ones(now);
      dirty = union(dirty, this.#box(tile));
    }
    return dirty;
  }

  // What was changed since begin() is taken back.
  revert() {
    let dirty = null;
    for (const [tile, bits] of this.kept) {
      this.#unpack(tile, bits);
      dirty = union(dirty, this.#box(tile));
    }
    this.kept = null;
    return dirty;
  }

  // A stroke's piece: all pixels whose centre is within `radius` of the line from (x0, y0) to (x1, y1).
  segment(x0, y0, x1, y1, radius, value) {
    const r = Math.max(radius, 0.5);
    const dirty = clip({x: Math.min(x0, x1) - r, y: Math.min(y0, y1) - r, w: Math.abs(x1 - x0) + 2 * r,
                        h: Math.abs(y1 - y0) + 2 * r}, this.width, this.height);
    if (!dirty) return null;
    this.#keep(dirty);
    for (let y = dirty.y; y < dirty.y + dirty.h; ++y) {
      const span = capsuleSpan(x0, y0, x1, y1, r, y + 0.5);
      if (!span) continue;
      const from = Math.max(Math.ceil(span[0] - 0.5), 0), to = Math.min(Math.floor(span[1] - 0.5) + 1, this.width);
      if (from < to) this.data.fill(value, y * this.width + from, y * this.width + to);
    }
    return dirty;
  }

  rectangle(rect, value) {
    const dirty = clip(rect, this.width, this.height);
    if (!dirty) return null;
    this.#keep(dirty);
    this.#rows(dirty, (from, to) => this.data.fill(value, from, to));
    return dirty;
  }

  invert() {
    const all = {x: 0, y: 0, w: this.width, h: this.height};
    this.#keep(all);
    for (let i = 0; i < this.data.length; ++i) this.data[i] ^= 1;
    return all;
  }

  #keep(rect) {
    const right = Math.floor((rect.x + rect.w - 1) / kTile), bottom = Math.floor((rect.y + rect.h - 1) / kTile);
    for (let row = Math.floor(rect.y / kTile); row <= bottom; ++row) {
      for (let column = Math.floor(rect.x / kTile); column <= right; ++column) {
        const tile = row * this.across + column;
        if (!this.kept.has(tile)) this.kept.set(tile, this.#pack(tile));
      }
    }
  }

  #box(tile) {
    const x = (tile % this.across) * kTile, y = Math.floor(tile / this.across) * kTile;
    return clip({x, y, w: kTile, h: kTile}, this.width, this.height);
  }

  #rows(box, call) {
    for (let y = box.y; y < box.y + box.h; ++y) call(y * this.width + box.x, y * this.width + box.x + box.w);
  }

  #pack(tile) {
    const box = this.#box(tile), bits = new Uint8Array(Math.ceil(box.w * box.h / 8));
    let at = 0;
    this.#rows(box, (from, to) => {
      for (let i = from; i < to; ++i, ++at) bits[at >> 3] |= this.data[i] << (at & 7);
    });
    return bits;
  }

  #unpack(tile, bits) {
    let at = 0;
    this.#rows(this.#box(tile), (from, to) => {
      for (let i = from; i < to; ++i, ++at) this.data[i] = (bits[at >> 3] >> (at & 7)) & 1;
    });
  }

  #count(tile) {
    let count = 0;
    this.#rows(this.#box(tile), (from, to) => {
      for (let i = from; i < to; ++i) count += this.data[i];
    });
    return count;
  }
}

// Where the line at height y runs through a segment with round ends: [left, right], or null. The shape is convex: it
// is the hull of what the two discs and the strip between them give.
function capsuleSpan(x0, y0, x1, y1, r, y) {
  let left = Infinity, right = -Infinity;
  const add = (x) => {
    left = Math.min(left, x);
    right = Math.max(right, x);
  };
  for (const [cx, cy] of [[x0, y0], [x1, y1]]) {
    const square = r * r - (y - cy) * (y - cy);
    if (square < 0) continue;
    add(cx - Math.sqrt(square));
    add(cx + Math.sqrt(square));
  }
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length > 0) {
    const nx = -(y1 - y0) / length * r, ny = (x1 - x0) / length * r;
    const corners = [[x0 + nx, y0 + ny], [x1 + nx, y1 + ny], [x1 - nx, y1 - ny], [x0 - nx, y0 - ny]];
    corners.forEach(([ax, ay], i) => {
      const [bx, by] = corners[(i + 1) % 4];
      if (ay !== by && (y - ay) * (y - by) <= 0) add(ax + (bx - ax) * (y - ay) / (by - ay));
    });
  }
  return left <= right ? [left, right] : null;
}

function ones(bits) {
  let count = 0;
  for (let byte of bits) for (; byte; byte &= byte - 1) ++count;
  return count;
}

const same = (a, b) => a.every((byte, i) => byte === b[i]);
