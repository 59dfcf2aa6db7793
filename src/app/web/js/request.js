// What the form holds and what a job is told: values of inputs <-> the body of POST /v1/jobs. Touches no page.
//
// `values` are {id of an input: its text, or true and false}; `pictures` are {begin: {uri, mask, extend} or null,
// hints: [{model, image, weight, start, end, preprocess}]}; `extras` are fields without an input, by their path
// ({"eta": 0.5, "hires.sampler": "ddim"}).

// [input, field, kind]; of kind 'begin' and 'mask' those that mean nothing without a picture, or a mask.
export const kFields = [
  ['negative', 'negative_prompt', 'text'],
  ['width', 'width', 'whole'], ['height', 'height', 'whole'],
  ['steps', 'steps', 'whole'], ['guidance', 'scale', 'number'],
  ['sampler', 'sampler', 'text'], ['schedule', 'schedule', 'text'],
  ['seed', 'seed', 'digits'], ['count', 'copies', 'whole'], ['batch', 'batch', 'whole'],
  ['seamless', 'seamless', 'text'], ['tiled', 'tiled_decode', 'flag'],
  ['strength', 'strength', 'number', 'begin'],
  ['mask-content', 'mask_content', 'text', 'mask'], ['mask-blur', 'mask_blur', 'whole', 'mask'],
  ['mask-padding', 'mask_padding', 'whole', 'mask'], ['mask-invert', 'mask_invert', 'flag', 'mask'],
  ['resize', 'resize', 'text', 'pictures'], ['guess', 'guess_mode', 'flag', 'hints'],
  ['hires-scale', 'hires.scale', 'number', 'hires'], ['hires-upscaler', 'hires.upscaler', 'text', 'hires'],
  ['hires-strength', 'hires.strength', 'number', 'hires'], ['hires-steps', 'hires.steps', 'whole', 'hires'],
];

class FieldError extends Error {
  constructor(id, message) {
    super(message);
    this.id = id;
  }
}

function valueOf(id, kind, given) {
  if (kind === 'flag') return given ? true : undefined;
  const text = String(given ?? '').trim();
  if (text === '') return undefined;
  if (kind === 'text') return kind === 'text' && id === 'negative' ? given : text;
  if (kind === 'digits') {
    if (!/^\d+$/.test(text)) throw new FieldError(id, 'The seed must be digits, or empty for a random one.');
    return Number.isSafeInteger(Number(text)) ? Number(text) : text;
  }
  const number = Number(text);
  if (!Number.isFinite(number)) throw new FieldError(id, 'This must be a number.');
  if (kind === 'whole' && !Number.isInteger(number)) throw new FieldError(id, 'This must be a whole number.');
  return number;
}

function put(object, path, value) {
  const names = path.split('.'), last = names.pop();
  for (const name of names) object = object[name] ??= {};
  object[last] = value;
}

// Throws an Error with the `id` of the input that is wrong, and a sentence.
export function bodyOf(values, {begin, hints}, extras = {}) {
  const request = {prompts: [values.prompt]};
  const used = {begin: Boolean(begin), mask: Boolean(begin && (begin.mask || begin.extend?.some((side) => side > 0))),
    hints: hints.length > 0, pictures: Boolean(begin) || hints.length > 0, hires: Boolean(values['hires-on'])};
  if (used.hires) request.hires = {};
  for (const [id, path, kind, of] of kFields) {
    if (of && !used[of]) continue;
    const value = valueOf(id, kind, values[id]);
    if (value !== undefined) put(request, path, value);
  }
  for (const [path, value] of Object.entries(extras)) {
    if (!path.startsWith('hires.') || used.hires) put(request, path, value);
  }
  if (begin) {
    request.init = begin.uri;
    if (begin.mask) request.mask = begin.mask;
    if (begin.extend?.some((side) => side > 0)) request.extend = begin.extend;
  }
  if (hints.length > 0) {
    request.controls = hints.map(({model, image, weight, start, end, preprocess}, i) => {
      if (!image) throw new FieldError(`hint ${i}`, 'Give this hint a picture, or remove it.');
      const number = (text, otherwise) => (String(text ?? '').trim() === '' ? otherwise : Number(text));
      return {model, image: image.uri, weight: number(weight, 1), start: number(start, 0), end: number(end, 1), preprocess};
    });
  }
  // Each picture has its own seed, so that it can be drawn again alone.
  const several = (request.copies ?? 1) > 1 || (request.batch ?? 1) > 1 || (request.iterations ?? 1) > 1;
  if (several && request.seeding === undefined) request.seeding = 'picture';
  if (request.batch === undefined && request.copies === 1) delete request.copies;
  const body = {request, previews: Boolean(values.previews)};
  if (values.model) body.model = values.model;
  if (values.vae) body.vae = values.vae;
  return body;
}

// Fields that mean nothing when they are so, and those that other inputs stand for.
const kIdle = {fixed_noise: false, share: 0, share_of: 1, guess_mode: false, tiled_decode: false, mask_invert: false,
  subseed_strength: 0, batch: 1, copies: 1, iterations: 1, rng: 'cpu', syntax: 'weighted'};
const kElsewhere = new Set(['prompt', 'prompts', 'init', 'mask', 'extend', 'controls', 'hires', 'copies', 'iterations',
  'share', 'share_of', 'seed', 'seeds']);
const isOpen = (name, value) => value === null || value === undefined || value === '' || kIdle[name] === value ||
  (Array.isArray(value) && value.length === 0);

// Of a request: {values, extras, hints, missing}: `hints` without their pictures, `missing` in words what the request
// had that is not in it (pictures). `picture` is {number, seed, prompt} where one of the job's pictures is meant: then it
// alone is drawn.
export function formOf(request, picture = null) {
  const values = {prompt: picture?.prompt ?? request.prompts?.[0] ?? request.prompt ?? ''}, extras = {}, missing = [];
  for (const [id, path, kind, of] of kFields) {
    const names = path.split('.');
    const value = names.length === 2 ? request[names[0]]?.[names[1]] : request[path];
    if (kind === 'flag') values[id] = Boolean(value);
    else if (of !== 'begin' || value !== undefined) values[id] = isOpen(path, value) ? '' : String(value);
  }
  values['hires-on'] = Boolean(request.hires);
  const count = (request.copies ?? 1) * (request.iterations ?? 1);
  values.count = '1';
  const alone = request.seeding === 'picture' || request.seeds?.length > 0;
  if (picture && (alone || picture.number === 0)) {
    values.seed = String(picture.seed);
    values.batch = '';
  } else {
    values.count = String(count);
    if (request.seeds?.length > 0) extras.seeds = request.seeds;
  }
  const fielded = new Set(kFields.map(([, path]) => path));
  for (const [name, value] of Object.entries(request)) {
    if (kElsewhere.has(name) || fielded.has(name)) continue;
    if (isOpen(name, value) && !(name === 'syntax' && value && request.defaults === 'original')) continue;
    if (name === 'seeding' && (value === 'picture' || values.count === '1')) continue;
    extras[name] = value;
  }
  for (const [name, value] of Object.entries(request.hires ?? {})) {
    if (!fielded.has(`hires.${name}`) && !isOpen(name, value)) extras[`hires.${name}`] = value;
  }
  if (request.init) missing.push('the picture that it began from');
  if (request.mask) missing.push('its mask');
  if (request.extend?.some((side) => side > 0)) missing.push(`its border (${request.extend.join(', ')} pixels)`);
  const hints = (request.controls ?? []).map(({model, weight = 1, start = 0, end = 1, preprocess = 'none'}) =>
    ({model, image: null, weight, start, end, preprocess}));
  if (hints.length > 0) missing.push(hints.length === 1 ? "its hint's picture" : "its hints' pictures");
  return {values, extras, hints, missing};
}
