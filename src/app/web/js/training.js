// Training runs: a list, and of the chosen one the curve of its loss and its sheets of samples. Asks the server again
// every 5 s while the page is seen and a run goes on.
//
//   const stop = showTraining(container);  // it also ends when the container's content is replaced
import {get} from './api.js';
import {button, el, labelled, newId} from './modal.js';
import {inWords, lossChart, short} from './training_chart.js';

const kEvery = 5000;  // ms
const kRowsOfTable = 20;
const kWidest = 900;  // CSS pixels of the curve

export function showTraining(container) {
  const title = el('h2', {id: newId('training')}, 'Training');
  const list = el('ul', {class: 'tr-list'}), detail = el('div', {class: 'tr-detail'});
  const error = el('p', {class: 'm-error', role: 'alert'});
  const empty = el('div', {class: 'tr-empty', hidden: true},
    el('p', {}, 'There are no training runs to show.'),
    el('p', {}, 'Start the server with ', el('code', {}, 'sumi serve --runs FOLDER'), ', the folder in which ',
      el('code', {}, 'sumi train'), ' writes its runs. A run shows up here once it has logged a step.'));
  const root = el('section', {class: 'tr', 'aria-labelledby': title.id},
    el('div', {class: 'm-row tr-head'}, title, button('Refresh', () => refresh())),
    error, empty, el('div', {class: 'tr-columns'}, list, detail));
  container.replaceChildren(root);

  let chosen = null, runs = [], timer = 0, smoothing = 0.95, shown = '', asked = 0;

  async function refresh() {
    clearTimeout(timer);
    const mine = ++asked;
    try {
      const reply = await get('/v1/training').catch((wrong) => {
        if (wrong.status === 404) return {runs: []};  // a server without a folder of runs
        throw wrong;
      });
      if (mine !== asked) return;
      runs = reply.runs;
      if (!runs.some((run) => run.name === chosen)) chosen = runs[0]?.name ?? null;
      showList();
      if (chosen !== null) {
        const run = await get(`/v1/training/${encodeURIComponent(chosen)}`);
        if (mine !== asked) return;
        showRun(run);
      }
      error.textContent = '';
    } catch (wrong) {
      if (mine !== asked) return;
      error.textContent = wrong.message;
    }
    wait();
  }

  function wait() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!root.isConnected) return;  // the page shows something else
      const seen = document.visibilityState === 'visible' && root.getClientRects().length > 0;
      // After an error too: the server may be back.
      if (seen && (error.textContent || runs.some((run) => run.running))) refresh();
      else wait();
    }, kEvery);
  }

  function showList() {
    empty.hidden = runs.length > 0;
    list.hidden = detail.hidden = runs.length === 0;
    runs.forEach((run, i) => {
      const item = list.children[i] ?? list.appendChild(el('li', {}, button('', () => choose(item.dataset.name))));
      item.dataset.name = run.name;
      const [one] = item.children;
      one.setAttribute('aria-pressed', String(run.name === chosen));
      one.replaceChildren(el('strong', {}, run.name), el('span', {class: 'm-hint'}, describe(run)));
    });
    while (list.children.length > runs.length) list.lastChild.remove();
  }

  function choose(name) {
    if (name === chosen) return;
    chosen = name;
    shown = '';
    detail.replaceChildren(el('p', {class: 'm-note', role: 'status'}, 'Reading the run…'));
    showList();
    refresh();
  }

  // The parts that changed alone, so that what a person has opened or chosen stays.
  function showRun({log = [], samples = []}) {
    if (shown !== chosen) {
      shown = chosen;
      detail.replaceChildren(...makeDetail());
    }
    const run = runs.find((one) => one.name === chosen);
    part('head').textContent = run ? describe(run) : '';
    const entries = log.filter((entry) => Number.isFinite(entry.loss));
    part('curve').hidden = entries.length === 0;
    part('none').hidden = entries.length > 0;
    if (entries.length > 0) {
      detail.entries = entries;
      drawCurve();
      part('table').replaceChildren(...rowsOf(entries));
    }
    showSheets(part('sheets'), samples);
  }

  const part = (name) => detail.querySelector(`[data-part=${name}]`);

  function drawCurve() {
    const chart = part('chart'), {entries} = detail;
    if (!chart || !entries || chart.clientWidth === 0) return;
    chart.replaceChildren(lossChart(entries, smoothing, Math.min(chart.clientWidth, kWidest)));
    part('words').textContent = inWords(entries, smoothing);
  }

  function makeDetail() {
    detail.entries = null;
    const slider = el('input', {type: 'range', min: 0, max: 0.99, step: 0.01, value: smoothing, on: {input: () => {
      smoothing = Number(slider.value);
      drawCurve();
    }}});
    const chart = el('div', {class: 'tr-chart', 'data-part': 'chart'});
    new ResizeObserver(() => drawCurve()).observe(chart);
    return [
      el('h3', {}, chosen), el('p', {class: 'm-hint', 'data-part': 'head'}),
      el('p', {class: 'm-note', 'data-part': 'none', hidden: true}, 'This run has not logged a step yet.'),
      el('div', {'data-part': 'curve'}, el('h4', {}, 'Loss'),
        el('p', {class: 'tr-legend m-hint'}, el('span', {class: 'tr-key is-even'}), 'smoothed ',
          el('span', {class: 'tr-key is-raw'}), 'as logged'),
        chart, labelled('Smoothing', slider),
        el('p', {class: 'm-hint', 'data-part': 'words'}),
        el('details', {}, el('summary', {}, 'Values as a table'), el('table', {},
          el('thead', {}, el('tr', {},
            ['Step', 'Loss', 'Learning rate', 'Seconds'].map((name) => el('th', {scope: 'col'}, name)))),
          el('tbody', {'data-part': 'table'})))),
      el('h4', {}, 'Samples'), el('div', {class: 'tr-sheets', 'data-part': 'sheets'}),
    ];
  }

  refresh();
  const seen = () => {
    if (!root.isConnected) document.removeEventListener('visibilitychange', seen);
    else if (document.visibilityState === 'visible') refresh();
  };
  document.addEventListener('visibilitychange', seen);
  return () => {
    ++asked;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', seen);
  };
}

function describe(run) {
  const steps = run.steps ? `step ${run.step} of ${run.steps}` : `step ${run.step}`;
  const loss = Number.isFinite(run.loss) ? `, loss ${short(run.loss)}` : '';
  const updated = run.updated ? `, ${new Date(run.updated * 1000).toLocaleString()}` : '';
  return `${run.running ? 'running' : 'not running'}, ${steps}${loss}${updated}`;
}

// Some lines of a long log, the first and the last among them.
function rowsOf(entries) {
  const count = Math.min(entries.length, kRowsOfTable);
  const cell = (value) => el('td', {}, Number.isFinite(value) ? String(Number(value.toPrecision(5))) : '');
  return Array.from({length: count}, (_, i) => {
    const {step, loss, lr, seconds} = entries[Math.round(i * (entries.length - 1) / Math.max(count - 1, 1))];
    return el('tr', {}, el('th', {scope: 'row'}, String(step)), cell(loss), cell(lr), cell(seconds));
  });
}

// The newest first. A sheet that is there stays as it is.
function showSheets(box, samples) {
  const before = new Map([...box.querySelectorAll('figure')].map((figure) => [figure.dataset.url, figure]));
  if (samples.length === 0) {
    box.replaceChildren(el('p', {class: 'm-hint'}, 'None yet. ', el('code', {}, 'sumi train --sample-every N'),
      ' draws them.'));
    return;
  }
  const sheets = [...samples].sort((a, b) => b.step - a.step).map(({step, url}) => before.get(url) ??
    el('figure', {'data-url': url}, el('a', {href: url, target: '_blank', rel: 'noopener'},
      el('img', {src: url, alt: `Samples at step ${step}`, loading: 'lazy'})), el('figcaption', {}, `Step ${step}`)));
  const same = sheets.length === before.size && sheets.every((sheet, i) => box.children[i] === sheet);
  if (!same) box.replaceChildren(...sheets);
}
