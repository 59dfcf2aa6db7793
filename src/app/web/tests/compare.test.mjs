// The pure parts of the comparison. Run by `node --test`.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {differences, readParameters, wordsOnlyIn} from '../js/compare_text.js';

test('parameters are read from their text', () => {
  const read = (text) => Object.fromEntries(readParameters(text));
  assert.deepEqual(read('a cat,\nsecond line\nNegative prompt: bad\nworse\nSteps: 20, Sampler: Euler a, Size: 64x64, ' +
    'Lora hashes: "x: 12, y: 34", Note: "a \\"b\\""'),
  {Prompt: 'a cat,\nsecond line', 'Negative prompt': 'bad\nworse', Steps: '20', Sampler: 'Euler a', Size: '64x64',
    'Lora hashes': 'x: 12, y: 34', Note: 'a "b"'});
  assert.deepEqual(read('Steps: 3'), {Steps: '3'});
  assert.deepEqual(read('a cat, style: oil'), {Prompt: 'a cat, style: oil'});
  assert.deepEqual(read(''), {});
  assert.deepEqual(read(undefined), {});
});

test('differences and what is equal', () => {
  const a = new Map([['Steps', '1'], ['Seed', '2'], ['VAE', 'x']]);
  const b = new Map([['Steps', '1'], ['Seed', '3'], ['Size', '8']]);
  assert.deepEqual(differences(a, b),
    {different: [['Seed', '2', '3'], ['VAE', 'x', null], ['Size', null, '8']], equal: [['Steps', '1']]});
});

test('words that the other text lacks', () => {
  assert.deepEqual(wordsOnlyIn('a red cat, oil', 'a blue cat, oil'),
    [{text: 'a ', only: false}, {text: 'red', only: true}, {text: ' cat, oil', only: false}]);
  assert.deepEqual(wordsOnlyIn('same', 'same'), [{text: 'same', only: false}]);
  assert.deepEqual(wordsOnlyIn('x', ''), [{text: 'x', only: true}]);
  const pieces = wordsOnlyIn('one two three four', 'three four one');
  assert.equal(pieces.map((piece) => piece.text).join(''), 'one two three four');
});
