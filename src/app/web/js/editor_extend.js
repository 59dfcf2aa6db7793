// Outpainting: how many pixels are drawn around the picture, by handles on its four sides and by number fields.
import {button, el, labelled} from './modal.js';
import {inEights} from './editor_rect.js';

const kSides = ['left', 'right', 'top', 'bottom'];  // as in a request's `extend`
const kMostSide = 16384;                            // pixels of the result

// `set(extend)` shows another value while a handle is dragged, `commit(before, after)` when it is decided. Returns
// {handles, fields, update(extend), place()}.
export function makeExtend(view, {set, commit}) {
  const most = (side) => {
    const horizontal = side < 2, other = view.extend[side ^ 1];
    return Math.max(kMostSide - other - (horizontal ? view.picture.width : view.picture.height), 0);
  };
  const changed = (side, pixels) => view.extend.map((old, i) => (i === side ? inEights(pixels, most(side)) : old));

  const handles = kSides.map((name, side) => {
    const handle = el('button', {type: 'button', class: `ed-handle ed-${name}`, role: 'slider', 'data-side': side,
      'aria-label': `Draw more on the ${name === 'top' || name === 'bottom' ? name : `${name} side`}`,
      'aria-orientation': side < 2 ? 'horizontal' : 'vertical', 'aria-valuemin': 0});
    drag(handle, side);
    return handle;
  });

  const inputs = kSides.map((name, side) => el('input', {type: 'number', min: 0, step: 8, value: 0,
    inputmode: 'numeric', on: {change: (event) => {
      const before = view.extend, after = changed(side, event.target.value);
      set(after);
      commit(before, after);
    }}}));
  const size = el('p', {class: 'm-hint'});
  const fields = el('fieldset', {}, el('legend', {}, 'Pixels around it'),
    el('div', {class: 'ed-numbers'},
      kSides.map((name, i) => labelled(name[0].toUpperCase() + name.slice(1), inputs[i]))),
    size,
    button('No border', () => {
      const before = view.extend;
      set([0, 0, 0, 0]);
      commit(before, [0, 0, 0, 0]);
    }));

  function drag(handle, side) {
    let start = null;  // {at, extend, scale}
    const along = (event) => (side < 2 ? event.clientX : event.clientY);
    const outward = side === 0 || side === 2 ? -1 : 1;
    handle.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      handle.setPointerCapture(event.pointerId);
      start = {at: along(event), extend: view.extend, scale: view.scale};
    });
    handle.addEventListener('pointermove', (event) => {
      if (start) set(changed(side, start.extend[side] + outward * (along(event) - start.at) / start.scale));
    });
    const end = () => {
      if (!start) return;
      const before = start.extend;
      start = null;
      commit(before, view.extend);
    };
    handle.addEventListener('pointerup', end);
    handle.addEventListener('lostpointercapture', end);
    handle.addEventListener('keydown', (event) => {
      const forward = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'][side];
      const backward = ['ArrowRight', 'ArrowLeft', 'ArrowDown', 'ArrowUp'][side];
      const now = view.extend[side];
      const next = {[forward]: now + 8, [backward]: now - 8, PageUp: now + 64, PageDown: now - 64, Home: 0}[event.key];
      if (next === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      const before = view.extend, after = changed(side, next);
      set(after);
      commit(before, after);
    });
    handle.addEventListener('focus', () => {
      const box = handle.getBoundingClientRect(), room = view.stage.getBoundingClientRect();
      const hidden = box.right < room.left || box.left > room.right || box.bottom < room.top || box.top > room.bottom;
      if (hidden) view.fit();
    });
  }

  return {
    handles, fields,
    update(extend) {
      extend.forEach((pixels, i) => {
        inputs[i].value = pixels;
        handles[i].setAttribute('aria-valuenow', pixels);
        handles[i].setAttribute('aria-valuemax', most(i));
        handles[i].setAttribute('aria-valuetext', `${pixels} pixels`);
        handles[i].classList.toggle('is-set', pixels > 0);
      });
      const {w, h} = view.outer();
      size.textContent = `The result has ${w} × ${h} pixels.`;
    },
    // At the middles of the sides, or of what is in sight of them.
    place() {
      const {x, y, w, h} = view.outer(), s = view.scale;
      const left = x * s + view.x, top = y * s + view.y, right = left + w * s, bottom = top + h * s;
      const middle = (from, to, room) => (Math.max(from, 0) + Math.min(to, room)) / 2;
      const across = middle(left, right, view.width), down = middle(top, bottom, view.height);
      [[left, down], [right, down], [across, top], [across, bottom]].forEach(([px, py], i) => {
        handles[i].style.transform = `translate(${px}px, ${py}px) translate(-50%, -50%)`;
      });
    },
  };
}
