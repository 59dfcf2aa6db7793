// The hints of ControlNets: a picture, a network of the library, how strongly and when it acts.
import {button, el, labelled} from './modal.js';
import {toast} from './dialogs.js';
import {clearAt, showAt} from './errors.js';
import {readPicture} from './files.js';
import {savedPictures, savePictures} from './saved.js';

const kNone = 'There are no ControlNets yet. Put them into the folder “controlnet” beside the model, then load the page again.';
const byId = (id) => document.getElementById(id);

export class Hints {
  values = [];  // {model, image: {name, uri, …} or null, weight, start, end, preprocess}
  #options;
  #form;

  constructor(form, options) {
    this.#form = form;
    this.#options = options;
    byId('hint-add').addEventListener('click', () => {
      if (!this.add()) return;
      byId('hint-list').lastElementChild.querySelector('[data-part="choose"]').focus();
    });
  }
  async restore() {
    const kept = await savedPictures('hints');
    if (kept && this.values.length === 0) this.values = kept;
    this.show();
  }

  // False: there is no network to follow one.
  add(image = null) {
    const [first] = this.#options.files.controls;
    byId('fold-hints').open = true;
    if (!first) {
      toast(kNone, {kind: 'is-error'});
      return false;
    }
    this.set([...this.values, {model: first.name, image, weight: 1, start: 0, end: 1, preprocess: 'none'}]);
    return true;
  }
  set(values) {
    this.values = values;
    this.show();
    this.#changed();
  }
  #changed() {
    savePictures('hints', this.values);
    this.#form.changed();
  }

  // Once more, where the library's networks have changed.
  show() {
    const {controls} = this.#options.files, count = this.values.length;
    byId('hint-none').hidden = count > 0;
    byId('hint-none').textContent = controls.length > 0 ? 'A picture whose edges, depth or pose the drawing follows.' :
      kNone;
    byId('hint-state').textContent = count > 0 ? String(count) : '';
    byId('guess').parentElement.hidden = count === 0;
    byId('hint-list').replaceChildren(...this.values.map((hint, i) => this.#item(hint, i, controls)));
  }

  #item(hint, i, controls) {
    const item = el('div', {class: 'hint-item', role: 'group', 'aria-label': `Hint ${i + 1}`});
    const bind = (part, input, event = 'input') => {
      input.dataset.part = part;
      input.value = hint[part];
      input.addEventListener(event, () => {
        hint[part] = input.value;
        clearAt(input);
        this.#changed();
      });
      return input;
    };
    const number = (part, least, most) => bind(part, el('input', {type: 'number', min: least, max: most, step: 0.05}));
    const names = controls.map(({name}) => name);
    if (hint.model && !names.includes(hint.model)) names.push(hint.model);
    const file = el('input', {type: 'file', accept: 'image/*', hidden: true, tabindex: -1, 'aria-label': 'Picture of the hint'});
    const choose = button(hint.image ? 'Other picture…' : 'Choose a picture…', () => file.click(),
      {'data-part': 'choose', 'data-hint': i});
    file.dataset.part = 'file';
    file.addEventListener('change', () => this.#take(item, hint, file.files[0]));
    item.append(
      hint.image ? el('img', {src: hint.image.uri, alt: `Hint ${i + 1}: ${hint.image.name || 'picture'}`}) :
        el('span', {class: 'hint-empty', 'aria-hidden': true}),
      el('div', {class: 'hint-fields'},
        el('div', {class: 'row'}, choose, button('Remove', () => {
          this.set(this.values.filter((one) => one !== hint));
          byId('hint-add').focus();
        }, {'data-part': 'remove', 'aria-label': `Remove hint ${i + 1}`})),
        labelled('Network', bind('model', el('select', {}, names.map((name) => el('option', {value: name}, name))), 'change')),
        labelled('Made of it', bind('preprocess', el('select', {}, el('option', {value: 'none'}, 'nothing: it is a hint'),
          el('option', {value: 'canny'}, 'its edges (canny)')), 'change')),
        el('div', {class: 'hint-numbers'}, labelled('Weight', number('weight', -100, 100)),
          labelled('From', number('start', 0, 1)), labelled('To', number('end', 0, 1)))), file);
    return el('li', {'data-testid': 'hint'}, item);
  }

  async #take(item, hint, picture) {
    if (!picture) return;
    try {
      hint.image = await readPicture(picture, picture.name);
      this.set(this.values);
      byId('hint-list').children[this.values.indexOf(hint)]?.querySelector('[data-part="model"]').focus();
    } catch (error) {
      showAt(item.querySelector('[data-part="choose"]'), error.message);
    }
  }
  takeFile(index, file) {
    this.#take(byId('hint-list').children[index], this.values[index], file);
  }
}
