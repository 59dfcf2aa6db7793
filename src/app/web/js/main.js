// The page: what is drawn, how far it is, and what was drawn before.
import {watchJob} from './api.js';
import {Begin} from './begin.js';
import {watchConnection} from './connection.js';
import {say, toast, toastError} from './dialogs.js';
import {listenToDrops} from './drop.js';
import {clearErrors, showFormError} from './errors.js';
import {Form} from './form.js';
import {Gallery} from './gallery.js';
import {openGrid} from './grid.js';
import {axesOf} from './grid_axes.js';
import {Hints} from './hints.js';
import {Jobs} from './jobs.js';
import {Options} from './options.js';
import {openPicker} from './picker.js';
import {PictureView} from './picture.js';
import {Plan} from './plan.js';
import {Progress} from './progress.js';
import {changeWeight, listenToWeights} from './prompt.js';
import {Queue} from './queue.js';
import {bodyOf} from './request.js';
import {Restore} from './restore.js';
import {listenToViews} from './views.js';

const byId = (id) => document.getElementById(id);
const onClick = (id, call) => byId(id).addEventListener('click', call);

const form = new Form(), jobs = new Jobs(), progress = new Progress();
const options = new Options(form);
const begin = new Begin(form), hints = new Hints(form, options);
const restore = new Restore({form, begin, hints, options});
const picture = new PictureView({jobs, form, begin, hints, options, restore, submit: submitted, changed() {
  following = false;
  show();
}});
const gallery = new Gallery(jobs, {
  choose(one) {
    picture.choose(one);
    if (matchMedia('(max-width: 999px)').matches) byId('result').scrollIntoView();
  },
  remove: (one) => picture.remove(one),
});
const queue = new Queue(jobs, restore);
const plan = new Plan(body, options);
// Whether what is drawn is shown in place of the chosen picture.
let following = true;
let fromForm = null;  // the last job that the form was for

function body() {
  form.check();
  return bodyOf(form.values(), {begin: begin.value, hints: hints.values}, form.extras);
}

// Errors of the form name the input that is wrong.
function withInput(error) {
  const hint = /^hint (\d+)$/.exec(error.id ?? '');
  if (hint) error.input = byId('hint-list').children[Number(hint[1])].querySelector('[data-part="choose"]');
  else if (error.id) error.input ??= byId(error.id);
  return error;
}

async function draw() {
  clearErrors();
  const prompt = byId('prompt');
  if (!prompt.value.trim() && !begin.value) form.set({prompt: prompt.placeholder});
  try {
    fromForm = (await submitted(body())).id;
  } catch (error) {
    showFormError(withInput(error));
  }
}

async function submitted(jobBody) {
  const busy = jobs.active().length;
  const job = await jobs.submit(jobBody);
  following = true;
  say(busy > 0 ? 'Added to the queue.' : 'Drawing.');
  show();
  if (matchMedia('(max-width: 999px)').matches) byId('result').scrollIntoView({block: 'start'});
  return job;
}

// The job that is shown: one of this browser before others'.
function currentJob() {
  const active = jobs.active(), running = active.filter(({state}) => state === 'running');
  return running.find(({id}) => jobs.isMine(id)) ?? running[0] ?? active[0] ?? null;
}

async function cancel() {
  const mine = jobs.active().filter(({id}) => jobs.isMine(id));
  const job = mine[0] ?? currentJob();
  if (job) await jobs.cancel(job.id).catch(toastError);
}

function showProgress() {
  const job = currentJob();
  progress.show(job, job ? jobs.active().length - 1 : 0);
  byId('cancel').hidden = !job;
  const preview = byId('preview'), shown = following && job?.preview;
  if (shown) preview.src = job.preview;
  preview.hidden = !shown;
  byId('picture-full').classList.toggle('is-behind', Boolean(shown));
  // The picture's own settings and buttons are not those of the one that is drawn.
  byId('picture-tools').hidden = !picture.current || Boolean(shown);
  byId('welcome').hidden = Boolean(picture.current || shown);
  byId('welcome').textContent = job ? 'Drawing…' : 'Your picture will be here.';
}

function show() {
  const [newest] = jobs.pictures();
  if (following && newest) picture.current = newest;
  form.lastSeed = picture.current && !picture.current.job.upscaling ? String(picture.current.picture.seed) : null;
  picture.refresh();
  gallery.show(picture.current);
  queue.show();
  showProgress();
}

jobs.on(({kind, job}) => {
  if (kind === 'step' || kind === 'preview') {
    showProgress();
    return;
  }
  show();
  if (kind !== 'over') return;
  if (job.state === 'done') say('The picture is done.');
  if (job.state === 'cancelled') toast('Cancelled.', {seconds: 4});
  if (job.state === 'failed') {
    say('A drawing failed.');
    if (job.id === fromForm) showFormError({message: job.error, status: 400}, {focus: false});
  }
  if (job.state === 'gone') toast('The server does not know a job any more: it was probably started anew.');
  if (job.state === 'done') options.load().catch(() => {});  // a model may be loaded now
});

byId('form').addEventListener('submit', (event) => {
  event.preventDefault();
  draw();
});
form.onChange(() => plan.later());
byId('model').addEventListener('change', () => options.describeModel().catch(toastError));
onClick('cancel', cancel);
onClick('prompt-lora', () => openPicker('loras', options));
onClick('prompt-embedding', () => openPicker('embeddings', options));
onClick('weight-up', () => changeWeight(byId('prompt'), 0.1, say));
onClick('weight-down', () => changeWeight(byId('prompt'), -0.1, say));
onClick('seed-last', () => (form.lastSeed ? form.set({seed: form.lastSeed}) : say('There is no picture yet.')));
onClick('restore', () => byId('restore-file').click());
byId('restore-file').addEventListener('change', () => {
  const [file] = byId('restore-file').files;
  byId('restore-file').value = '';
  if (file) restore.file(file);
});
onClick('reset', () => {
  const kept = {values: form.values(), extras: form.extras, begin: begin.value, hints: hints.values};
  clearErrors();
  form.reset();
  begin.set(null);
  hints.set([]);
  toast('All settings are as at first.', {action: {label: 'Undo', call() {
    begin.set(kept.begin);
    hints.set(kept.hints);
    form.set(kept.values, kept.extras);
  }}});
});
onClick('grid', () => {
  clearErrors();
  try {
    openGrid({base: {...body(), previews: false}, axes: axesOf(options), submit: (one) => jobs.submit(one), watch: watchJob});
  } catch (error) {
    showFormError(withInput(error));
  }
});
document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.isComposing || document.querySelector('dialog[open]')) return;
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    draw();
  } else if (event.key === 'Escape') {
    if (!byId('compare-bar').hidden) picture.compareWith(null);
    else if (jobs.active().some(({id}) => jobs.isMine(id))) cancel();
  }
});
listenToWeights(byId('prompt'), say);
listenToWeights(byId('negative'), say);
listenToDrops({restore: (file) => restore.file(file), begin: (file) => begin.takeFile(file),
  hint: (index, file) => hints.takeFile(index, file)});
listenToViews();

async function load() {
  byId('form-error').textContent = '';
  try {
    await Promise.all([options.load(), jobs.refresh()]);
    hints.show();
  } catch (error) {
    if (error.status !== 0) toastError(error);  // else the banner tells
  }
}
watchConnection({onBack: load, onCounts({queued, running}) {
  const active = jobs.active(), ran = active.filter(({state}) => state === 'running').length;
  if (queued !== active.length - ran || running !== ran) jobs.refresh().catch(() => {});
}});
begin.restore();
hints.restore();
load();
byId('prompt').focus();
