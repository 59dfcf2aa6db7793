// The form: its inputs as values, kept over a reload; seed, shape and size.
import {clearAt} from './errors.js';
import {kFields} from './request.js';
import {save, saved} from './saved.js';
import {growing} from './prompt.js';

const byId = (id) => document.getElementById(id);
const kIds = ['prompt', 'model', 'vae', 'hires-on', 'previews', ...kFields.map(([id]) => id)];
const kShapes = [['square', 'Square', 1, 1], ['portrait', 'Portrait', 2, 3], ['landscape', 'Landscape', 3, 2],
  ['tall', 'Tall', 9, 16], ['wide', 'Wide', 16, 9]];

const isCheck = (input) => input.type === 'checkbox';

export class Form {
  #listeners = new Set();
  #extras = {};
  #model = {default_size: 512, multiple: 8};
  #fits = [];
  #given = null;

  constructor() {
    this.initial = this.values();
    byId('shape').append(new Option('Default', ''), ...kShapes.map(([name, label]) => new Option(label, name)),
      new Option('Other', 'other'));
    this.#fits = [growing(byId('prompt')), growing(byId('negative'))];
    const kept = saved('form', null);
    if (kept) {
      this.#kept = kept.values;
      this.set(kept.values, kept.extras ?? {});
    }
    byId('form').addEventListener('input', (event) => {
      clearAt(event.target);
      byId('form-error').textContent = '';
      if (event.target.id === 'width' || event.target.id === 'height') this.#showShape();
      if (event.target.id === 'seed') this.#showLock();
      this.changed();
    });
    byId('shape').addEventListener('change', () => this.#takeShape());
    byId('swap').addEventListener('click', () => {
      const {width, height} = this.#sides();
      this.set({width: height, height: width});
    });
    byId('seed-lock').addEventListener('click', () => this.#lock());
    for (const fold of document.querySelectorAll('#form details')) {
      fold.open = saved('folds', {})[fold.id] ?? fold.open;
      fold.addEventListener('toggle', () => save('folds', {...saved('folds', {}), [fold.id]: fold.open}));
    }
  }
  // Values of selects whose options are not there yet.
  #kept = {};

  onChange(call) {
    this.#listeners.add(call);
  }
  changed() {
    save('form', {values: {...this.#kept, ...this.values()}, extras: this.#extras});
    this.#show();
    for (const call of this.#listeners) call();
  }

  values() {
    return Object.fromEntries(kIds.map((id) => [id, isCheck(byId(id)) ? byId(id).checked : byId(id).value]));
  }
  get extras() {
    return this.#extras;
  }
  // Numbers that the browser could not read are empty values: found here, so that they are not passed over.
  check() {
    for (const id of kIds) {
      if (byId(id).validity?.badInput) throw Object.assign(new Error('This must be a number.'), {input: byId(id)});
    }
  }

  // Values of some inputs; `extras` in place of all others, where given.
  set(values, extras = null) {
    for (const [id, value] of Object.entries(values)) {
      const input = byId(id);
      if (!input || !kIds.includes(id)) continue;
      clearAt(input);
      if (isCheck(input)) input.checked = value;
      else if (input.tagName === 'SELECT') this.#choose(input, value);
      else input.value = value;
    }
    if (extras) this.#extras = {...extras};
    this.#showLock();
    this.#showShape();
    this.changed();
  }
  reset() {
    this.set(this.initial, {});
  }

  // A value that is not offered is kept, so that the server can say what is wrong with it.
  #choose(select, value) {
    if (![...select.options].some((option) => option.value === value)) {
      if (value === '') {  // the usual
        select.selectedIndex = 0;
        return;
      }
      if (select.options.length === 0) {
        this.#kept[select.id] = value;
        return;
      }
      select.add(new Option(`${value} (not here)`, value));
    }
    select.value = value;
  }
  // Options of a select, [[value, label]]; what was chosen stays.
  offer(id, options, {keepUnknown = true} = {}) {
    const select = byId(id), value = this.#kept[id] ?? select.value;
    delete this.#kept[id];
    select.replaceChildren(...options.map(([name, label]) => new Option(label, name)));
    if (options.some(([name]) => name === value) || (keepUnknown && value)) this.#choose(select, value);
  }

  // What the model decides is shown where nothing is given.
  showModel(model) {
    this.#model = {...this.#model, ...model};
    this.showSize();
    for (const id of ['width', 'height']) byId(id).step = String(this.#model.multiple || 8);
    byId('steps').placeholder = model.steps ? String(model.steps) : '25';
    byId('guidance').placeholder = model.scale ? String(model.scale) : '7.5';
    byId('sampler').options[0].text = `Automatic${model.sampler ? ` (${model.sampler})` : ''}`;
    byId('schedule').options[0].text = `Automatic${model.schedule ? ` (${model.schedule})` : ''}`;
    this.#showShape();
  }

  // The size where none is given: that of the picture to begin from, or the model's.
  showSize(given = this.#given) {
    this.#given = given;
    const side = this.#model.default_size || '';
    byId('width').placeholder = String(given?.width ?? side);
    byId('height').placeholder = String(given?.height ?? side);
  }

  #sides() {
    const {placeholder: width} = byId('width'), {placeholder: height} = byId('height');
    return {width: byId('width').value || width, height: byId('height').value || height};
  }
  // Sides of that shape with about as many pixels as the model's own size.
  #sidesOf(wide, high) {
    const side = this.#model.default_size || 512, step = this.#model.multiple || 8;
    const round = (pixels) => String(Math.max(step, Math.round(pixels / step) * step));
    return [round(side * Math.sqrt(wide / high)), round(side * Math.sqrt(high / wide))];
  }
  #takeShape() {
    const shape = kShapes.find(([name]) => name === byId('shape').value);
    if (byId('shape').value === 'other') {
      byId('width').focus();
      return;
    }
    const [width, height] = shape ? this.#sidesOf(shape[2], shape[3]) : ['', ''];
    this.set({width, height});
  }
  #showShape() {
    const width = byId('width').value, height = byId('height').value;
    if (!width && !height) {
      byId('shape').value = '';
      return;
    }
    const same = kShapes.find(([, , wide, high]) => {
      const sides = this.#sidesOf(wide, high);
      return sides[0] === width && sides[1] === height;
    });
    byId('shape').value = same?.[0] ?? 'other';
  }

  // A seed in the field is kept; an empty field is a random one.
  #lock() {
    const seed = byId('seed');
    if (seed.value.trim()) this.set({seed: ''});
    else this.set({seed: this.lastSeed ?? String(Math.floor(Math.random() * 2 ** 32))});
  }
  #showLock() {
    const locked = byId('seed').value.trim() !== '';
    byId('seed-lock').setAttribute('aria-pressed', String(locked));
    byId('seed-lock').title = locked ? 'Draw with a new seed each time' : 'Keep this seed for the next pictures';
  }

  #show() {
    for (const fit of this.#fits) fit();
    byId('strength-text').textContent = Number(byId('strength').value).toFixed(2);
    byId('hires-state').textContent = byId('hires-on').checked ? 'on' : '';
    const help = (id) => byId(id).selectedOptions[0]?.dataset.help ?? '';
    byId('sampler-help').textContent = help('sampler');
    byId('schedule-help').textContent = help('schedule');
    const extras = Object.entries(this.#extras);
    byId('extras').hidden = extras.length === 0;
    byId('extras').replaceChildren(...extras.map(([name, value]) => {
      const chip = document.createElement('button');
      const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
      chip.type = 'button';
      chip.className = 'chip small';
      chip.textContent = `${name}: ${text} ×`;
      chip.setAttribute('aria-label', `Remove ${name}: ${text}`);
      chip.addEventListener('click', () => {
        delete this.#extras[name];
        this.changed();
        (byId('extras').querySelector('button') ?? byId('vae')).focus();
      });
      return chip;
    }));
  }
}
