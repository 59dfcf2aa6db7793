// What the editor shows: the picture and the mask over it, zoomed and moved. Draws at most once a frame; of the mask
// the rectangle that changed alone, at the screen's resolution, so that the picture's size does not matter.
//
// Points of the screen are CSS pixels from the stage's corner: screen = picture * scale + (x, y).
import {el} from './modal.js';
import {clip, union} from './editor_rect.js';

const kMostPixelRatio = 2, kMargin = 28, kMostScale = 32;
// A, B, G, R with alpha: a colour with dark and light stripes, so that it shows on any picture and without colour.
const kTint = 0x66b4009e, kDark = 0x99200018, kLight = 0xa6ffffff;
const kStripes = 8, kStripe = 2.5;  // one dark and one light of so many, in CSS pixels

export class View {
  constructor(stage, picture, mask) {
    this.stage = stage;
    this.picture = picture;
    this.mask = mask;
    this.extend = [0, 0, 0, 0];
    this.scale = 1;
    this.x = this.y = 0;
    this.fitted = true;
    this.onMove = () => {};  // the view, or `extend`, is another
    this.frame = el('div', {class: 'ed-frame'});
    this.base = el('canvas', {'aria-hidden': 'true'});
    this.over = el('canvas', {'aria-hidden': 'true'});
    stage.append(this.frame, this.base, this.over);
    this.baseContext = this.base.getContext('2d');
    this.overContext = this.over.getContext('2d', {willReadFrequently: true});  // only ever written by the processor
    this.dirty = null;
    this.whole = false;
    this.request = 0;
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(stage);
    this.resize();
  }

  destroy() {
    this.observer.disconnect();
    cancelAnimationFrame(this.request);
  }

  resize() {
    this.width = this.stage.clientWidth;
    this.height = this.stage.clientHeight;
    this.ratio = Math.min(devicePixelRatio || 1, kMostPixelRatio);
    for (const canvas of [this.base, this.over]) {
      canvas.width = Math.max(1, Math.round(this.width * this.ratio));
      canvas.height = Math.max(1, Math.round(this.height * this.ratio));
    }
    if (this.fitted) this.fit();
    else this.redraw();
  }

  // Of the picture with what is drawn around it, in its pixels.
  outer() {
    const [left, right, top, bottom] = this.extend;
    return {x: -left, y: -top, w: this.picture.width + left + right, h: this.picture.height + top + bottom};
  }

  fit() {
    const {x, y, w, h} = this.outer();
    const room = (side) => Math.max(side - 2 * kMargin, 16);
    this.scale = Math.min(room(this.width) / w, room(this.height) / h, kMostScale);
    this.x = (this.width - w * this.scale) / 2 - x * this.scale;
    this.y = (this.height - h * this.scale) / 2 - y * this.scale;
    this.fitted = true;
    this.redraw();
  }

  // The point of the picture under (x, y) stays there.
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const least = Math.min(0.02, this.scale), scale = Math.min(Math.max(this.scale * factor, least), kMostScale);
    this.x = x - (x - this.x) * scale / this.scale;
    this.y = y - (y - this.y) * scale / this.scale;
    this.scale = scale;
    this.move(0, 0);
  }

  // A part of the picture always stays in sight.
  move(dx, dy) {
    const {x, y, w, h} = this.outer(), s = this.scale, seen = 40;
    this.x = Math.min(Math.max(this.x + dx, seen - (x + w) * s), this.width - seen - x * s);
    this.y = Math.min(Math.max(this.y + dy, seen - (y + h) * s), this.height - seen - y * s);
    this.fitted = false;
    this.redraw();
  }

  toPicture(clientX, clientY) {
    const box = this.stage.getBoundingClientRect();
    return [(clientX - box.left - this.x) / this.scale, (clientY - box.top - this.y) / this.scale];
  }

  // Puts an element over a rectangle of the picture.
  place(element, {x, y, w, h}) {
    element.style.transform = `translate(${x * this.scale + this.x}px, ${y * this.scale + this.y}px)`;
    element.style.width = `${w * this.scale}px`;
    element.style.height = `${h * this.scale}px`;
  }

  redraw() {
    this.whole = true;
    this.#ask();
  }

  redrawMask(rect) {
    this.dirty = union(this.dirty, rect);
    this.#ask();
  }

  #ask() {
    this.request ||= requestAnimationFrame(() => {
      this.request = 0;
      if (this.whole) {
        this.#drawPicture();
        this.overContext.clearRect(0, 0, this.over.width, this.over.height);
        this.place(this.frame, this.outer());
        this.onMove();
      }
      this.#drawMask(this.whole ? {x: 0, y: 0, w: this.mask.width, h: this.mask.height} : this.dirty);
      this.whole = false;
      this.dirty = null;
    });
  }

  #drawPicture() {
    const context = this.baseContext, scale = this.scale * this.ratio, {levels, width, height} = this.picture;
    let level = 0;
    while (level + 1 < levels.length && levels[level + 1].width >= width * scale) ++level;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.base.width, this.base.height);
    context.setTransform(scale, 0, 0, scale, this.x * this.ratio, this.y * this.ratio);
    context.imageSmoothingEnabled = scale < 3;  // pixels to be seen as such
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
    context.drawImage(levels[level], 0, 0, width, height);
  }

  #drawMask(rect) {
    if (!rect) return;
    const scale = this.scale * this.ratio, left = this.x * this.ratio, top = this.y * this.ratio;
    const box = clip({x: rect.x * scale + left - 1, y: rect.y * scale + top - 1, w: rect.w * scale + 2,
                      h: rect.h * scale + 2}, this.over.width, this.over.height);
    if (!box) return;
    const image = new ImageData(box.w, box.h), pixels = new Uint32Array(image.data.buffer);
    const {data, width, height} = this.mask;
    const columns = Int32Array.from({length: box.w}, (_, i) => {
      const column = Math.floor((box.x + i + 0.5 - left) / scale);
      return column < width ? column : -1;
    });
    const stripe = kStripe * this.ratio;
    for (let row = 0; row < box.h; ++row) {
      const y = Math.floor((box.y + row + 0.5 - top) / scale);
      if (y < 0 || y >= height) continue;
      const from = y * width, out = row * box.w, shift = box.x + box.y + row;
      for (let i = 0; i < box.w; ++i) {
        if (columns[i] < 0 || data[from + columns[i]] === 0) continue;
        const phase = Math.floor((shift + i) / stripe) % kStripes;
        pixels[out + i] = phase === 0 ? kDark : phase === 1 ? kLight : kTint;
      }
    }
    this.overContext.putImageData(image, box.x, box.y);
  }
}
