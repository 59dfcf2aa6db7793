// The editor's buttons and fields beside the picture. They call `editor` and show what `show(state)` tells them.
import {button, el, labelled} from './modal.js';

const kTools = [['brush', 'Brush', 'B'], ['eraser', 'Eraser', 'E'], ['move', 'Move', 'H']];
const kSteps = 100;  // of the slider: sizes grow by the same factor with each

export function makePanel(editor, {width, height, extendFields, ghost}) {
  const most = Math.max(width, height, 64);
  const sizeAt = (step) => Math.round(most ** (step / kSteps));
  const stepOf = (size) => Math.round(Math.log(size) / Math.log(most) * kSteps);

  const tools = kTools.map(([tool, label, key]) => button(label, () => editor.setTool(tool),
    {'data-tool': tool, 'aria-pressed': 'false', title: `${label} (${key})`, 'aria-keyshortcuts': key}));
  const size = el('input', {type: 'range', min: 0, max: kSteps, 'aria-keyshortcuts': '[ ]',
    on: {input: () => editor.setSize(sizeAt(Number(size.value)))}});
  const sizeText = el('output', {class: 'ed-size', 'aria-hidden': 'true'});
  const undo = button('Undo', () => editor.undo(), {title: 'Undo (Ctrl+Z)', 'aria-keyshortcuts': 'Control+Z'});
  const redo = button('Redo', () => editor.redo(),
    {title: 'Redo (Ctrl+Shift+Z)', 'aria-keyshortcuts': 'Control+Shift+Z Control+Y'});
  const zoomText = el('output', {class: 'ed-zoom', 'aria-live': 'off', 'aria-label': 'Zoom'});

  const panel = el('div', {class: 'ed-panel'},
    el('div', {class: 'm-row m-joined', role: 'group', 'aria-label': 'Tool'}, tools),
    el('div', {class: 'm-row', role: 'group', 'aria-label': 'Changes'}, undo, redo),
    el('div', {class: 'm-row', role: 'group', 'aria-label': 'Whole mask'},
      button('Clear', () => editor.clear()), button('Invert', () => editor.invert())),
    el('div', {class: 'm-row', role: 'group', 'aria-label': 'Zoom'},
      button('−', () => editor.zoom(1 / 1.25), {'aria-label': 'Zoom out', title: 'Zoom out (−)'}),
      zoomText,
      button('+', () => editor.zoom(1.25), {'aria-label': 'Zoom in', title: 'Zoom in (+)'}),
      button('Fit', () => editor.fit(), {title: 'Whole picture (0)', 'aria-keyshortcuts': '0'})),
    el('div', {class: 'm-row ed-sizes'}, labelled('Size', size), sizeText),
    foldable('Rectangle', rectangle(editor, width, height, ghost)),
    foldable('Border', extendFields),
    foldable('Keys', keys()));

  return {
    panel,
    show({tool, brush, canUndo, canRedo}) {
      for (const one of tools) one.setAttribute('aria-pressed', String(one.dataset.tool === tool));
      if (sizeAt(Number(size.value)) !== brush) size.value = stepOf(brush);
      size.setAttribute('aria-valuetext', `${brush} pixels`);
      sizeText.textContent = `${brush} px`;
      // Kept focusable: a disabled button would lose the focus to nowhere.
      undo.setAttribute('aria-disabled', String(!canUndo));
      redo.setAttribute('aria-disabled', String(!canRedo));
    },
    showZoom(scale) {
      zoomText.textContent = `${scale < 0.1 ? (scale * 100).toFixed(1) : Math.round(scale * 100)} %`;
    },
  };
}

function foldable(title, content) {
  return el('details', {}, el('summary', {}, title), content);
}

// The way to mask without a pointer. `ghost(rect or null)` shows it on the picture.
function rectangle(editor, width, height, ghost) {
  const quarter = (side) => Math.floor(side / 4);
  const field = (value, most, least) =>
    el('input', {type: 'number', min: least, max: most, value, inputmode: 'numeric'});
  const x = field(quarter(width), width - 1, 0), y = field(quarter(height), height - 1, 0);
  const w = field(quarter(width) * 2 || 1, width, 1), h = field(quarter(height) * 2 || 1, height, 1);
  const rect = () => ({x: Number(x.value), y: Number(y.value), w: Number(w.value), h: Number(h.value)});
  const set = el('fieldset', {}, el('legend', {}, 'Pixels of the picture'),
    el('div', {class: 'ed-numbers'}, labelled('X', x), labelled('Y', y), labelled('Width', w), labelled('Height', h)),
    el('div', {class: 'm-row'},
      button('Add to mask', () => editor.rectangle(rect(), 1)),
      button('Take away', () => editor.rectangle(rect(), 0))));
  set.addEventListener('input', () => ghost(rect()));
  set.addEventListener('focusin', () => ghost(rect()));
  set.addEventListener('focusout', () => ghost(null));
  return set;
}

function keys() {
  const list = [['B, E, H', 'brush, eraser, move'], ['[ and ]', 'smaller, larger'], ['Ctrl+Z', 'undo'],
    ['Ctrl+Shift+Z', 'redo'], ['+, −, 0', 'zoom in, out, whole picture'], ['Space and drag', 'move the picture'],
    ['Arrows', 'move the picture, when it has the focus'], ['Ctrl+Enter', 'done'], ['Esc', 'cancel']];
  return el('dl', {class: 'ed-keys'}, list.flatMap(([key, does]) => [el('dt', {}, key), el('dd', {}, does)]));
}
