// The pure parts of the page: requests, weights in prompts, replies of the server. Run by `node --test`.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {parse, readEvents} from '../js/api.js';
import {bytesText, durationText} from '../js/files.js';
import {pieceAt, weighted} from '../js/prompt.js';
import {bodyOf, formOf} from '../js/request.js';

const kNoPictures = {begin: null, hints: []};
const kBegin = {uri: 'data:image/png;base64,AA==', mask: null, extend: null};

test('an untouched form asks for nothing but the prompt', () => {
  const values = {prompt: 'a red apple', negative: '', model: 'emoji', vae: '', width: '', steps: '', seed: '', count: '1',
    sampler: '', 'hires-on': false, 'hires-scale': '3', strength: '0.5', 'mask-blur': '4', resize: 'crop', previews: true};
  assert.deepEqual(bodyOf(values, kNoPictures), {request: {prompts: ['a red apple']}, previews: true, model: 'emoji'});
});

test('values have the types of their fields', () => {
  const {request} = bodyOf({prompt: 'x', width: '64', guidance: '2.5', seed: '18446744073709551615', count: '3', tiled: true,
    'hires-on': true, 'hires-scale': '1.5', 'hires-upscaler': 'latent'}, kNoPictures, {eta: 0.5, 'hires.sampler': 'ddim'});
  assert.deepEqual(request, {prompts: ['x'], hires: {scale: 1.5, upscaler: 'latent', sampler: 'ddim'}, width: 64, scale: 2.5,
    seed: '18446744073709551615', copies: 3, tiled_decode: true, eta: 0.5, seeding: 'picture'});
});

test('a picture brings its fields, a mask its own', () => {
  const values = {prompt: 'x', strength: '0.5', resize: 'crop', 'mask-blur': '8'};
  assert.deepEqual(bodyOf(values, {begin: kBegin, hints: []}).request,
    {prompts: ['x'], strength: 0.5, resize: 'crop', init: kBegin.uri});
  const begin = {...kBegin, mask: 'data:m', extend: [0, 8, 0, 0]};
  assert.deepEqual(bodyOf(values, {begin, hints: []}).request, {prompts: ['x'], strength: 0.5, mask_blur: 8, resize: 'crop',
    init: kBegin.uri, mask: 'data:m', extend: [0, 8, 0, 0]});
});

test('what is wrong names its input', () => {
  assert.throws(() => bodyOf({prompt: 'x', steps: '2.5'}, kNoPictures), {id: 'steps'});
  assert.throws(() => bodyOf({prompt: 'x', seed: '12x'}, kNoPictures), {id: 'seed'});
  const hint = {model: 'canny', image: null, weight: 1, start: 0, end: 1, preprocess: 'none'};
  assert.throws(() => bodyOf({prompt: 'x'}, {begin: null, hints: [hint]}), {id: 'hint 0'});
});

test('a request comes back as the form that makes it', () => {
  const request = {prompts: ['a pear'], negative_prompt: 'blurry', steps: 12, scale: 4, seed: 7, sampler: 'ddim', width: 64,
    height: 32, eta: 0.25, hires: {scale: 2, upscaler: 'latent', guidance: 3}};
  const {values, extras, missing} = formOf(request);
  assert.deepEqual(missing, []);
  assert.deepEqual(extras, {eta: 0.25, 'hires.guidance': 3});
  assert.deepEqual(bodyOf(values, kNoPictures, extras).request, request);
});

test('one picture of several is drawn again alone', () => {
  const request = {prompts: ['a cat'], copies: 3, seeding: 'picture', seed: 40};
  const alone = formOf(request, {number: 1, seed: 41, prompt: 'a cat'});
  assert.deepEqual(bodyOf(alone.values, kNoPictures, alone.extras).request, {prompts: ['a cat'], seed: 41});
  // With one generator for all, the second cannot be: the whole job is taken.
  const run = formOf({...request, seeding: 'run'}, {number: 1, seed: 40, prompt: 'a cat'});
  assert.deepEqual(bodyOf(run.values, kNoPictures, run.extras).request,
    {prompts: ['a cat'], copies: 3, seed: 40, seeding: 'run'});
});

test('pictures that are not kept are named', () => {
  const {missing, hints} = formOf({prompts: ['x'], init: 'data:', mask: 'data:', controls: [{model: 'canny', image: 'data:', weight: 0.5}]});
  assert.equal(missing.length, 3);
  assert.deepEqual(hints, [{model: 'canny', image: null, weight: 0.5, start: 0, end: 1, preprocess: 'none'}]);
});

test('the piece whose weight changes', () => {
  const at = (text, start, end = start) => {
    const piece = pieceAt(text, start, end);
    return piece && [piece.text, piece.weight, piece.kind];
  };
  assert.deepEqual(at('a red apple', 3), ['red', 1, 'plain']);
  assert.deepEqual(at('a red apple', 2, 11), ['red apple', 1, 'plain']);
  assert.deepEqual(at('a red  apple', 1, 7), ['red', 1, 'plain']);
  assert.deepEqual(at('a (red apple:1.2), b', 5), ['red apple', 1.2, 'weight']);
  assert.deepEqual(at('a <lora:ink:0.8>', 8), ['ink', 0.8, 'lora']);
  assert.equal(at('a  b', 2), null);
});

test('weights change by the step, and go with 1', () => {
  const change = (text, by) => weighted(pieceAt(text, 2, 2), by).text;
  assert.equal(change('red', 0.1), '(red:1.1)');
  assert.equal(change('(red:1.1)', 0.1), '(red:1.2)');
  assert.equal(change('(red:1.1)', -0.1), 'red');
  assert.equal(change('(red:0.05)', -0.1), '(red:0)');
  assert.equal(change('<lora:ink:0>', -0.1), '<lora:ink:-0.1>');
});

test('large seeds keep their digits', () => {
  assert.deepEqual(parse('{"seed": 18446744073709551615, "text": "seed 18446744073709551615 \\" 1234567890123456", "n": 12}'),
    {seed: '18446744073709551615', text: 'seed 18446744073709551615 " 1234567890123456', n: 12});
  assert.equal(parse('1234567890123456'), 1234567890123456);
});

test('events are read across pieces', async () => {
  const text = ': \n\nid: 1\nevent: queued\ndata: {"place":0}\n\nid: 2\nevent: warning\ndata: {"message":"ü"}\n\nid: 3\nevent: done\ndata: {}\n\n';
  const bytes = new TextEncoder().encode(text), events = [];
  const stream = new ReadableStream({start(controller) {
    for (let i = 0; i < bytes.length; i += 7) controller.enqueue(bytes.slice(i, i + 7));
    controller.close();
  }});
  await readEvents(stream, (event) => events.push(event));
  assert.deepEqual(events, [{name: 'queued', data: {place: 0}, number: '1'}, {name: 'warning', data: {message: 'ü'}, number: '2'},
    {name: 'done', data: {}, number: '3'}]);
});

test('sizes and durations in words', () => {
  assert.equal(bytesText(31391742), '31.4\u00a0MB');
  assert.equal(bytesText(0), '');
  assert.equal(durationText(75), '75 s');
  assert.equal(durationText(600), '10 min');
  assert.equal(durationText(7380), '2 h 3 min');
});
