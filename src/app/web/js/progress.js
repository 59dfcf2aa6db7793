// How far the drawing is, on the page and, at sensible intervals, for screen readers.
import {say} from './dialogs.js';
import {durationText} from './files.js';

const byId = (id) => document.getElementById(id);
const kSayEvery = 15000;  // ms

export class Progress {
  #said = 0;
  #id = null;

  // `job`: the one that is drawn or next; null: none. `others`: how many wait beside it.
  show(job, others) {
    byId('progress').hidden = !job;
    document.title = !job ? 'sumi' : job.steps ? `${Math.floor(100 * (job.done ?? 0) / job.steps)} % · sumi` : '… · sumi';
    if (!job) {
      this.#id = null;
      return;
    }
    const bar = byId('progress-bar'), begun = job.state === 'running' && job.steps > 0;
    if (begun) bar.value = job.done / job.steps;
    else bar.removeAttribute('value');
    const text = textOf(job) + (others > 0 ? ` · ${others} more ${others === 1 ? 'waits' : 'wait'}` : '');
    if (byId('progress-text').textContent !== text) byId('progress-text').textContent = text;
    const now = Date.now();
    if (job.id !== this.#id || (begun && now - this.#said > kSayEvery)) {
      if (job.id === this.#id) say(text);
      this.#id = job.id;
      this.#said = now;
    }
  }
}

function textOf(job) {
  if (job.state === 'queued') return job.place > 0 ? `Waiting: ${job.place} ${job.place === 1 ? 'job' : 'jobs'} before it` : 'Next in the queue';
  if (job.upscaling) return 'Enlarging';
  if (!job.steps) return 'Getting ready: reading the model and the prompt';
  if (job.done >= job.steps) return 'Finishing the picture';
  const left = job.seconds_left > 0 ? ` · about ${durationText(job.seconds_left)} left` : '';
  return `Step ${job.done} of ${job.steps}${left}`;
}
