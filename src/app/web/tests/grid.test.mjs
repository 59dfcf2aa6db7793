// The pure parts of the X/Y grid. Run by `node --test`.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {runGrid} from '../js/grid_run.js';
import {jobsOf, parseValues, withValue} from '../js/grid_values.js';

test('numbers and ranges', () => {
  const cases = {
    '20': [20],
    ' 1, 2 ,3,, ': [1, 2, 3],
    '1-5': [1, 2, 3, 4, 5],
    '1-9 (+2)': [1, 3, 5, 7, 9],
    '1 - 8 (+2)': [1, 3, 5, 7],
    '10-1 (-3)': [10, 7, 4, 1],
    '3-1': [3, 2, 1],
    '-2-2': [-2, -1, 0, 1, 2],
    '-3--1': [-3, -2, -1],
    '0.2-1 (+0.2)': [0.2, 0.4, 0.6, 0.8, 1],
    '0-1 [5]': [0, 0.25, 0.5, 0.75, 1],
    '7-9 [1]': [7],
    '.5, 1.': [0.5, 1],
    '5, 4-6, 5': [5, 4, 6],
    '4-4': [4],
    '18446744073709551615, 7': ['18446744073709551615', 7],
  };
  for (const [text, values] of Object.entries(cases)) assert.deepEqual(parseValues(text, 'number'), values, text);
});

test('what is no number is refused with a sentence', () => {
  for (const text of ['', ' , ', 'a', '1-', '1-9 (+0)', '1-9 (-1)', '1-1e9', '0-99999', '0-1 [0]', '1-9 (2',
                      '0-18446744073709551615'])
    assert.throws(() => parseValues(text, 'number'), /^Error: .*\.$/, text);
});

test('texts between commas, quotes for those that have commas', () => {
  assert.deepEqual(parseValues('cat, "dog, big" ,1-9', 'text'), ['cat', 'dog, big', '1-9']);
  assert.deepEqual(parseValues('"say \\"hi\\"", a "b" c', 'text'), ['say "hi"', 'a "b" c']);
  assert.deepEqual(parseValues('euler, euler', 'choice'), ['euler']);
});

const base = {model: 'm', request: {prompts: ['a red cat', 'second'], negative_prompt: 'red', copies: 4, steps: 5}};

test('values go where their names say', () => {
  assert.equal(withValue(base, {name: 'steps'}, 9).request.steps, 9);
  assert.equal(withValue(base, {name: 'model'}, 'other').model, 'other');
  assert.equal(withValue(base, {name: 'hires.scale'}, 1.5).request.hires.scale, 1.5);
  assert.equal(base.request.hires, undefined);
  const hires = {request: {hires: {scale: 2, steps: 3}}};
  assert.deepEqual(withValue(hires, {name: 'hires.scale'}, 4).request.hires, {scale: 4, steps: 3});
  assert.equal(hires.request.hires.scale, 2);
  const replaced = withValue(base, {name: 'replace'}, 'blue', ['red', 'blue']).request;
  assert.deepEqual([replaced.prompts[0], replaced.negative_prompt], ['a blue cat', 'blue']);
  assert.throws(() => withValue(base, {name: 'replace'}, 'x', ['dog', 'x']), /"dog" is not in the prompt/);
});

test('a grid has a job for each pair, of one picture and one seed', () => {
  const steps = {axis: {name: 'steps'}, values: [1, 2, 3]}, models = {axis: {name: 'model'}, values: ['a', 'b']};
  const jobs = jobsOf(base, steps, models, 77);
  assert.equal(jobs.length, 6);
  assert.deepEqual(jobs.map((job) => [job.body.request.steps, job.body.model, job.x, job.y])[4], [2, 'b', 1, 1]);
  for (const {body} of jobs)
    assert.deepEqual([body.request.seed, body.request.copies, body.request.prompts], [77, undefined, ['a red cat']]);
  assert.deepEqual(jobsOf(base, models, steps, 1).map((job) => job.body.model), ['a', 'a', 'a', 'b', 'b', 'b']);
  const seeds = jobsOf({request: {prompts: ['x'], seed: 5}}, {axis: {name: 'seed'}, values: [8, 9]}, null, 1);
  assert.deepEqual(seeds.map((job) => job.body.request.seed), [8, 9]);
});

// A server in memory: `refuse` tells the error for the n-th submission, if any.
function server(refuse = () => null) {
  const calls = [], watchers = new Map();
  let count = 0, most = 0;
  return {
    calls, watchers,
    most: () => most,
    submit: async (body) => {
      const error = refuse(count, body);
      ++count;
      if (error) throw Object.assign(new Error(error.message), error);
      calls.push(body);
      return {id: `job${calls.length}`};
    },
    watch: (id, call) => {
      watchers.set(id, call);
      most = Math.max(most, watchers.size);
      return () => watchers.delete(id);
    },
    finish(id) {
      const call = watchers.get(id);
      call({name: 'picture', data: {number: 0}});
      call({name: 'done', data: {}});
    },
  };
}
const settle = () => new Promise((done) => setTimeout(done, 5));
const quiet = {cancelJob() {}, show() {}, wait() {}};

test('all jobs are submitted, few are watched at once', async () => {
  const it = server(), cells = Array.from({length: 7}, (_, i) => ({body: i}));
  const run = runGrid(cells, {...it, ...quiet});
  await settle();
  assert.equal(it.calls.length, 7);
  for (let i = 1; i <= 7; ++i) {
    it.finish(`job${i}`);
    await settle();
  }
  await run.finished;
  assert.ok(it.most() <= 2);
  assert.equal(it.watchers.size, 0);
  assert.deepEqual(cells.map((cell) => cell.url), cells.map((_, i) => `/v1/jobs/job${i + 1}/pictures/0`));
});

test('a full queue is waited for, another error is the cell\'s', async () => {
  const it = server((n, body) => (n === 1 ? {status: 429, retryAfter: 1, message: 'full'} :
    body === 'bad' ? {status: 400, message: 'Wrong.'} : null));
  const cells = ['a', 'b', 'bad'].map((body) => ({body})), waits = [];
  const run = runGrid(cells, {...it, ...quiet, wait: (seconds) => waits.push(seconds)});
  await settle();
  assert.deepEqual(waits, [1]);
  while (it.calls.length < 2) await settle();
  await settle();
  it.finish('job1');
  it.watchers.get('job2')({name: 'failed', data: {error: 'No memory.'}});
  await run.finished;
  assert.deepEqual(waits, [1, 0]);
  assert.deepEqual(cells.map((cell) => [cell.state, cell.error]),
    [['done', undefined], ['failed', 'No memory.'], ['failed', 'Wrong.']]);
});

test('cancel ends what is queued and submits nothing more', async () => {
  const it = server((n) => (n >= 3 ? {status: 429, retryAfter: 60, message: 'full'} : null)), told = [];
  const cells = Array.from({length: 6}, (_, i) => ({body: i}));
  const run = runGrid(cells, {...it, ...quiet, cancelJob: (id) => told.push(id)});
  await settle();
  it.finish('job1');
  await settle();
  run.cancel();
  await run.finished;
  await settle();
  assert.deepEqual(told, ['job2', 'job3']);
  assert.equal(it.calls.length, 3);
  assert.deepEqual(cells.map((cell) => cell.state), ['done', ...Array(5).fill('cancelled')]);
});
