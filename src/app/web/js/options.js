// What the server can do, shown in the form's lists: models, samplers, files.
import {get} from './api.js';
import {bytesText} from './files.js';

const byId = (id) => document.getElementById(id);
const kNone = {samplers: [], schedules: [], resize: ['stretch', 'crop', 'fill'],
  mask_content: ['original', 'fill', 'noise', 'nothing'], filters: ['lanczos', 'bicubic', 'bilinear', 'nearest'],
  latent_upscalers: ['latent'], files: {}, limits: {}, memory: {}};
const kFiles = {loras: [], embeddings: [], vaes: [], upscalers: [], controls: []};
const kResize = {stretch: 'stretching', crop: 'cropping', fill: 'fitting, edges drawn out'};
const kMaskContent = {original: 'what was there', fill: 'colours from around', noise: 'noise', nothing: 'nothing'};

export class Options {
  models = [];
  #options = kNone;
  #described = new Map();
  #form;

  constructor(form) {
    this.#form = form;
  }
  get all() {
    return this.#options;
  }
  get files() {
    return {...kFiles, ...this.#options.files};
  }

  async load() {
    const [{models}, options] = await Promise.all([get('/v1/models'), get('/v1/options').catch((error) => {
      if (error.status === 404) return {};
      throw error;
    })]);
    this.models = models;
    this.#options = {...kNone, ...options};
    if (options.elsewhere)
      byId('privacy').textContent = 'Pictures and prompts go to this server and the machines that draw for it, nowhere else.';
    this.#offer();
    await this.describeModel();
  }
  // Files may have come meanwhile.
  async reloadFiles() {
    this.#options = {...this.#options, ...await get('/v1/options')};
    this.#offer();
  }

  #offer() {
    const form = this.#form, {samplers, schedules, resize, mask_content: contents} = this.#options;
    form.offer('model', this.models.map(({name, bytes, loaded}) =>
      [name, `${name} (${bytesText(bytes)}${loaded ? ', loaded' : ''})`]));
    for (const [id, list] of [['sampler', samplers], ['schedule', schedules]]) {
      form.offer(id, [['', byId(id).options[0]?.text ?? 'Automatic'], ...list.map(({name}) => [name, name])]);
      for (const option of byId(id).options) option.dataset.help = list.find(({name}) => name === option.value)?.help ?? '';
    }
    form.offer('resize', resize.map((name) => [name, kResize[name] ?? name]));
    form.offer('mask-content', contents.map((name) => [name, kMaskContent[name] ?? name]));
    form.offer('vae', [['', 'The model’s'], ['own', 'The one within the model’s file'],
      ...this.files.vaes.map(({name, bytes}) => [name, `${name} (${bytesText(bytes)})`])]);
    form.offer('hires-upscaler', this.hiresUpscalers().map((name) => [name, name]));
    form.changed();
  }
  // Names that `hires.upscaler` takes, the usual one first.
  hiresUpscalers() {
    const {latent_upscalers: latent, filters} = this.#options;
    return [...new Set(['latent', ...latent, ...this.files.upscalers.map(({name}) => name), ...filters])];
  }
  // Of a finished picture: networks before filters.
  upscalers() {
    return [...this.files.upscalers.map(({name}) => name), ...new Set(['lanczos', ...this.#options.filters])];
  }

  // The chosen model's size, steps and so on, as placeholders.
  async describeModel() {
    const name = byId('model').value;
    if (!name) return;
    const model = this.models.find((one) => one.name === name);
    const facts = await (this.#described.get(name) ?? get(`/v1/models/${encodeURIComponent(name)}`).catch((error) => {
      if (error.status === 404) return {};
      throw error;
    }));
    this.#described.set(name, facts);
    if (byId('model').value !== name) return;
    this.#form.showModel(facts);
    const memory = this.#options.memory?.free ? `; ${bytesText(this.#options.memory.free)} of memory are free` : '';
    byId('model-memory').textContent = model && !model.loaded ?
      `Its weights (${bytesText(model.bytes)}) are loaded when it first draws${memory}.` : '';
    for (const warning of facts.warnings ?? []) byId('model-memory').textContent += ` ${warning}`;
  }
}
