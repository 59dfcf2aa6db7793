// An X/Y grid: one job for each pair of values of two fields, shown as a table while they are drawn.
//
//   openGrid({base, axes, submit, watch});
//
// `base` is the body of a POST /v1/jobs; `axes` are [{name, label, values: 'number' | 'text' | 'choice', choices}],
// names as withValue() of grid_values.js takes them; submit(body) gives a promise of the job and fails with an Error that
// has `status`, and `retryAfter` in seconds; watch(id, call) calls with {name, data} of each event and returns how to
// stop.
import {jobPath, post} from './api.js';
import {sentenceOf} from './errors.js';
import {ask, button, el, openModal} from './modal.js';
import {axisForm} from './grid_form.js';
import {runGrid} from './grid_run.js';
import {drawSheet} from './grid_sheet.js';
import {jobsOf} from './grid_values.js';

const kManyJobs = 50;

// `cancel(id)` may be given too.
export function openGrid({base, axes, submit, watch, cancel = cancelJob}) {
  let run = null;
  const modal = openModal({title: 'X/Y grid', name: 'grid', mayClose: async () => {
    if (!run) return true;
    const answer = await ask(modal, 'The grid is still being drawn.',
      {stay: 'Go on', cancel: 'Cancel its jobs', leave: 'Close and leave them running'});
    if (answer === 'cancel') run?.cancel();
    if (answer === 'leave') run?.leave();
    return answer === 'cancel' || answer === 'leave';
  }});
  modal.head.append(button('Close', () => modal.tryClose()));

  const count = el('output', {class: 'm-hint', 'aria-live': 'polite'});
  const counted = () => {
    try {
      const jobs = forms.map((form) => form.read({quietly: true})?.values.length ?? 1).reduce((a, b) => a * b);
      count.textContent = `${jobs} ${jobs === 1 ? 'job' : 'jobs'} of one picture`;
    } catch {
      count.textContent = '';
    }
  };
  const forms = [];
  forms.push(...['X, from left to right', 'Y, from top to bottom'].map((name, i) =>
    axisForm(name, axes, i === 0 ? axes[0]?.name : '', () => forms.length === 2 && counted())));
  const error = el('p', {class: 'm-error', role: 'alert'});
  const start = button('Draw the grid', begin, {class: 'primary'});
  const stop = button('Cancel all', () => run?.cancel(), {hidden: true});
  const again = button('Draw the rest', () => draw(shown.cells.filter((cell) => cell.state !== 'done')),
    {hidden: true});
  const save = button('Download as PNG', download, {hidden: true});
  const bar = el('progress', {hidden: true, 'aria-label': 'Grid', max: 1, value: 0});
  const status = el('p', {class: 'm-note', role: 'status'}), table =
    el('div', {class: 'gr-table', role: 'region', 'aria-label': 'Pictures of the grid', tabindex: 0, hidden: true});
  const note = base.request.prompts?.length > 1 ? 'The grid draws the first of the prompts alone.' : '';
  modal.body.append(el('div', {class: 'gr-form'}, forms.map((form) => form.element)), el('p', {class: 'm-hint'}, note),
    el('div', {class: 'm-row'}, start, stop, again, save, count), error, status, bar, table);
  let shown = null;  // {x, y, cells}
  counted();
  forms[0].focus();

  async function begin() {
    error.textContent = '';
    let x, y, jobs;
    try {
      [x, y] = forms.map((form) => form.read());
    } catch {
      return;  // shown at the field
    }
    try {
      if (!x && !y) throw new Error('Choose a field for X or Y.');
      if (x && y && x.axis.name === y.axis.name) throw new Error('X and Y are the same field; choose two.');
      jobs = jobsOf(base, x, y, Math.floor(Math.random() * 2 ** 32));
    } catch (wrong) {
      error.textContent = wrong.message;
      return;
    }
    if (jobs.length > kManyJobs && await ask(modal, `That is ${jobs.length} jobs. Draw them all?`,
      {back: 'Back', draw: `Draw ${jobs.length} pictures`}) !== 'draw') return;
    shown = {x, y, cells: jobs};
    makeTable();
    draw(jobs);
  }

  function makeTable() {
    const {x, y, cells} = shown, at = new Map();
    for (const cell of cells) {
      cell.element = el('td', {});
      at.set(`${cell.x} ${cell.y}`, cell);
    }
    const columns = x ? x.values : [''], rows = y ? y.values : [''];
    const corner = [y && el('div', {}, `${y.axis.label} ↓`), x && el('div', {}, `${x.axis.label} →`)].filter(Boolean);
    table.hidden = false;
    const head = columns.map((value) => x && el('th', {scope: 'col'}, labelOf(x, value)));
    const body = rows.map((value, row) => el('tr', {}, y && el('th', {scope: 'row'}, labelOf(y, value)),
      columns.map((_, column) => at.get(`${column} ${row}`).element)));
    table.replaceChildren(el('table', {}, x && el('thead', {}, el('tr', {}, y && el('td', {}, corner), head)),
      el('tbody', {}, body)));
  }

  async function draw(cells) {
    for (const cell of cells) {
      for (const name of ['id', 'url', 'error']) delete cell[name];
      cell.state = 'waiting';
      show(cell);
    }
    start.hidden = again.hidden = true;
    stop.hidden = bar.hidden = false;
    stop.focus();
    stop.parentElement.scrollIntoView({block: 'start'});  // a small screen has the form alone
    let waiting = 0;
    run = runGrid(cells, {submit, watch, cancelJob: cancel, show: (cell) => {
      show(cell);
      tell(waiting);
    }, wait: (seconds) => {
      waiting = seconds;
      tell(waiting);
    }});
    tell(0);
    await run.finished;
    run = null;
    tell(0);
    const focused = document.activeElement === stop;
    start.hidden = false;
    stop.hidden = bar.hidden = true;
    again.hidden = shown.cells.every((cell) => cell.state === 'done');
    save.hidden = shown.cells.every((cell) => cell.state !== 'done');
    if (focused) (save.hidden ? start : save).focus();
  }

  function tell(waiting) {
    const of = (state) => shown.cells.filter((cell) => cell.state === state).length;
    const done = of('done'), failed = of('failed'), cancelled = of('cancelled'), all = shown.cells.length;
    bar.value = (done + failed + cancelled) / all;
    const texts = [`${done} of ${all} drawn`];
    if (failed) texts.push(`${failed} failed`);
    if (cancelled) texts.push(`${cancelled} cancelled`);
    const full = waiting ? ` The server's queue is full: the next try is in ${waiting} s.` : '';
    const sentence = `${texts.join(', ')}.${full}`;
    if (status.textContent !== sentence) status.textContent = sentence;
  }

  function show(cell) {
    const {element, state} = cell, label = nameOf(cell);
    element.className = `is-${state}`;
    if (state === 'done') {
      if (cell.image?.getAttribute('src') === cell.url) return;
      cell.image = el('img', {src: cell.url, alt: label, title: label});
      element.replaceChildren(el('a', {href: cell.url, target: '_blank', rel: 'noopener'}, cell.image));
    } else {
      const share = cell.share ? ` ${Math.round(cell.share * 100)} %` : '';
      element.textContent = state === 'failed' ? sentenceOf(cell.error) : state + share;
    }
  }

  const nameOf = (cell) => [[shown.x, cell.x], [shown.y, cell.y]].filter(([side]) => side)
    .map(([side, at]) => labelOf(side, side.values[at])).join(', ');

  async function download() {
    const {x, y, cells} = shown, columns = x ? x.values : [''], rows = y ? y.values : [''];
    const sheet = rows.map(() => []);
    for (const cell of cells) sheet[cell.y][cell.x] = cell.state === 'done' ? cell.image : cell.element.textContent;
    try {
      await Promise.all(cells.filter((cell) => cell.state === 'done').map((cell) => cell.image.decode()));
      const {blob, scale} = await drawSheet({columns: columns.map((value) => (x ? labelOf(x, value) : '')),
        rows: rows.map((value) => (y ? labelOf(y, value) : '')), cells: sheet});
      const url = URL.createObjectURL(blob);
      el('a', {href: url, download: 'grid.png'}).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
      if (scale < 1) status.textContent = `The sheet has the pictures at ${Math.round(scale * 100)} % of their size.`;
    } catch (wrong) {
      error.textContent = wrong.message || 'A picture of the grid cannot be read any more.';
    }
  }
}

const labelOf = (side, value) => `${side.axis.label}: ${value}`;

const cancelJob = (id) => post(`${jobPath(id)}/cancel`).catch(() => {});  // it may be over
