// The picture that is shown large: its parameters, and what can be done with it.
import {el} from './modal.js';
import {openDialog, say, toast, toastError} from './dialogs.js';
import {fetchPicture} from './files.js';
import {openCompare} from './compare.js';
import {openHires, openUpscale} from './enlarge.js';
import {factsOf} from './facts.js';

const byId = (id) => document.getElementById(id);
const kUndo = 8;     // s
const kLargest = 4;  // times its size

const textOf = ({job, picture}) => picture.prompt || (job.upscaling ? 'Enlarged picture' : job.request?.prompts?.[0] ?? '');
export const isSame = (a, b) => a?.job.id === b?.job.id && a?.picture.number === b?.picture.number;

export class PictureView {
  current = null;  // {job, picture}
  #comparing = null;
  #leaving = new Set();

  // `changed()` is called when another picture is shown; `submit(body)` draws.
  constructor({jobs, form, begin, hints, options, restore, submit, changed}) {
    Object.assign(this, {jobs, form, begin, hints, options, restore, submit, changed});
    const on = (id, call) => byId(id).addEventListener('click', () => this.current && call(this.current));
    on('picture-reuse', ({job, picture}) => restore.job(job, picture));
    on('picture-seed', ({picture}) => {
      form.set({seed: String(picture.seed)});
      say(`The seed is ${picture.seed}.`);
    });
    on('picture-begin', (one) => this.#fetch(one, (picture) => begin.set({...picture, mask: null, extend: null})));
    on('picture-paint', (one) => this.#fetch(one, (picture) => {
      begin.edit(picture);
      return false;
    }));
    on('picture-hint', (one) => this.#fetch(one, (picture) => hints.add(picture)));
    on('picture-hires', (one) => openHires(one, {options, submit}));
    on('picture-upscale', (one) => openUpscale(one, {options, submit}));
    on('picture-compare', (one) => this.compareWith(one));
    on('picture-delete', (one) => this.remove(one));
    on('picture-previous', () => this.step(-1));
    on('picture-next', () => this.step(1));
    on('picture-full', (one) => this.#full(one));
    on('picture-copy', ({picture}) => navigator.clipboard.writeText(picture.parameters).then(() => say('Copied.'),
      () => toast('The browser did not allow it: select the text and copy it.')));
    byId('compare-stop').addEventListener('click', () => this.compareWith(null));
    addEventListener('pagehide', () => this.#leaving.forEach((end) => end()));
  }

  choose(one) {
    if (this.#comparing && !isSame(this.#comparing, one)) {
      const [a, b] = [this.#comparing, one].map((each) => ({url: each.picture.url, title: textOf(each), text: each.picture.parameters}));
      this.compareWith(null);
      openCompare(a, b);
      return;
    }
    this.current = one;
    this.show();
    this.changed();
  }
  step(by) {
    const all = this.jobs.pictures(), at = all.findIndex((one) => isSame(one, this.current));
    const to = all[at + by];
    if (to) this.choose(to);
    else say(by < 0 ? 'This is the newest.' : 'This is the oldest.');
  }

  compareWith(one) {
    this.#comparing = one;
    byId('compare-bar').hidden = !one;
    if (!one) return;
    byId('compare-bar').scrollIntoView({block: 'nearest'});
    say('Choose the picture to compare with.');
    byId('gallery').querySelector('.thumb:not([aria-current="true"])')?.focus();
  }

  // Its job may have changed, or gone.
  refresh() {
    if (!this.current) return;
    const now = this.jobs.pictures().find((one) => isSame(one, this.current));
    if (!now) this.current = null;
    else this.current = now;
    this.show();
  }

  show() {
    const one = this.current;
    byId('picture-tools').hidden = !one;
    byId('picture-full').hidden = !one;
    if (!one) {
      byId('picture').removeAttribute('src');
      delete byId('picture').dataset.job;
      return;
    }
    const {job, picture} = one, image = byId('picture');
    if (image.getAttribute('src') !== picture.url) image.src = picture.url;
    image.alt = textOf(one) || 'Picture';
    image.style.maxWidth = `${picture.width * kLargest}px`;
    image.style.maxHeight = `${picture.height * kLargest}px`;
    Object.assign(image.dataset, {job: job.id, number: picture.number});
    byId('picture-full').setAttribute('aria-label', `Full size: ${image.alt}`);
    byId('picture-prompt').textContent = textOf(one);
    byId('picture-facts').replaceChildren(...factsOf(one).map(([name, value]) =>
      el('div', {}, el('dt', {}, name), el('dd', {}, value))));
    byId('picture-text').textContent = picture.parameters || 'none';
    byId('picture-warnings').textContent = [...picture.flagged ? ['The safety checker made it black.'] : [], ...job.warnings].join(' ');
    const link = byId('picture-download');
    link.href = picture.url;
    link.download = `sumi-${picture.seed}-${job.id.slice(0, 8)}-${picture.number}.png`;
    byId('picture-hires').hidden = byId('picture-reuse').hidden = byId('picture-seed').hidden = Boolean(job.upscaling);
    const all = this.jobs.pictures(), at = all.findIndex((each) => isSame(each, one));
    byId('picture-previous').setAttribute('aria-disabled', String(at <= 0));
    byId('picture-next').setAttribute('aria-disabled', String(at === all.length - 1));
  }

  // Gone from the page at once, from the server when there was time to take it back.
  remove(one) {
    const {job, picture} = one, all = this.jobs.pictures(), at = all.findIndex((each) => isSame(each, one));
    if (this.jobs.active().some(({id}) => id === job.id)) {
      toast('Its job still draws: cancel it or wait until it is over, then delete.');
      return;
    }
    if (isSame(one, this.current)) this.current = all[at + 1] ?? all[at - 1] ?? null;
    this.jobs.hidePicture(job.id, picture.number, true);
    const last = () => this.jobs.forgetPicture(job.id, picture.number, true).catch(() => {});
    this.#leaving.add(last);
    toast('Deleted.', {seconds: kUndo, action: {label: 'Undo', call: () => {
      this.jobs.hidePicture(job.id, picture.number, false);
      this.choose(one);
    }}, onEnd: (undone) => {
      this.#leaving.delete(last);
      if (undone) return;
      this.jobs.forgetPicture(job.id, picture.number).catch((error) => {
        if (error.status === 404) return;
        this.jobs.hidePicture(job.id, picture.number, false);
        toastError(error);
      });
    }});
  }

  async #fetch(one, take) {
    try {
      const picture = await fetchPicture(one.picture.url, textOf(one) || 'Picture');
      const prompt = byId('prompt');
      if (!prompt.value.trim() && textOf(one) && !one.job.upscaling) this.form.set({prompt: textOf(one)});
      if (take(picture) !== false) say('Taken over into the form.');
    } catch (error) {
      toastError(error);
    }
  }

  #full({picture}) {
    openDialog({id: 'full-dialog', title: `${picture.width} × ${picture.height}`,
      content: () => el('div', {class: 'full-scroll', tabindex: 0, 'data-first': true},
        el('img', {src: picture.url, alt: byId('picture').alt}))});
  }
}
