// The page of `sumi serve`: pictures to begin from, the editor, the gallery, what is done with a picture.
import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {bytesOf, drawn, dropFile, eventually, field, fillForm, openFold, pixelsOf, reads, shoot, sharedServer, shows,
        story} from './page_open.mjs';
import {sizeOf, until} from './server.mjs';

const shared = sharedServer();

// A drawn picture in the page, and what is needed to draw on.
async function withPicture(page, api) {
  const job = await api.draw({seed: 5, steps: 6});
  await page.reload();
  await shows(page, job);
  await fillForm(page, {prompt: 'a green apple', steps: 6, width: '', height: '', seed: 9});
  return job;
}

const editorOf = (page) => page.getByRole('dialog', {name: 'Mask and border'});

// Paints from one point of the picture to another; both as shares of its sides.
async function stroke(page, from, to) {
  const box = await page.locator('.ed-frame').boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(from));
  await page.mouse.down();
  await page.mouse.move(...at(to), {steps: 8});
  await page.mouse.up();
}

const differ = (a, b) => a.some((value, i) => value !== b[i]);

story('image to image: as strongly as is said', shared, async ({page, api}) => {
  const job = await withPicture(page, api);
  await dropFile(page, '.begin', await bytesOf(api, job.pictures[0].url), 'apple.png');
  await reads(page.locator('#begin-text'), 'apple.png, 64 × 64.');
  await page.fill('#strength', '0.4');
  await reads(page.locator('#strength-text'), '0.40');
  const near = await drawn(page, api);
  assert.equal(near.request.strength, 0.4);
  assert.equal(near.request.init, 'data:');
  assert.deepEqual([near.pictures[0].width, near.pictures[0].height], [64, 64]);
  await reads(page.locator('#picture-facts'), /Change\s+40 %/);
  await page.fill('#strength', '1');
  const far = await drawn(page, api);
  const [from, by40, by100] = await Promise.all([job, near, far].map((one) => pixelsOf(page, one.pictures[0].url)));
  const apart = (one) => {
    let sum = 0;
    for (let y = 0; y < 64; ++y) {
      for (let x = 0; x < 64; ++x) one.at(x, y).forEach((value, i) => { sum += Math.abs(value - from.at(x, y)[i]); });
    }
    return sum;
  };
  assert.ok(apart(by40) > 0 && apart(by40) < apart(by100), `${apart(by40)} and ${apart(by100)}`);
});

story('the beginning is kept over a reload', shared, async ({page, api}) => {
  await withPicture(page, api);
  await page.click('#picture-begin');
  await reads(page.locator('#begin-text'), '64 × 64.');
  await page.reload();
  await reads(page.locator('#begin-text'), '64 × 64.');
  assert.equal((await drawn(page, api)).request.init, 'data:');
});

story('inpainting: what is not painted over stays', shared, async ({page, api}) => {
  const job = await withPicture(page, api);
  await page.click('#picture-paint');
  const editor = editorOf(page), status = editor.locator('.ed-status');
  await reads(status, 'Nothing masked.');
  for (let i = 0; i < 2; ++i) await page.keyboard.press(']');
  await reads(editor.locator('.ed-size'), '21 px');
  await stroke(page, [0.2, 0.1], [0.2, 0.9]);
  await reads(status, /Painted\. \d+ % masked\./);
  await editor.getByRole('button', {name: 'Undo'}).click();
  await reads(status, 'Undone. Nothing masked.');
  await page.keyboard.press('Control+Shift+Z');
  await reads(status, /Done again\. \d+ % masked\./);
  const share = async () => Number(/(\d+) % masked/.exec(await status.innerText())?.[1] ?? 0);
  const painted = await share();
  await editor.getByRole('button', {name: 'Eraser'}).click();
  await stroke(page, [0.2, 0.7], [0.2, 0.95]);
  await reads(status, 'Erased.');
  assert.ok(await share() < painted);
  await page.keyboard.press('Control+Z');
  await page.keyboard.press('+');
  await page.keyboard.press('0');
  await shoot(page, 'editor');
  await editor.getByRole('button', {name: 'Done'}).click();
  await editor.waitFor({state: 'detached'});
  await reads(page.locator('#begin-text'), 'What is painted over is drawn anew.');
  await page.fill('#strength', '1');
  const made = await drawn(page, api);
  assert.equal(made.request.mask, 'data:');
  const [old, now] = await Promise.all([job, made].map((one) => pixelsOf(page, one.pictures[0].url)));
  let anew = 0;
  for (let y = 0; y < 64; ++y) {
    for (let x = 48; x < 64; ++x) assert.deepEqual(now.at(x, y), old.at(x, y), `${x}, ${y}`);
    for (let x = 10; x < 16; ++x) anew += differ(now.at(x, y), old.at(x, y));
  }
  assert.ok(anew > 100, String(anew));
});

story('the editor asks before what was painted is lost', shared, async ({page, api}) => {
  await withPicture(page, api);
  await page.click('#picture-paint');
  const editor = editorOf(page);
  await reads(editor.locator('.ed-status'), 'Nothing masked.');
  await stroke(page, [0.5, 0.2], [0.5, 0.8]);
  await page.keyboard.press('Escape');
  const question = page.getByRole('alertdialog');
  await reads(question, 'Leave without what you have painted?');
  await page.keyboard.press('Escape');
  await question.waitFor({state: 'detached'});
  assert.ok(await editor.isVisible());
  await page.keyboard.press('Escape');
  await question.getByRole('button', {name: 'Leave'}).click();
  await editor.waitFor({state: 'detached'});
  assert.ok(await page.locator('#begin-some').isHidden());
});

story('outpainting: a border by numbers', shared, async ({page, api}) => {
  const job = await withPicture(page, api);
  await page.click('#picture-paint');
  const editor = editorOf(page);
  await editor.getByText('Border', {exact: true}).click();
  await field(editor, 'Left').fill('32');
  await field(editor, 'Bottom').fill('16');
  await page.keyboard.press('Tab');
  await reads(editor, 'The result has 96 × 80 pixels.');
  await page.keyboard.press('Control+Enter');
  await reads(page.locator('#begin-text'), 'Extended by 32 left, 0 right, 0 above, 16 below.');
  await page.fill('#strength', '1');
  const made = await drawn(page, api);
  assert.deepEqual(made.request.extend, [32, 0, 0, 16]);
  assert.deepEqual([made.pictures[0].width, made.pictures[0].height], [96, 80]);
  const [old, now] = await Promise.all([job, made].map((one) => pixelsOf(page, one.pictures[0].url)));
  // The drawn part reaches into the picture, with a soft edge.
  for (let y = 0; y < 32; ++y) for (let x = 32; x < 64; ++x) assert.deepEqual(now.at(x + 32, y), old.at(x, y), `${x}, ${y}`);
});

const wide = {...shared, context: {viewport: {width: 1440, height: 900}}};
story('the gallery: parameters, reuse, download, delete', wide, async ({page, api}) => {
  const jobs = [];
  for (const [prompt, steps] of [['a red apple', 3], ['a blue fish', 4], ['a green frog', 5]])
    jobs.push(await api.draw({prompts: [prompt], steps, seed: 40 + steps}));
  await page.reload();
  const thumbs = page.getByTestId('thumb');
  await eventually(() => thumbs.count(), 3);
  await shows(page, jobs[2]);
  const fish = page.locator(`[data-testid=thumb][data-job="${jobs[1].id}"]`);
  await fish.click();
  await shows(page, jobs[1]);
  assert.equal(await fish.getAttribute('aria-current'), 'true');
  await reads(page.locator('#picture-facts'), /Seed\s+44/);
  await reads(page.locator('#picture-facts'), /Steps\s+4/);
  await page.getByText('As text').click();
  await reads(page.locator('#picture-text'), /a blue fish[^]*Steps: 4.*Seed: 44/);
  await shoot(page, 'gallery');

  await page.click('#picture-reuse');
  for (const [id, value] of Object.entries({prompt: 'a blue fish', steps: '4', seed: '44', width: '64'}))
    assert.equal(await page.inputValue(`#${id}`), value, id);

  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#picture-download')]);
  assert.match(download.suggestedFilename(), /^sumi-44-.*\.png$/);
  assert.deepEqual(await readFile(await download.path()), await bytesOf(api, jobs[1].pictures[0].url));

  await page.click('#picture-delete');
  await eventually(() => thumbs.count(), 2);
  await page.getByTestId('toast').getByRole('button', {name: 'Undo'}).click();
  await eventually(() => thumbs.count(), 3);
  await shows(page, jobs[1]);
  await page.click('#picture-delete');
  await page.getByTestId('toast').filter({hasText: 'Deleted.'}).getByRole('button', {name: 'Dismiss'}).click();
  await until(async () => (await api.jobs()).length === 2, 'the server to forget it');
  assert.equal((await fetch(new URL(jobs[1].pictures[0].url, api.url))).status, 404);
  await page.reload();
  await eventually(() => thumbs.count(), 2);
});

story('two pictures compared', shared, async ({page, api}) => {
  const other = await api.draw({prompts: ['a blue fish'], seed: 2});
  const job = await api.draw({prompts: ['a red fish'], seed: 1});
  await page.reload();
  await shows(page, job);
  await page.click('#picture-compare');
  await reads(page.locator('#compare-bar'), 'Choose the picture to compare with.');
  await page.locator(`[data-testid=thumb][data-job="${other.id}"]`).click();
  const dialog = page.getByRole('dialog', {name: 'Compare two pictures'});
  await eventually(() => dialog.locator('.cp-pane img').evaluateAll((images) => images.map((image) => image.naturalWidth)), [64, 64]);
  const table = dialog.getByRole('table', {name: 'Parameters that differ'});
  await reads(table, /Prompt\s+a red fish\s+a blue fish/);
  await reads(table, /Seed\s+1\s+2/);
  assert.deepEqual(await table.locator('mark').allInnerTexts(), ['red', 'blue', '1', '2']);
  await dialog.getByRole('button', {name: 'One over the other'}).click();
  await dialog.getByLabel('Line between A and B').fill('25');
  assert.equal(await dialog.locator('.cp-line').evaluate((line) => line.style.left), '25%');
  await page.keyboard.press('Escape');
  await dialog.waitFor({state: 'detached'});
  assert.ok(await page.locator('#compare-bar').isHidden());
});

story('a second pass, and a picture enlarged', shared, async ({page, api}) => {
  const job = await api.draw({seed: 5});
  await page.reload();
  await shows(page, job);
  const draw = (dialog) => drawn(page, api, () => dialog.locator('[data-part=go]').click());
  await page.click('#picture-hires');
  const hires = page.locator('#hires-dialog');
  await reads(hires, '128 × 128 pixels');
  await field(hires, 'Times as large').fill('1.5');
  await reads(hires, '96 × 96 pixels');
  const larger = await draw(hires);
  assert.equal(larger.request.hires.scale, 1.5);
  assert.deepEqual([larger.pictures[0].width, larger.pictures[0].seed], [96, 5]);
  await reads(page.locator('#picture-facts'), /Second pass\s+1.5 times/);

  await page.click('#picture-upscale');
  const upscale = page.locator('#upscale-dialog');
  await field(upscale, 'Times as large').fill('2');
  const enlarged = await draw(upscale);
  assert.equal(enlarged.upscaling, true);
  assert.deepEqual(sizeOf(await bytesOf(api, enlarged.pictures[0].url)), [192, 192]);
  assert.ok(await page.locator('#picture-hires').isHidden());

  await page.click('#picture-upscale');
  await field(upscale, 'Times as large').fill('0');
  await upscale.locator('[data-part=go]').click();
  await reads(upscale.getByRole('alert'), /\.$/);
  await upscale.getByRole('button', {name: 'Cancel'}).click();
  assert.equal((await api.jobs()).length, 3);
});

story('an X/Y grid of two by two', shared, async ({page, api}) => {
  await fillForm(page, {prompt: 'a red apple'});
  await openFold(page, 'fold-more');
  await page.click('#grid');
  const dialog = page.getByRole('dialog', {name: 'X/Y grid'}), sides = dialog.locator('.gr-axis');
  await sides.nth(0).getByLabel('Field').selectOption('steps');
  await sides.nth(0).getByRole('textbox', {name: 'Values'}).fill('two');
  await dialog.getByRole('button', {name: 'Draw the grid'}).click();
  await reads(sides.nth(0).getByRole('alert'), '"two" is not a number');
  await sides.nth(0).getByRole('textbox', {name: 'Values'}).fill('2, 4');
  await sides.nth(1).getByLabel('Field').selectOption('seed');
  await sides.nth(1).getByRole('textbox', {name: 'Values'}).fill('11-12');
  await reads(dialog, '4 jobs of one picture');
  await dialog.getByRole('button', {name: 'Draw the grid'}).click();
  await reads(dialog.locator('p[role=status]'), '4 of 4 drawn.');
  await eventually(() => dialog.locator('td img').evaluateAll((images) => images.map((image) => [image.alt, image.naturalWidth])),
    [['Steps: 2, Seed: 11', 64], ['Steps: 4, Seed: 11', 64], ['Steps: 2, Seed: 12', 64], ['Steps: 4, Seed: 12', 64]]);
  const made = (await api.jobs()).map(({request}) => `${request.steps} ${request.seed}`).sort();
  assert.deepEqual(made, ['2 11', '2 12', '4 11', '4 12']);
  await shoot(page, 'grid');
  const [download] = await Promise.all([page.waitForEvent('download'), dialog.getByRole('button', {name: 'Download as PNG'}).click()]);
  const [width, height] = sizeOf(await readFile(await download.path()));
  assert.ok(width > 128 && height > 128);
  await page.keyboard.press('Escape');
  await dialog.waitFor({state: 'detached'});
  await eventually(() => page.getByTestId('thumb').count(), 4);
});
