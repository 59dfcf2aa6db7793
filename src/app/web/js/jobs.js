// The server's jobs as this page knows them: fetched once, then kept up by events of those that are drawn or next.
//
//   const jobs = new Jobs();
//   jobs.on((change) => …);       // {kind: 'list'}, or {kind: 'step' | 'preview' | 'picture' | 'over', job}
//   await jobs.refresh();
import {get, jobPath, post, remove, watchJob} from './api.js';
import {save, saved} from './saved.js';

// Each watch is a connection, and browsers open six to a server; the grid has two of its own.
const kWatched = 2;
const kKeptMine = 300;

export const isActive = (job) => job.state === 'queued' || job.state === 'running';

export class Jobs {
  #jobs = new Map();
  #watches = new Map();
  #listeners = new Set();
  #hidden = new Set();  // "ID/N" of pictures that are about to be deleted
  #mine = new Set(saved('mine', []));
  #asked = 0;
  #over = new Set();  // jobs whose end was told

  on(call) {
    this.#listeners.add(call);
  }
  #emit(change) {
    if (change.kind === 'over') {
      if (this.#over.has(change.job.id)) return;
      this.#over.add(change.job.id);
    }
    for (const call of this.#listeners) call(change);
  }

  get(id) {
    return this.#jobs.get(id);
  }
  // Submitted in this browser.
  isMine(id) {
    return this.#mine.has(id);
  }
  // Those that run, then those that wait in the order of the queue.
  active() {
    const rank = (job) => (job.state === 'running' ? -1 : job.place ?? 0);
    return [...this.#jobs.values()].filter(isActive).sort((a, b) => rank(a) - rank(b) || a.created - b.created);
  }
  failed() {
    return [...this.#jobs.values()].filter((job) => job.state === 'failed').sort((a, b) => b.created - a.created);
  }
  // [{job, picture}], the newest first.
  pictures() {
    return [...this.#jobs.values()].sort((a, b) => b.created - a.created).flatMap((job) =>
      [...job.pictures].reverse().filter((picture) => !this.#hidden.has(`${job.id}/${picture.number}`))
        .map((picture) => ({job, picture})));
  }

  async refresh() {
    const mine = ++this.#asked;
    const {jobs} = await get('/v1/jobs');
    if (mine !== this.#asked) return;
    const before = this.#jobs;
    this.#jobs = new Map(jobs.map((job) => [job.id, this.#merged(before.get(job.id), job)]));
    this.#watch();
    this.#emit({kind: 'list'});
    for (const [id, job] of before) {
      const now = this.#jobs.get(id);
      if (isActive(job) && (!now || !isActive(now))) this.#emit({kind: 'over', job: now ?? {...job, state: 'gone'}});
    }
  }

  async submit(body) {
    const job = await post('/v1/jobs', body);
    this.#mine.add(job.id);
    save('mine', [...this.#mine].slice(-kKeptMine));
    if (!this.#jobs.has(job.id)) this.#jobs.set(job.id, this.#merged(null, job));
    this.#watch();
    this.#emit({kind: 'list'});
    return job;
  }

  async cancel(id) {
    try {
      await post(`${jobPath(id)}/cancel`, {});
    } catch (error) {
      if (error.status !== 409) throw error;  // it is over: as wanted
    }
  }
  async move(id, before) {
    try {
      await post(`${jobPath(id)}/move`, {before});
    } finally {
      await this.refresh();
    }
  }
  async forget(id) {
    await remove(jobPath(id));
    this.#jobs.delete(id);
    this.#emit({kind: 'list'});
  }

  hidePicture(id, number, hidden) {
    this.#hidden[hidden ? 'add' : 'delete'](`${id}/${number}`);
    this.#emit({kind: 'list'});
  }
  // The job too, when it was its last. `leaving`: the page is being left.
  async forgetPicture(id, number, leaving = false) {
    const job = this.#jobs.get(id), options = {keepalive: leaving};
    if (job && !isActive(job) && job.pictures.length === 1) await remove(jobPath(id), options);
    else await remove(`${jobPath(id)}/pictures/${number}`, options);
    if (!job) return;
    job.pictures = job.pictures.filter((picture) => picture.number !== number);
    if (job.pictures.length === 0 && !isActive(job)) this.#jobs.delete(id);
    this.#hidden.delete(`${id}/${number}`);
    this.#emit({kind: 'list'});
  }

  // What only events tell stays.
  #merged(before, job) {
    return {pictures: [], warnings: [], ...job, preview: isActive(job) ? before?.preview : undefined};
  }

  async #fetch(id) {
    try {
      const job = await get(jobPath(id));
      this.#jobs.set(id, this.#merged(this.#jobs.get(id), job));
    } catch (error) {
      if (error.status !== 404) return;  // told elsewhere; events or the next refresh() bring it
      this.#jobs.delete(id);
    }
    this.#emit({kind: 'list'});
  }

  #watch() {
    const wanted = new Set(this.active().slice(0, kWatched).map((job) => job.id));
    for (const [id, stop] of this.#watches) {
      if (wanted.has(id)) continue;
      stop();
      this.#watches.delete(id);
    }
    for (const id of wanted) {
      if (!this.#watches.has(id)) this.#watches.set(id, watchJob(id, (event) => this.#take(id, event)));
    }
  }

  async #take(id, {name, data}) {
    const job = this.#jobs.get(id);
    if (!job) return;
    if (name === 'step') {
      Object.assign(job, {state: 'running', done: data.done, steps: data.steps, seconds_left: data.seconds_left});
      this.#emit({kind: 'step', job});
    } else if (name === 'preview') {
      job.preview = `data:image/png;base64,${data.png}`;
      this.#emit({kind: 'preview', job});
    } else if (name === 'running' && job.state !== 'running') {
      job.state = 'running';
      this.#emit({kind: 'list'});
    } else if (name === 'queued') {
      if (job.state === 'queued') job.place = data.place ?? job.place;
    } else if (name === 'picture') {
      await this.#fetch(id);
      this.#emit({kind: 'picture', job: this.#jobs.get(id) ?? job});
    } else if (['done', 'failed', 'cancelled', 'gone'].includes(name)) {
      this.#watches.delete(id);
      await this.#fetch(id);
      const now = this.#jobs.get(id) ?? {...job, state: name};
      if (isActive(now)) Object.assign(now, {state: name, error: data.error});
      this.#watch();
      this.#emit({kind: 'list'});
      this.#emit({kind: 'over', job: now});
    }
  }
}
