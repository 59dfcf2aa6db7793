// The page of `sumi serve` and its server: one that goes away and comes back, one that asks for a token; and axe-core's
// rules on every view and dialog.
import assert from 'node:assert/strict';
import {join} from 'node:path';
import {axe} from './page_axe.mjs';
import {addLora, addRun, bundledModel, put, temporaryFolder} from './page_home.mjs';
import {drawn, dropFile, eventually, fillForm, openFolds, openPage, reads, shoot, sharedServer, shows,
        story} from './page_open.mjs';
import {startServer} from './server.mjs';

const home = temporaryFolder(), token = '0123456789abcdef0123456789abcdef';
const shared = sharedServer(() => {
  put(join(home, 'token'), token);
  addLora(home, 'ink');
  put(join(home, 'controlnet', 'edges.safetensors'), 'named alone');
  addRun(join(home, 'runs'), 'emoji', 40);
  return {words: ['--ckpt', bundledModel(), '--runs', join(home, 'runs')], env: {SUMI_HOME: home}};
});

// Stops a story's server, tries meanwhile(), and starts another one at the same address.
async function startAnew(one, words, meanwhile) {
  await one.stop('SIGKILL');
  await meanwhile();
  return startServer([...words, '--port', new URL(one.url).port]);
}

story('the server goes away and comes back', {}, async ({page, api, server: first}) => {
  await fillForm(page, {prompt: 'a red apple'});
  await drawn(page, api);
  const banner = page.locator('#connection');
  const second = await startAnew(first, [], async () => {
    await page.click('#draw');
    await reads(page.locator('#form-error'), 'The server does not answer.');
    await reads(banner, 'The connection to the server is lost.');
    await shoot(page, 'lost');
  });
  try {
    await banner.waitFor({state: 'hidden'});
    await eventually(() => page.getByTestId('thumb').count(), 0);
    assert.equal(await page.inputValue('#prompt'), 'a red apple');
    await drawn(page, api);
    assert.equal(await page.locator('#form-error').innerText(), '');
  } finally {
    await second.stop('SIGKILL');
  }
});

const kept = ['--state', join(home, 'state')];
story('what was drawn when the server was killed is drawn when it is back', {words: kept}, async ({page, api, server: first}) => {
  await fillForm(page, {prompt: 'a green apple', steps: 150});
  await page.click('#draw');
  await reads(page.locator('#progress-text'), /^Step [1-9]/);
  const second = await startAnew(first, kept, () => page.locator('#connection').waitFor());
  try {
    await page.locator('#connection').waitFor({state: 'hidden'});
    await reads(page.locator('#progress-text'), /^Step [1-9]/);
    const job = await api.newest('done');
    await shows(page, job);
    assert.equal((await api.jobs()).length, 1);
  } finally {
    await second.stop('SIGKILL');
  }
});

story('a server with a token draws for those who have it', {words: ['--token-file', join(home, 'token')], open: false,
  context: {httpCredentials: {username: 'sumi', password: token}}}, async ({page, api, url}) => {
  for (const path of ['/', '/v1/jobs']) assert.equal((await fetch(url + path)).status, 401);
  api.headers = {Authorization: `Bearer ${token}`};
  await openPage(page, url);
  await fillForm(page, {prompt: 'a red apple'});
  await drawn(page, api);
  assert.equal(await page.getByTestId('thumb').locator('img').evaluate((image) => image.naturalWidth), 64);
});

for (const [name, context] of [['light', {}], ['dark', {colorScheme: 'dark'}],
  ['on a phone', {viewport: {width: 360, height: 740}, hasTouch: true, isMobile: true}]]) {
  story(`axe-core finds nothing serious: ${name}`, {...shared, context}, async ({page, api}) => {
    await axe(page, 'at first');
    await api.draw({prompts: ['a blue fish'], seed: 2});
    const job = await api.draw({seed: 1});
    await page.reload();
    await shows(page, job);
    await openFolds(page);
    await page.check('#hires-on');
    await page.click('#hint-add');
    await page.click('#picture-begin');
    await page.getByText('As text').click();
    await page.fill('#width', '7');
    await page.click('#draw');
    await page.locator('[aria-invalid=true]').first().waitFor();
    await axe(page, 'all settings, an error');
    await shoot(page, `settings-${name.split(' ').pop()}`);

    await page.locator('#hint-list [data-part=remove]').click();
    await page.click('#begin-remove');
    await page.uncheck('#hires-on');
    await page.fill('#prompt', 'a red apple');
    await page.fill('#width', '64');
    await page.fill('#height', '64');
    await page.fill('#steps', '1000');
    for (let i = 0; i < 3; ++i) await page.click('#draw');
    await eventually(() => page.getByTestId('queue-item').count(), 3);
    await page.locator('#preview').waitFor();
    await axe(page, 'while it draws');
    await api.forgetAll();
    const again = await api.draw({seed: 1}), other = await api.draw({prompts: ['a blue fish'], seed: 2});
    await page.reload();
    await shows(page, other);

    const dialog = page.locator('dialog[open]');
    const opens = [['picker', () => page.click('#prompt-lora')], ['hires-dialog', () => page.click('#picture-hires')],
      ['upscale-dialog', () => page.click('#picture-upscale')], ['full-dialog', () => page.click('#picture-full')],
      ['editor', () => page.click('#picture-paint')], ['grid', () => page.click('#grid')],
      ['compare', async () => {
        await page.click('#picture-compare');
        await axe(page, 'choosing one to compare with');
        await page.locator(`[data-testid=thumb][data-job="${again.id}"]`).click();
      }],
      ['nothing-dialog', () => dropFile(page, 'body', Buffer.from(kPixel, 'base64'), 'pixel.png')]];
    for (const [what, open] of opens) {
      await open();
      await dialog.waitFor();
      await dialog.locator('details').evaluateAll((folds) => folds.forEach((fold) => { fold.open = true; }));
      await axe(page, what);
      await shoot(page, `${what}-${name.split(' ').pop()}`);
      await page.keyboard.press('Escape');
      await dialog.waitFor({state: 'detached'});
    }
    await page.click('#tab-training');
    await page.locator('.tr-chart svg').waitFor();
    await axe(page, 'training');
  });
}
// One pixel, without settings.
const kPixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
