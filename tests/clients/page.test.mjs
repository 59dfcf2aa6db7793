// The page of `sumi serve` in a real browser: drawing, the queue, settings. What a person sees, and what the server has.
import assert from 'node:assert/strict';
import {bytesOf, drawn, dropFile, eventually, fillForm, focused, openPage, reads, shoot, sharedServer, shows,
        story} from './page_open.mjs';
import {until} from './server.mjs';

const shared = sharedServer();

story('the first picture: a prompt and Ctrl+Enter', shared, async ({page, api}) => {
  assert.equal(await focused(page), 'prompt');
  await reads(page.locator('#privacy'), 'No picture and no prompt ever leaves this machine.');
  await reads(page.locator('#welcome'), 'Your picture will be here.');
  await page.keyboard.type('a red apple on a navy background');
  const job = await drawn(page, api, () => page.keyboard.press('Control+Enter'));
  assert.deepEqual(job.request.prompts, ['a red apple on a navy background']);
  assert.equal(job.pictures.length, 1);
  await reads(page.locator('#picture-prompt'), 'a red apple on a navy background');
  await reads(page.locator('#picture-facts'), String(job.pictures[0].seed));
  assert.equal(await page.getByTestId('thumb').count(), 1);
  await page.locator('#progress').waitFor({state: 'hidden'});
  await shoot(page, 'first');
});

story('an empty prompt draws the example', shared, async ({page, api}) => {
  await fillForm(page);
  const job = await drawn(page, api);
  assert.deepEqual(job.request.prompts, [await page.locator('#prompt').getAttribute('placeholder')]);
  assert.equal(await page.inputValue('#prompt'), job.request.prompts[0]);
});

story('progress with time left, and a picture in the making', shared, async ({page, api}) => {
  await fillForm(page, {prompt: 'a red apple', steps: 200, width: 128, height: 128});
  await page.click('#draw');
  await reads(page.locator('#progress-text'), /^Step \d+ of 200 · about \d+ s left/);
  await page.locator('#preview').waitFor();
  assert.match(await page.getAttribute('#preview', 'src'), /^data:image\/png;base64,/);
  const share = Number(await page.getAttribute('#progress-bar', 'value'));
  assert.ok(share > 0 && share < 1, String(share));
  await until(async () => /^\d+ % · sumi$/.test(await page.title()), 'the share in the title');
  await shows(page, await api.newest('done'));
  await page.locator('#preview').waitFor({state: 'hidden'});
  assert.equal(await page.title(), 'sumi');
});

for (const [way, press] of [['Esc', (page) => page.keyboard.press('Escape')], ['the button', (page) => page.click('#cancel')]]) {
  story(`cancelled by ${way}`, shared, async ({page, api}) => {
    await fillForm(page, {prompt: 'a red apple', steps: 1000});
    await page.click('#draw');
    await reads(page.locator('#progress-text'), /^Step [1-9]/);
    await press(page);
    const job = await api.newest('cancelled');
    assert.equal(job.pictures.length, 0);
    await page.getByTestId('toast').filter({hasText: 'Cancelled.'}).waitFor();
    await page.locator('#progress').waitFor({state: 'hidden'});
    await page.locator('#cancel').waitFor({state: 'hidden'});
    await drawn(page, api, async () => {
      await page.fill('#steps', '2');
      await page.click('#draw');
    });
  });
}

story('reloaded in mid-job, the page finds it again', shared, async ({page, api, url}) => {
  await fillForm(page, {prompt: 'a green apple', steps: 150});
  await page.click('#draw');
  await reads(page.locator('#progress-text'), /^Step [1-9]/);
  await openPage(page, url);
  await reads(page.locator('#progress-text'), /^Step [1-9]/);
  assert.equal(await page.inputValue('#prompt'), 'a green apple');
  assert.equal(await page.inputValue('#steps'), '150');
  const job = await api.newest('done');
  assert.equal((await api.jobs()).length, 1);
  await shows(page, job);
});

story('a queue of five: moved, one cancelled', {words: ['--together', '1']}, async ({page, api}) => {
  const items = page.getByTestId('queue-item');
  await fillForm(page, {steps: 1000});
  for (const name of ['apple', 'banana', 'carrot', 'dog', 'egg']) {
    await page.fill('#prompt', name);
    if (name === 'banana') await page.fill('#steps', '3');
    await page.keyboard.press('Control+Enter');
    await until(async () => (await api.jobs())[0]?.request.prompts[0] === name, name);
    if (name === 'apple') await api.newest('running');
  }
  const queue = async () => (await items.locator('.queue-title').allInnerTexts()).join(' ');
  const waiting = async () => (await api.jobs()).filter(({state}) => state === 'queued')
    .sort((a, b) => a.place - b.place).map(({request}) => request.prompts[0]).join(' ');
  await eventually(queue, 'apple banana carrot dog egg');
  await items.filter({hasText: 'egg'}).locator('[data-part=up]').click();
  await eventually(waiting, 'banana carrot egg dog');
  await eventually(queue, 'apple banana carrot egg dog');
  await items.filter({hasText: 'banana'}).locator('[data-part=down]').click();
  await eventually(waiting, 'carrot banana egg dog');
  await eventually(queue, 'apple carrot banana egg dog');
  await items.filter({hasText: 'dog'}).dragTo(items.filter({hasText: 'banana'}));
  await eventually(waiting, 'carrot dog banana egg');
  await items.filter({hasText: 'dog'}).dragTo(items.filter({hasText: 'egg'}));
  await eventually(waiting, 'carrot banana egg dog');
  await items.filter({hasText: 'banana'}).locator('[data-part=cancel]').click();
  await eventually(queue, 'apple carrot egg dog');
  await shoot(page, 'queue');
  await items.filter({hasText: 'apple'}).locator('[data-part=cancel]').click();
  await until(async () => (await api.jobs()).every(({state}) => ['done', 'cancelled'].includes(state)), 'the end');
  const over = (await api.jobs()).filter(({state}) => state === 'done').sort((a, b) => a.started - b.started);
  assert.deepEqual(over.map(({request}) => request.prompts[0]), ['carrot', 'egg', 'dog']);
  await eventually(() => page.getByTestId('thumb').count(), 3);
  await page.locator('#queue-section').waitFor({state: 'hidden'});
});

story('a wrong size is told beside its field, a wrong word too', shared, async ({page, api}) => {
  await fillForm(page, {prompt: 'a red apple', width: 7});
  await page.click('#draw');
  await reads(page.locator('#width-error'), /^“Width” must be a multiple of 8 .* not 7\.$/);
  assert.equal(await focused(page), 'width');
  assert.equal(await page.getAttribute('#width', 'aria-invalid'), 'true');
  assert.equal((await api.jobs()).length, 0);
  await page.fill('#width', '64');
  await page.locator('#width-error').waitFor({state: 'detached'});
  await page.fill('#seed', 'twelve');
  await page.click('#draw');
  await reads(page.locator('#seed-error'), 'The seed must be digits');
  await page.fill('#seed', '12');
  const job = await drawn(page, api);
  assert.equal(job.pictures[0].seed, 12);
});

story('an error of the server is a sentence', shared, async ({page, api}) => {
  await fillForm(page, {prompt: 'a red apple <lora:nobody:1>'});
  await page.click('#draw');
  const failure = page.getByTestId('failure');
  await reads(failure, /[A-Z].*nobody.*\.$/m);
  await reads(page.locator('#prompt-error'), /nobody.*\.$/);
  await api.newest('failed');
  await failure.locator('[data-part=dismiss]').click();
  await failure.waitFor({state: 'detached'});
  await eventually(api.jobs.bind(api), []);
  await page.fill('#prompt', 'a red apple');
  await drawn(page, api);
});

story('the seed: locked, unlocked, the last one', shared, async ({page, api}) => {
  await fillForm(page, {prompt: 'a red apple'});
  const lock = page.locator('#seed-lock');
  assert.equal(await lock.getAttribute('aria-pressed'), 'false');
  const first = await drawn(page, api), {seed} = first.pictures[0];
  const other = await drawn(page, api);
  assert.notEqual(other.pictures[0].seed, seed);
  await page.locator(`[data-testid=thumb][data-job="${first.id}"]`).click();
  await page.click('#picture-seed');
  assert.equal(await page.inputValue('#seed'), String(seed));
  assert.equal(await lock.getAttribute('aria-pressed'), 'true');
  const again = await drawn(page, api);
  assert.deepEqual(await bytesOf(api, again.pictures[0].url), await bytesOf(api, first.pictures[0].url));
  await lock.click();
  assert.equal(await page.inputValue('#seed'), '');
  await page.click('#seed-last');
  assert.equal(await page.inputValue('#seed'), String(seed));
  await lock.click();
  await lock.click();
  assert.equal(await page.inputValue('#seed'), String(seed));
});

story('three pictures: each can be drawn again alone', shared, async ({page, api}) => {
  await fillForm(page, {prompt: 'a red apple', seed: '9007199254740993'});
  await page.fill('#count', '3');
  const job = await drawn(page, api), thumbs = page.getByTestId('thumb');
  assert.equal(job.pictures.length, 3);
  await eventually(() => thumbs.count(), 3);
  await page.locator('[data-testid=thumb][data-number="1"]').click();
  await reads(page.locator('#picture-facts'), /Seed\s+9007199254740994/);
  await page.click('#picture-reuse');
  assert.equal(await page.inputValue('#count'), '1');
  assert.equal(await page.inputValue('#seed'), '9007199254740994');
  const again = await drawn(page, api);
  assert.equal(again.pictures.length, 1);
  assert.deepEqual(await bytesOf(api, again.pictures[0].url), await bytesOf(api, job.pictures[1].url));
});

story('weights by Ctrl+Up and Ctrl+Down', shared, async ({page, api}) => {
  await fillForm(page, {prompt: 'a red apple'});
  await page.locator('#prompt').evaluate((input) => input.setSelectionRange(3, 3));
  await page.focus('#prompt');
  await page.keyboard.press('Control+ArrowUp');
  await page.keyboard.press('Control+ArrowUp');
  assert.equal(await page.inputValue('#prompt'), 'a (red:1.2) apple');
  await page.keyboard.press('Control+ArrowDown');
  assert.equal(await page.inputValue('#prompt'), 'a (red:1.1) apple');
  assert.deepEqual((await drawn(page, api)).request.prompts, ['a (red:1.1) apple']);
});

story('a PNG dropped on the page restores its settings', shared, async ({page, api}) => {
  const made = await api.draw({prompts: ['a blue fish'], negative_prompt: 'red', seed: 77, steps: 4, scale: 2.5,
    sampler: 'euler_ancestral', schedule: 'karras'});
  const bytes = await bytesOf(api, made.pictures[0].url);
  await dropFile(page, '#stage', bytes, 'fish.png');
  await reads(page.getByTestId('toast').last(), 'Settings restored from fish.png');
  const values = {prompt: 'a blue fish', negative: 'red', seed: '77', steps: '4', guidance: '2.5', width: '64', height: '64',
    sampler: 'euler_ancestral', schedule: 'karras'};
  for (const [id, value] of Object.entries(values)) assert.equal(await page.inputValue(`#${id}`), value, id);
  const again = await drawn(page, api);
  assert.deepEqual(await bytesOf(api, again.pictures[0].url), bytes);
});

story('a picture without settings is offered as a beginning', shared, async ({page}) => {
  const plain = Buffer.from((await page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 40, height: 24});
    canvas.getContext('2d').fillRect(0, 0, 20, 24);
    return canvas.toDataURL();
  })).split(',')[1], 'base64');
  await dropFile(page, '#gallery-title', plain, 'plain.png');
  const dialog = page.locator('#nothing-dialog');
  await reads(dialog, 'It can be a picture to begin from.');
  await page.keyboard.press('Escape');
  await dialog.waitFor({state: 'detached'});
  assert.ok(await page.locator('#begin-some').isHidden());
  await dropFile(page, '#gallery-title', plain, 'plain.png');
  await dialog.getByRole('button', {name: 'Begin from it'}).click();
  await reads(page.locator('#begin-text'), 'plain.png, 40 × 24.');
  await page.click('#begin-remove');
  await page.locator('#begin-some').waitFor({state: 'hidden'});
});

story('reset, and taken back', shared, async ({page}) => {
  await fillForm(page, {prompt: 'a red apple', steps: 9});
  await page.click('#reset');
  assert.equal(await page.inputValue('#prompt'), '');
  assert.equal(await page.inputValue('#steps'), '');
  await page.getByTestId('toast').getByRole('button', {name: 'Undo'}).click();
  assert.equal(await page.inputValue('#prompt'), 'a red apple');
  assert.equal(await page.inputValue('#steps'), '9');
});
