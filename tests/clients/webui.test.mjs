// Programs that speak A1111's API: the npm package stable-diffusion-api, and the calls that Open WebUI and SillyTavern
// make, in their order.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import sdwebui from 'stable-diffusion-api';
import {sizeOf, startServer, until} from './server.mjs';

let server;
let api;
before(async () => {
  server = await startServer();
  const {hostname, port} = new URL(server.url);
  const Api = sdwebui.default ?? sdwebui;
  api = new Api({host: hostname, port: Number(port)});
});
after(() => server.stop());

const call = async (method, path, body) => {
  const reply = await fetch(server.url + path, {
    method, headers: {'Content-Type': 'application/json'}, body: body && JSON.stringify(body)});
  return {status: reply.status, json: await reply.json()};
};
const get = async (path) => (await call('GET', path)).json;

test('stable-diffusion-api draws', async () => {
  const result = await api.txt2img({prompt: 'a red apple', width: 64, height: 64, steps: 4, seed: 7, batch_size: 2});
  assert.equal(result.images.length, 2);
  assert.deepEqual(sizeOf(await result.images[0].png().toBuffer()), [64, 64]);
  assert.deepEqual(JSON.parse(result.info).all_seeds, [7, 8]);
});

// Open WebUI: asks for the options, sets the model by sending them back, then draws with its defaults.
test('as Open WebUI calls', async () => {
  const models = await get('/sdapi/v1/sd-models');
  const options = await get('/sdapi/v1/options');
  assert.equal(typeof options.sd_model_checkpoint, 'string');
  options.sd_model_checkpoint = models[0].title;
  assert.equal((await call('POST', '/sdapi/v1/options', options)).status, 200);
  const drawn = await call('POST', '/sdapi/v1/txt2img',
                           {prompt: 'a red apple', batch_size: 1, width: 64, height: 64, steps: 4, negative_prompt: 'blue'});
  assert.equal(drawn.status, 200);
  assert.deepEqual(sizeOf(Buffer.from(drawn.json.images[0], 'base64')), [64, 64]);
  const samplers = await get('/sdapi/v1/samplers');
  assert.ok(samplers.some((one) => one.name === 'Euler a'));
});

// SillyTavern: pings, reads the lists, changes the model and waits until nothing is at work, draws, asks for the
// progress meanwhile, interrupts.
test('as SillyTavern calls', async () => {
  assert.ok((await fetch(`${server.url}/sdapi/v1/options`)).ok);
  for (const list of ['sd-models', 'samplers', 'schedulers', 'upscalers', 'latent-upscale-modes', 'sd-vae'])
    assert.ok(Array.isArray(await get(`/sdapi/v1/${list}`)), list);
  const models = await get('/sdapi/v1/sd-models');
  assert.equal((await call('POST', '/sdapi/v1/options', {sd_model_checkpoint: models[0].title})).status, 200);
  await until(async () => {
    const state = await get('/sdapi/v1/progress');
    return state.progress === 0 && state.state.job_count === 0;
  }, 'idleness');
  const body = {
    prompt: 'a red apple', negative_prompt: '', sampler_name: 'Euler a', scheduler: 'Automatic', steps: 150, cfg_scale: 7,
    width: 64, height: 64, restore_faces: false, enable_hr: false, hr_upscaler: 'Latent', hr_scale: 2,
    hr_additional_modules: [], denoising_strength: 0.7, hr_second_pass_steps: 0, seed: undefined,
    override_settings: {CLIP_stop_at_last_layers: 1}, override_settings_restore_afterwards: true, clip_skip: 1,
    save_images: true, send_images: true, do_not_save_grid: false, do_not_save_samples: false,
  };
  const drawing = call('POST', '/sdapi/v1/txt2img', body);
  await until(async () => (await get('/sdapi/v1/progress')).progress > 0, 'progress');
  assert.equal((await call('POST', '/sdapi/v1/interrupt', {})).status, 200);
  assert.equal((await drawing).status, 200);
  const quick = await call('POST', '/sdapi/v1/txt2img', {...body, steps: 4});
  assert.equal(quick.status, 200);
  assert.deepEqual(sizeOf(Buffer.from(quick.json.images[0], 'base64')), [64, 64]);
});

test('a picture goes on: img2img, upscaling, its settings', async () => {
  const drawn = (await call('POST', '/sdapi/v1/txt2img', {prompt: 'a red apple', width: 64, height: 64, steps: 4})).json.images[0];
  const again = await call('POST', '/sdapi/v1/img2img',
                           {init_images: [drawn], prompt: 'a green apple', width: 64, height: 64, steps: 4, denoising_strength: 0.5});
  assert.equal(again.json.images.length, 1);
  const large = await call('POST', '/sdapi/v1/extra-single-image', {image: drawn, upscaling_resize: 2, upscaler_1: 'Lanczos'});
  assert.deepEqual(sizeOf(Buffer.from(large.json.image, 'base64')), [128, 128]);
  const info = await call('POST', '/sdapi/v1/png-info', {image: drawn});
  assert.match(info.json.info, /a red apple/);
});

test('what cannot be done is said', async () => {
  const refused = await call('POST', '/sdapi/v1/txt2img', {prompt: 'a', steps: 'twenty'});
  assert.equal(refused.status, 400);
  assert.match(JSON.stringify(refused.json), /steps/);
});
