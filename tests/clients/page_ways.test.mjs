// The page of `sumi serve`: models and LoRAs, training, a phone, the keyboard alone, colours.
import assert from 'node:assert/strict';
import {join} from 'node:path';
import {addLora, addModel, addRun, bundledModel, logSteps, temporaryFolder} from './page_home.mjs';
import {bytesOf, drawn, eventually, fillForm, focused, openFold, openFolds, openPage, reads, shoot, sharedServer, shows,
        story} from './page_open.mjs';
import {until} from './server.mjs';

const home = temporaryFolder(), runs = join(home, 'runs'), nothing = temporaryFolder();
const shared = sharedServer(() => {
  addModel(home, 'second');
  addLora(home, 'ink');
  return {};
});
const phone = {viewport: {width: 360, height: 740}, deviceScaleFactor: 2, hasTouch: true, isMobile: true};

story('another model', {words: ['--ckpt', bundledModel()], env: {SUMI_HOME: home}}, async ({page, api}) => {
  const model = page.locator('#model');
  assert.deepEqual(await model.locator('option').evaluateAll((all) => all.map(({value}) => value)), ['emoji', 'second']);
  assert.equal(await model.inputValue(), 'emoji');
  await model.selectOption('second');
  await reads(page.locator('#model-memory'), /Its weights \(31\.\d\sMB\) are loaded when it first draws; .* of memory are free\./);
  await fillForm(page, {prompt: 'a red apple'});
  await reads(page.locator('#memory'), /takes [\d.]+\s[MG]B/);
  assert.equal((await drawn(page, api)).model, 'second');
  await reads(page.locator('#picture-facts'), /Model\s+second/);
  await until(async () => /loaded/.test(await model.locator('option[value=second]').textContent()), 'its mark');
  await page.reload();
  await eventually(() => model.inputValue(), 'second');
});

story('a LoRA of the library', {words: ['--ckpt', bundledModel()], env: {SUMI_HOME: home}}, async ({page, api}) => {
  await fillForm(page, {prompt: 'a red apple', seed: 3});
  const plain = await drawn(page, api);
  await page.click('#prompt-lora');
  const picker = page.locator('#picker');
  await picker.getByLabel('Search').fill('zzz');
  await reads(picker.getByRole('status'), 'No name has that in it.');
  await picker.getByLabel('Search').fill('in');
  await picker.getByRole('button', {name: /^ink/}).click();
  await picker.waitFor({state: 'detached'});
  assert.equal(await page.inputValue('#prompt'), 'a red apple <lora:ink:1>');
  const changed = await drawn(page, api);
  await reads(page.locator('#picture-facts'), /LoRA\s+ink/);
  assert.notDeepEqual(await bytesOf(api, changed.pictures[0].url), await bytesOf(api, plain.pictures[0].url));
});

story('an empty library says where files go', {env: {SUMI_HOME: nothing}}, async ({page}) => {
  for (const [id, folder] of [['prompt-lora', 'loras'], ['prompt-embedding', 'embeddings']]) {
    await page.click(`#${id}`);
    await reads(page.locator('#picker').getByRole('status'), new RegExp(`There are none yet\\..*“${folder}”`));
    await page.keyboard.press('Escape');
    assert.equal(await focused(page), id);
  }
  await openFold(page, 'fold-hints');
  await reads(page.locator('#hint-none'), 'There are no ControlNets yet.');
});

story('training runs', {words: ['--runs', runs]}, async ({page, api}) => {
  const sheet = await bytesOf(api, (await api.draw()).pictures[0].url);
  addRun(runs, 'emoji', 120, {50: sheet, 100: sheet});
  addRun(runs, 'other', 3);
  await page.click('#tab-training');
  const view = page.locator('#training-view');
  await reads(view, 'not running, step 120');
  await view.locator('.tr-chart svg').waitFor();
  await eventually(() => view.locator('.tr-sheets img').evaluateAll((all) => all.map(({alt}) => alt)),
    ['Samples at step 100', 'Samples at step 50']);
  await until(() => view.locator('.tr-sheets img').first().evaluate((image) => image.naturalWidth === 64), 'the sheet');
  await view.getByText('Values as a table').click();
  await reads(view.getByRole('row').nth(1), /^1\s+1\s+0\.00001\s+0\.25/);
  await shoot(page, 'training');
  logSteps(runs, 'emoji', 120, 130);
  await view.getByRole('button', {name: 'Refresh'}).click();
  await reads(view, 'step 130');
  await view.getByRole('button', {name: /^other/}).click();
  await reads(view.locator('.tr-detail'), 'step 3');
  await page.reload();
  await reads(view, 'step 130');
  await page.click('#tab-draw');
  await page.locator('#prompt').waitFor();
});

story('no training runs: how there come to be some', shared, async ({page}) => {
  await page.click('#tab-training');
  await reads(page.locator('#training-view'), /There are no training runs to show\.[^]*sumi serve --runs FOLDER/);
});

story('a phone', {...shared, context: phone}, async ({page, api}) => {
  const fits = async (what) => {
    const [wide, room] = await page.evaluate(() => [document.scrollingElement.scrollWidth, innerWidth]);
    assert.ok(wide <= 360 && room <= 360, `${what}: ${wide} in ${room}`);
  };
  await fits('at first');
  assert.ok(await page.locator('#draw').isVisible());
  await fillForm(page, {prompt: 'a red apple'});
  const job = await drawn(page, api, () => page.tap('#draw'));
  await until(() => page.locator('#picture').evaluate((image) => {
    const box = image.getBoundingClientRect();
    return box.top < innerHeight && box.bottom > 0;
  }), 'the picture in sight');
  await fits('with a picture');
  await shoot(page, 'phone');
  await openFolds(page);
  await fits('with all settings');
  await page.tap('#picture-paint');
  const editor = page.getByRole('dialog', {name: 'Mask and border'});
  await reads(editor.locator('.ed-status'), 'Nothing masked.');
  const box = await page.locator('.ed-frame').boundingBox();
  await page.touchscreen.tap(box.x + box.width / 2, box.y + box.height / 2);
  await reads(editor.locator('.ed-status'), /Painted\. .*% masked\./);
  await fits('the editor');
  await shoot(page, 'phone-editor');
  await editor.getByRole('button', {name: 'Done'}).tap();
  await reads(page.locator('#begin-text'), '64 × 64');
  await fits('with a mask');
  await page.tap('#grid');
  await page.getByRole('dialog', {name: 'X/Y grid'}).waitFor();
  await fits('the grid');
  await page.getByRole('dialog').getByRole('button', {name: 'Close'}).tap();
  await page.tap('#tab-training');
  await reads(page.locator('#training-view'), 'There are no training runs');
  await fits('training');
  assert.equal(job.pictures.length, 1);
});

story('the keyboard alone', shared, async ({page, api}) => {
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  // Tab until an element has the focus; gives the ids on the way. Each of them is to be seen there.
  const tabTo = async (id, key = 'Tab') => {
    const seen = [];
    for (let i = 0; i < 80; ++i) {
      await page.keyboard.press(key);
      seen.push(await focused(page));
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.notEqual(outline, 'none', `focus on ${seen.at(-1)}`);
      if (seen.at(-1) === id) return seen;
    }
    throw new Error(`no Tab leads to ${id}: ${seen.join(' ')}`);
  };
  assert.equal(await focused(page), 'prompt');
  await page.keyboard.type('a red apple');
  const way = await tabTo('grid');
  for (const id of ['negative', 'begin-choose', 'model', 'shape', 'width', 'swap', 'height', 'count', 'seed', 'seed-last',
    'seed-lock', 'restore'])
    assert.ok(way.includes(id), id);
  await press('Enter');
  await page.getByRole('dialog', {name: 'X/Y grid'}).waitFor();
  await press('Escape');
  assert.equal(await focused(page), 'grid');
  await tabTo('draw');
  const job = await drawn(page, api, () => press('Enter'));
  await tabTo('prompt-lora', 'Shift+Tab');
  await press('Enter');
  await page.locator('#picker').waitFor();
  await press('Escape');
  await eventually(() => focused(page), 'prompt-lora');

  await tabTo('picture-paint');
  await press('Enter');
  const editor = page.getByRole('dialog', {name: 'Mask and border'});
  await reads(editor.locator('.ed-status'), 'Nothing masked.');
  await editor.getByText('Rectangle', {exact: true}).focus();
  await press('Enter', 'Tab', 'Tab', 'Tab', 'Tab', 'Tab', 'Enter');
  await reads(editor.locator('.ed-status'), /Added: \d+ × \d+ pixels\. 25 % masked\./);
  await press('Control+Enter');
  await reads(page.locator('#begin-text'), 'What is painted over is drawn anew.');
  await eventually(() => focused(page), 'prompt');
  const again = await drawn(page, api, () => press('Control+Enter'));
  assert.equal(again.request.mask, 'data:');

  await tabTo('picture-delete');
  await page.keyboard.press('Tab');
  while (await page.evaluate(() => document.activeElement.dataset.testid !== 'thumb')) await page.keyboard.press('Tab');
  await press('ArrowRight', 'Enter');
  await shows(page, job);
  await press('Delete');
  await eventually(() => page.getByTestId('thumb').count(), 1);
});

story('dark, by choice and as the system has it', shared, async ({page, api, url}) => {
  const light = () => page.evaluate(() => {
    const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
    return r + g + b > 384;
  });
  assert.equal(await light(), true);
  await page.selectOption('#theme', 'dark');
  assert.equal(await light(), false);
  const job = await api.draw({prompts: ['a red apple on a navy background'], seed: 7, steps: 20, width: 128, height: 128});
  await openPage(page, url);
  await shows(page, job);
  assert.equal(await light(), false);
  await shoot(page, 'dark');
  await page.selectOption('#theme', 'light');
  await page.emulateMedia({colorScheme: 'dark'});
  assert.equal(await light(), true);
  await page.selectOption('#theme', '');
  assert.equal(await light(), false);
});
