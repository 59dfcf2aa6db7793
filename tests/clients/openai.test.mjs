// OpenAI's own client against /v1/images and /v1/models.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import OpenAI, {toFile} from 'openai';
import sharp from 'sharp';
import {sizeOf, startServer, until} from './server.mjs';

let server;
let client;
before(async () => {
  server = await startServer();
  client = new OpenAI({baseURL: `${server.url}/v1`, apiKey: 'none is needed', maxRetries: 0});
});
after(() => server.stop());

const small = {prompt: 'a red apple', size: '64x64', steps: 4};
const jobs = async () => (await (await fetch(`${server.url}/v1/jobs`)).json()).jobs;

test('models are listed', async () => {
  const list = await client.models.list();
  assert.ok(list.data.length > 0);
  assert.equal(list.data[0].object, 'model');
});

test('a picture is generated, and the same for the same seed', async () => {
  const draw = async () => (await client.images.generate({...small, model: 'gpt-image-1', seed: 7})).data[0].b64_json;
  const first = Buffer.from(await draw(), 'base64');
  assert.deepEqual(sizeOf(first), [64, 64]);
  assert.deepEqual(Buffer.from(await draw(), 'base64'), first);
});

test('several pictures, as JPEG, by address', async () => {
  const several = await client.images.generate({...small, n: 3});
  assert.equal(new Set(several.data.map((one) => one.b64_json)).size, 3);
  const jpeg = await client.images.generate({...small, output_format: 'jpeg', output_compression: 80});
  assert.equal(Buffer.from(jpeg.data[0].b64_json, 'base64').readUInt16BE(0), 0xffd8);
  const webp = await client.images.generate({...small, output_format: 'webp'});
  assert.equal(Buffer.from(webp.data[0].b64_json, 'base64').subarray(8, 12).toString(), 'WEBP');
  const linked = await client.images.generate({...small, response_format: 'url'});
  const fetched = Buffer.from(await (await fetch(linked.data[0].url)).arrayBuffer());
  assert.deepEqual(sizeOf(fetched), [64, 64]);
});

test('a picture is edited, with a mask and without', async () => {
  const base = (await client.images.generate({...small, seed: 1})).data[0].b64_json;
  const image = () => toFile(Buffer.from(base, 'base64'), 'apple.png', {type: 'image/png'});
  const edited = await client.images.edit({image: await image(), prompt: 'a green apple', steps: 4, seed: 2});
  assert.deepEqual(sizeOf(Buffer.from(edited.data[0].b64_json, 'base64')), [64, 64]);
  assert.notEqual(edited.data[0].b64_json, base);
  // The mask's see-through half is drawn anew, the other stays.
  const half = {create: {width: 32, height: 64, channels: 4, background: {r: 0, g: 0, b: 0, alpha: 1}}};
  const mask = await sharp({create: {width: 64, height: 64, channels: 4, background: {r: 0, g: 0, b: 0, alpha: 0}}})
      .composite([{input: await sharp(half).png().toBuffer(), left: 0, top: 0}]).png().toBuffer();
  const partly = await client.images.edit({image: await image(), mask: await toFile(mask, 'mask.png', {type: 'image/png'}),
                                           prompt: 'a green apple', steps: 4, seed: 2});
  const left = (png) => sharp(Buffer.from(png, 'base64')).extract({left: 0, top: 0, width: 16, height: 64}).raw().toBuffer();
  assert.deepEqual(await left(partly.data[0].b64_json), await left(base));
  assert.notEqual(partly.data[0].b64_json, base);
});

test('a stream brings partial pictures and the whole one', async () => {
  const stream = await client.images.generate({...small, stream: true, partial_images: 2});
  const types = [];
  let last;
  for await (const event of stream) {
    types.push(event.type);
    last = event;
  }
  assert.deepEqual(types, ['image_generation.partial_image', 'image_generation.partial_image', 'image_generation.completed']);
  assert.deepEqual(sizeOf(Buffer.from(last.b64_json, 'base64')), [64, 64]);
});

test('an aborted request cancels its job', async () => {
  const controller = new AbortController();
  const drawing = client.images.generate({...small, steps: 900}, {signal: controller.signal});
  await until(async () => (await jobs())[0]?.state === 'running', 'the job');
  controller.abort();
  await assert.rejects(drawing);
  await until(async () => (await jobs())[0].state === 'cancelled', 'its end');
});

test('errors are the client\'s', async () => {
  await assert.rejects(client.images.generate({...small, size: '7x7'}),
                       (error) => error instanceof OpenAI.BadRequestError && error.param === 'size');
  await assert.rejects(client.images.generate({...small, model: 'nobody'}), (error) => error instanceof OpenAI.NotFoundError);
});
