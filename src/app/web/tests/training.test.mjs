// The pure parts of the loss curve. Run by `node --test`.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {inWords, short, smoothed, thinned, ticks} from '../js/training_chart.js';

test('smoothing begins at the first value and follows', () => {
  assert.deepEqual(smoothed([4, 4, 4], 0.9).map((value) => Number(value.toFixed(9))), [4, 4, 4]);
  assert.deepEqual(smoothed([1, 2, 3], 0), [1, 2, 3]);
  const step = smoothed([...Array(50).fill(0), ...Array(500).fill(1)], 0.95);
  assert.ok(step[49] === 0 && step[60] > 0.3 && step[60] < 0.7 && step.at(-1) > 0.99);
});

test('ticks are round and within the range', () => {
  assert.deepEqual(ticks(0, 0.12, 3), [0, 0.05, 0.1]);
  assert.deepEqual(ticks(1, 10000, 6), [2000, 4000, 6000, 8000, 10000]);
  assert.deepEqual(ticks(0.3, 0.7, 4), [0.3, 0.4, 0.5, 0.6, 0.7]);
});

test('thinning keeps the extremes and the order', () => {
  const points = Array.from({length: 10000}, (_, i) => [i, i === 7777 ? 99 : i === 1234 ? -99 : i % 7]);
  const kept = thinned(points, 200);
  assert.ok(kept.length <= 200);
  assert.ok(kept.some(([x]) => x === 7777) && kept.some(([x]) => x === 1234));
  assert.ok(kept.every(([x], i) => i === 0 || x > kept[i - 1][0]));
});

test('the curve in words', () => {
  assert.equal(inWords([{step: 1, loss: 0.5}, {step: 2, loss: 0.1}, {step: 3, loss: 0.25}], 0),
    'Loss over 3 logged steps: 0.5 at step 1, 0.25 at step 3 (smoothed 0.25), lowest 0.1 at step 2.');
  assert.deepEqual([short(0), short(12345.6), short(0.012345)], ['0', '12346', '0.0123']);
});
