// The pure parts of the mask editor. Run by `node --test`.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {History} from '../js/editor_history.js';
import {Mask} from '../js/editor_mask.js';
import {clip, inEights, union} from '../js/editor_rect.js';

const copy = (mask) => Uint8Array.from(mask.data);
const count = (data) => data.reduce((sum, value) => sum + value, 0);

function change(mask, call) {
  mask.begin();
  call();
  return mask.end();
}

// Numbers that look random, the same in every run.
function* numbers(seed) {
  for (;;) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    yield seed / 2 ** 32;
  }
}

test('rectangles are cut and joined', () => {
  assert.deepEqual(clip({x: -3, y: 2.5, w: 10, h: 100}, 5, 20), {x: 0, y: 2, w: 5, h: 18});
  assert.equal(clip({x: 6, y: 0, w: 4, h: 4}, 5, 20), null);
  assert.equal(clip(null, 5, 5), null);
  assert.deepEqual(union({x: 1, y: 1, w: 2, h: 2}, {x: 5, y: 0, w: 1, h: 1}), {x: 1, y: 0, w: 5, h: 3});
  assert.deepEqual(union(null, {x: 1, y: 2, w: 3, h: 4}), {x: 1, y: 2, w: 3, h: 4});
  assert.deepEqual([inEights('13', 100), inEights(-9, 100), inEights(500, 100), inEights('x', 100)], [16, 0, 96, 0]);
});

test('a segment covers the pixels near its line, and no others', () => {
  const next = numbers(7);
  const random = () => next.next().value;
  for (let round = 0; round < 200; ++round) {
    const mask = new Mask(60, 50);
    const [x0, y0, x1, y1] = [random() * 80 - 10, random() * 70 - 10, random() * 80 - 10, random() * 70 - 10];
    const radius = 0.5 + random() * 15;
    let dirty = null;
    change(mask, () => { dirty = mask.segment(x0, y0, x1, y1, radius, 1); });
    const square = (x1 - x0) ** 2 + (y1 - y0) ** 2;
    for (let y = 0; y < 50; ++y) {
      for (let x = 0; x < 60; ++x) {
        const px = x + 0.5, py = y + 0.5;
        const t = Math.min(Math.max(((px - x0) * (x1 - x0) + (py - y0) * (y1 - y0)) / square, 0), 1);
        const distance = Math.hypot(px - x0 - t * (x1 - x0), py - y0 - t * (y1 - y0));
        if (Math.abs(distance - radius) < 1e-6) continue;  // the edge itself
        assert.equal(mask.data[y * 60 + x], distance < radius ? 1 : 0, `round ${round}, ${x}, ${y}`);
        if (mask.data[y * 60 + x])
          assert.ok(x >= dirty.x && x < dirty.x + dirty.w && y >= dirty.y && y < dirty.y + dirty.h);
      }
    }
  }
});

test('a dot without movement is a disc, and outside of the picture nothing', () => {
  const mask = new Mask(20, 20);
  change(mask, () => mask.segment(10, 10, 10, 10, 3, 1));
  assert.equal(mask.painted, count(mask.data));
  assert.ok(mask.painted > 20 && mask.painted < 36);
  assert.equal(change(mask, () => assert.equal(mask.segment(-50, -50, -40, -40, 3, 1), null)), null);
});

test('undo and redo give back every byte, in any order', () => {
  const mask = new Mask(700, 530), history = new History(), next = numbers(3), states = [copy(mask)];
  const random = (limit) => Math.floor(next.next().value * limit);
  const kinds = [
    () => mask.segment(random(700), random(530), random(700), random(530), 1 + random(60), 1),
    () => mask.segment(random(700), random(530), random(700), random(530), 1 + random(60), 0),
    () => mask.rectangle({x: random(700), y: random(530), w: 1 + random(300), h: 1 + random(300)}, 1),
    () => mask.invert(),
    () => mask.rectangle({x: 0, y: 0, w: 700, h: 530}, 0),
  ];
  for (let i = 0; i < 40; ++i) {
    const done = change(mask, kinds[i % kinds.length]);
    if (!done) continue;
    history.push({bytes: done.bytes, apply: () => mask.swap(done)});
    states.push(copy(mask));
    assert.equal(mask.painted, count(mask.data));
  }
  for (let round = 0; round < 2; ++round) {
    for (let i = states.length - 2; i >= 0; --i) {
      assert.ok(history.undo());
      assert.deepEqual(mask.data, states[i]);
      assert.equal(mask.painted, count(states[i]));
    }
    assert.ok(!history.undo());
    for (let i = 1; i < states.length; ++i) {
      assert.ok(history.redo());
      assert.deepEqual(mask.data, states[i]);
    }
    assert.ok(!history.redo());
  }
});

test('a change that changes nothing is none', () => {
  const mask = new Mask(300, 300);
  change(mask, () => mask.rectangle({x: 0, y: 0, w: 300, h: 300}, 1));
  assert.equal(change(mask, () => mask.segment(5, 5, 200, 200, 9, 1)), null);
});

test('a stroke that is taken back leaves no trace', () => {
  const mask = new Mask(600, 600);
  change(mask, () => mask.segment(100, 100, 500, 500, 20, 1));
  const before = copy(mask), painted = mask.painted;
  mask.begin();
  mask.segment(0, 600, 600, 0, 50, 1);
  assert.notDeepEqual(mask.data, before);
  assert.deepEqual(mask.revert(), {x: 0, y: 0, w: 600, h: 600});
  assert.deepEqual(mask.data, before);
  assert.equal(mask.painted, painted);
});

test('a stroke keeps the tiles that it touched alone', () => {
  const mask = new Mask(4096, 4096);
  const done = change(mask, () => mask.segment(10, 10, 200, 200, 10, 1));
  assert.equal(done.bytes, 256 * 256 / 8);
  assert.equal(change(mask, () => mask.invert()).bytes, 4096 * 4096 / 8);
});

test('the history forgets the oldest beyond its bytes, never the last', () => {
  const history = new History(100), applied = [];
  for (let i = 0; i < 10; ++i) history.push({bytes: 30, apply: () => applied.push(i)});
  assert.ok(history.bytes <= 100);
  while (history.undo());
  assert.deepEqual(applied, [9, 8, 7]);
  history.push({bytes: 500, apply: () => applied.push('big')});
  assert.equal(history.bytes, 500);
  assert.ok(!history.redo());
  assert.ok(history.undo());
  assert.equal(applied.at(-1), 'big');
});
