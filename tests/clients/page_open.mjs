// What the stories of the page share: a browser, a page on a server that has no jobs, and what is often done with it.
import assert from 'node:assert/strict';
import {mkdirSync} from 'node:fs';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';
import {chromium} from 'playwright-core';
import {startServer, until} from './server.mjs';

const kPatience = 60000;  // ms; machines are slow while they build
const kShots = fileURLToPath(new URL('shots/', import.meta.url));

let browser;

// One server for the stories of a file, before the first and until the last: prepare() makes what it needs and returns
// the words and the environment that it is started with.
export function sharedServer(prepare = () => ({})) {
  let server;
  before(async () => {
    const {words, env} = prepare();
    server = await startServer(words, env);
  });
  after(async () => {
    await browser?.close();
    await server.stop('SIGKILL');
  });
  return {server: () => server};
}

// A story with a fresh browser context: run({page, context, api, url}). `server`: one that is there, whose jobs are
// forgotten first; without it the story's own is started, with `words` and `env`. `context` are the options of the
// context. What the browser says about wrong code, and whatever the page loads from elsewhere, fails the story.
export function story(name, {server, words = [], env = {}, context: options = {}, open = true}, run) {
  test(name, {timeout: 5 * kPatience}, async () => {
    browser ??= await chromium.launch({executablePath: process.env.SUMI_CHROMIUM, args: ['--no-sandbox']});
    const mine = server ? server() : await startServer(words, env), api = new Api(mine.url);
    if (server) await api.forgetAll();
    const context = await browser.newContext({viewport: {width: 1280, height: 860}, ...options});
    context.setDefaultTimeout(kPatience);
    const wrong = [];
    context.on('weberror', (error) => wrong.push(String(error.error())));
    context.on('console', (message) => {
      // A refused or unanswered request is told by the page.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) wrong.push(message.text());
    });
    context.on('request', (request) => {
      const {protocol, host} = new URL(request.url());
      if (!['data:', 'blob:'].includes(protocol) && host !== new URL(mine.url).host) wrong.push(`asks ${request.url()}`);
    });
    try {
      const page = await context.newPage();
      if (open) await openPage(page, mine.url);
      await run({page, context, api, url: mine.url, server: mine});
      assert.deepEqual(wrong, []);
    } finally {
      await context.close();
      if (!server) await mine.stop('SIGKILL');
    }
  });
}

// Ready once the models are listed.
export async function openPage(page, url) {
  await page.goto(url);
  await page.locator('#model option').first().waitFor({state: 'attached'});
}

// The server's side of it.
export class Api {
  headers = {};

  constructor(url) {
    this.url = url;
  }
  async call(method, path, body) {
    const reply = await fetch(this.url + path, {method, body: body && JSON.stringify(body),
      headers: {...this.headers, ...(body ? {'Content-Type': 'application/json'} : {})}});
    return {status: reply.status, json: await reply.json().catch(() => null)};
  }
  async jobs() {
    return (await this.call('GET', '/v1/jobs')).json.jobs;
  }
  async job(id) {
    return (await this.call('GET', `/v1/jobs/${id}`)).json;
  }
  // The newest job, once it is in that state.
  newest(state) {
    return until(async () => {
      const [job] = await this.jobs();
      if (job?.state === 'failed' && state !== 'failed') throw new Error(job.error);
      return job?.state === state && job;
    }, `the newest job to be ${state}`);
  }
  async forgetAll() {
    for (const {id} of await this.jobs()) await this.call('POST', `/v1/jobs/${id}/cancel`);
    await until(async () => {
      for (const {id} of await this.jobs()) await this.call('DELETE', `/v1/jobs/${id}`);
      return (await this.jobs()).length === 0;
    }, 'all jobs to be forgotten');
  }
  // A finished job with small pictures, drawn without the page.
  async draw(request = {}) {
    const whole = {prompts: ['a red apple'], width: 64, height: 64, steps: 3, ...request};
    const {json} = await this.call('POST', '/v1/jobs', {request: whole});
    return until(async () => {
      const job = await this.job(json.id);
      assert.notEqual(job.state, 'failed', job.error);
      return job.state === 'done' && job;
    }, 'a drawing');
  }
}

// Small and quick, unless said otherwise.
export async function fillForm(page, {prompt, steps = 3, width = 64, height = 64, seed} = {}) {
  if (prompt !== undefined) await page.fill('#prompt', prompt);
  await openFold(page, 'fold-more');
  await page.fill('#steps', String(steps));
  await page.fill('#width', String(width));
  await page.fill('#height', String(height));
  if (seed !== undefined) await page.fill('#seed', String(seed));
}

export async function openFold(page, id) {
  const fold = page.locator(`#${id}`);
  if (await fold.getAttribute('open') === null) await fold.locator(':scope > summary').click();
}

export async function openFolds(page) {
  const folds = page.locator('#form .fields > details');
  for (const id of await folds.evaluateAll((all) => all.map((fold) => fold.id))) await openFold(page, id);
}

// Draws what is in the form; the finished job, once its picture is shown large.
export async function drawn(page, api, press = () => page.click('#draw')) {
  const before = (await api.jobs()).map(({id}) => id);
  await press();
  const job = await until(async () => {
    const fresh = (await api.jobs()).find(({id}) => !before.includes(id));
    assert.notEqual(fresh?.state, 'failed', fresh?.error);
    return fresh?.state === 'done' && fresh;
  }, 'the drawing');
  await shows(page, job);
  return job;
}

// Waits until that job's first picture is shown large, and loaded.
export async function shows(page, job) {
  await page.locator(`#picture[data-job="${job.id}"]`).waitFor();
  const {width, height} = job.pictures[0];
  await eventually(() => page.locator('#picture').evaluate((image) => [image.naturalWidth, image.naturalHeight]), [width, height]);
}

// Waits until a call gives a value; fails with what it gave last.
export async function eventually(call, wanted) {
  let last;
  const same = () => {
    try {
      assert.deepEqual(last, wanted);
      return true;
    } catch {
      return false;
    }
  };
  await until(async () => {
    last = await call();
    return same();
  }, `${JSON.stringify(wanted)}`).catch(() => assert.deepEqual(last, wanted));
}

// Waits until a text is seen in an element: text or a pattern.
export async function reads(locator, wanted) {
  let last = '';
  await locator.waitFor();
  await until(async () => {
    last = await locator.innerText();
    return typeof wanted === 'string' ? last.includes(wanted) : wanted.test(last);
  }).catch((error) => {
    throw new Error(`"${last}" should have ${wanted}`, {cause: error});
  });
}

export const focused = (page) => page.evaluate(() => document.activeElement.id);
export const field = (dialog, label) => dialog.getByLabel(label, {exact: true});

// The bytes of a picture of the server.
export async function bytesOf(api, url) {
  return Buffer.from(await (await fetch(new URL(url, api.url), {headers: api.headers})).arrayBuffer());
}

// Drops a file on the page, or on one of its elements.
export async function dropFile(page, selector, bytes, name, type = 'image/png') {
  const transfer = await page.evaluateHandle(({data, fileName, fileType}) => {
    const list = new DataTransfer();
    list.items.add(new File([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))], fileName, {type: fileType}));
    return list;
  }, {data: bytes.toString('base64'), fileName: name, fileType: type});
  const box = await page.locator(selector).boundingBox();
  const at = {dataTransfer: transfer, clientX: box.x + box.width / 2, clientY: box.y + box.height / 2};
  await page.dispatchEvent(selector, 'dragover', at);
  await page.locator('#drop-overlay').waitFor();
  await page.dispatchEvent(selector, 'drop', at);
}

// A picture's pixels as the browser reads them: {width, height, at(x, y)}, four bytes each.
export async function pixelsOf(page, url) {
  const {width, height, data} = await page.evaluate(async (from) => {
    const bitmap = await createImageBitmap(await (await fetch(from)).blob());
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    context.drawImage(bitmap, 0, 0);
    return {width: bitmap.width, height: bitmap.height, data: [...context.getImageData(0, 0, bitmap.width, bitmap.height).data]};
  }, url);
  return {width, height, at: (x, y) => data.slice(4 * (y * width + x), 4 * (y * width + x) + 4)};
}

export async function shoot(page, name) {
  mkdirSync(kShots, {recursive: true});
  await page.screenshot({path: `${kShots}${name}.png`});
}
