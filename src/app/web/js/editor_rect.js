// Rectangles of whole pixels, {x, y, w, h}. Null is the empty one. No rectangle is changed in place.

export function clip(rect, width, height) {
  if (!rect) return null;
  const x = Math.max(0, Math.floor(rect.x)), y = Math.max(0, Math.floor(rect.y));
  const w = Math.min(width, Math.ceil(rect.x + rect.w)) - x, h = Math.min(height, Math.ceil(rect.y + rect.h)) - y;
  return w > 0 && h > 0 ? {x, y, w, h} : null;
}

export function union(a, b) {
  if (!a || !b) return a || b;
  const x = Math.min(a.x, b.x), y = Math.min(a.y, b.y);
  return {x, y, w: Math.max(a.x + a.w, b.x + b.w) - x, h: Math.max(a.y + a.h, b.y + b.h) - y};
}

// A number of pixels that is a multiple of 8, from 0 to `most`.
export function inEights(value, most) {
  const eights = Math.round(Number(value) / 8) * 8;
  return Number.isFinite(eights) ? Math.min(Math.max(eights, 0), Math.floor(most / 8) * 8) : 0;
}
