// The jobs that wait, to be moved by buttons or dragging, and those that failed.
import {button, el} from './modal.js';
import {say, toastError} from './dialogs.js';
import {sentenceOf} from './errors.js';
import {excerpt} from './files.js';
import {showList} from './list.js';

const byId = (id) => document.getElementById(id);
const titleOf = (job) => (job.upscaling ? 'Enlarge a picture' : excerpt(job.request?.prompts?.[0] || 'No prompt', 90));

export class Queue {
  #dragged = null;
  #dismissed = new Set();

  constructor(jobs, restore) {
    this.jobs = jobs;
    this.restore = restore;
  }

  show() {
    const active = this.jobs.active();
    byId('queue-section').hidden = active.length < 2;
    showList(byId('queue'), active, {keyOf: (job) => job.id, make: (job) => this.#make(job),
      update: (item, job) => this.#update(item, job, active)});
    showList(byId('failures'), this.jobs.failed().filter((job) => !this.#dismissed.has(job.id)).slice(0, 5),
      {keyOf: (job) => job.id, make: (job) => this.#failure(job), update() {}});
  }

  #make({id}) {
    const act = (name, label, text, call) => button(text, call, {class: 'icon small', 'data-part': name, 'aria-label': label, title: label});
    const item = el('li', {class: 'queue-item', 'data-testid': 'queue-item', 'data-job': id, on: {
      dragstart: (event) => {
        this.#dragged = id;
        event.dataTransfer.effectAllowed = 'move';
        event.dataTransfer.setData('text/plain', id);
      },
      dragend: () => { this.#dragged = null; },
      dragover: (event) => {
        if (!this.#dragged || this.#dragged === id || item.dataset.state !== 'queued') return;
        event.preventDefault();
        item.classList.add('is-target');
      },
      dragleave: () => item.classList.remove('is-target'),
      drop: (event) => {
        item.classList.remove('is-target');
        if (!this.#dragged || this.#dragged === id) return;
        event.preventDefault();
        this.#dropOn(id);
      },
    }}, el('span', {class: 'queue-text'}, el('span', {class: 'queue-title'}), el('span', {class: 'hint'})),
    act('up', 'Draw it earlier', '↑', () => this.#move(id, -1)),
    act('down', 'Draw it later', '↓', () => this.#move(id, 1)),
    act('cancel', 'Cancel it', '×', () => this.#cancel(id)));
    return item;
  }

  #update(item, job, active) {
    const waiting = active.filter(({state}) => state === 'queued'), at = waiting.indexOf(job);
    item.dataset.state = job.state;
    item.draggable = job.state === 'queued';
    const texts = item.querySelectorAll('.queue-text > span');
    texts[0].textContent = titleOf(job);
    const count = (job.request?.copies ?? 1) * (job.request?.iterations ?? 1) * (job.request?.prompts?.length ?? 1);
    texts[1].textContent = [job.state === 'running' ? 'being drawn' : `waits, number ${at + 1}`, job.model,
      count > 1 && `${count} pictures`].filter(Boolean).join(' · ');
    const part = (name) => item.querySelector(`[data-part="${name}"]`);
    part('up').hidden = part('down').hidden = job.state !== 'queued' || waiting.length < 2;
    part('up').setAttribute('aria-disabled', String(at <= 0));
    part('down').setAttribute('aria-disabled', String(at === waiting.length - 1));
    part('cancel').setAttribute('aria-label', `Cancel: ${titleOf(job)}`);
  }

  #failure(job) {
    return el('li', {class: 'failure', 'data-testid': 'failure', 'data-job': job.id},
      el('p', {}, el('strong', {}, titleOf(job)), el('br'), sentenceOf(job.error || 'The job failed.')),
      el('div', {class: 'row'}, job.upscaling ? null : button('Reuse settings', () => this.restore.job(job), {class: 'small'}),
        button('Dismiss', () => {
          this.#dismissed.add(job.id);
          this.jobs.forget(job.id).catch(() => {});  // the server may have forgotten it by itself
          this.show();
        }, {class: 'small', 'data-part': 'dismiss'})));
  }

  #waiting() {
    return this.jobs.active().filter(({state}) => state === 'queued').map(({id}) => id);
  }
  #move(id, by) {
    const waiting = this.#waiting(), at = waiting.indexOf(id), to = at + by;
    if (at < 0 || to < 0 || to >= waiting.length) return;
    this.#send(id, by < 0 ? waiting[to] : waiting[to + 1] ?? null, to);
  }
  #dropOn(target) {
    const waiting = this.#waiting(), from = waiting.indexOf(this.#dragged), to = waiting.indexOf(target);
    if (from < 0 || to < 0) return;
    this.#send(this.#dragged, from < to ? waiting[to + 1] ?? null : target, to);
  }
  async #send(id, before, to) {
    byId('queue-error').textContent = '';
    try {
      await this.jobs.move(id, before);
      say(`It is number ${to + 1} of those that wait.`);
    } catch (error) {
      byId('queue-error').textContent = sentenceOf(error.message);
    }
  }
  async #cancel(id) {
    await this.jobs.cancel(id).catch(toastError);
  }
}
