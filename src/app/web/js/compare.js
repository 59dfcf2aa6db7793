// Two pictures compared: side by side, or one over the other with a line to move, and the parameters that differ.
//
//   openCompare({url, title, text}, {url, title, text});  // `text`: the parameters, as in the picture's file
import {button, el, labelled, newId, openModal} from './modal.js';
import {differences, readParameters, wordsOnlyIn} from './compare_text.js';

export function openCompare(a, b) {
  const modal = openModal({title: 'Compare two pictures', name: 'compare'});
  const views = {side: sideBySide(a, b), over: overlaid(a, b)};
  const tabs = Object.entries({side: 'Side by side', over: 'One over the other'}).map(([name, label]) =>
    button(label, () => choose(name), {'data-view': name}));
  const actual = button('Actual size', () => size(actual.getAttribute('aria-pressed') !== 'true'),
    {'aria-pressed': 'false'});
  function choose(name) {
    for (const tab of tabs) tab.setAttribute('aria-pressed', String(tab.dataset.view === name));
    views.side.hidden = name !== 'side';
    views.over.hidden = name !== 'over';
  }
  function size(real) {
    actual.setAttribute('aria-pressed', String(real));
    modal.body.classList.toggle('is-actual', real);
  }
  modal.head.append(button('Close', () => modal.close()));
  modal.body.append(
    el('div', {class: 'm-row'},
      el('div', {class: 'm-row m-joined', role: 'group', 'aria-label': 'View'}, tabs), actual),
    views.side, views.over, parameters(a, b));
  choose('side');
  tabs[0].focus();
}

const nameOf = (picture, letter) => picture.title || `Picture ${letter}`;

function image(picture, letter) {
  const shown = el('img', {src: picture.url, alt: `${letter}: ${nameOf(picture, letter)}`, draggable: 'false'});
  shown.addEventListener('error', () => {
    shown.replaceWith(el('p', {class: 'm-error'},
      `${nameOf(picture, letter)} cannot be shown; it may have been deleted.`));
  });
  return shown;
}

// Both scroll together.
function sideBySide(a, b) {
  const panes = [[a, 'A'], [b, 'B']].map(([picture, letter]) => el('div', {class: 'cp-pane', tabindex: 0,
    role: 'region', 'aria-label': `Picture ${letter}`}, image(picture, letter)));
  panes.forEach((pane, i) => pane.addEventListener('scroll', () => {
    const other = panes[1 - i];
    if (other.scrollLeft !== pane.scrollLeft) other.scrollLeft = pane.scrollLeft;
    if (other.scrollTop !== pane.scrollTop) other.scrollTop = pane.scrollTop;
  }));
  return el('div', {class: 'cp-side'}, [[a, 'A'], [b, 'B']].map(([picture, letter], i) =>
    el('figure', {}, el('figcaption', {}, `${letter} · ${nameOf(picture, letter)}`), panes[i])));
}

// B lies over A and is shown from the line to the right.
function overlaid(a, b) {
  const line = el('div', {class: 'cp-line'}), top = image(b, 'B');
  const stack = el('div', {class: 'cp-stack'}, image(a, 'A'), top, line);
  const slider = el('input', {type: 'range', min: 0, max: 100, step: 0.5, value: 50, on: {input: () => show()}});
  const show = () => {
    const share = Number(slider.value);
    top.style.clipPath = `inset(0 0 0 ${share}%)`;
    line.style.left = `${share}%`;
    slider.setAttribute('aria-valuetext', `${Math.round(share)} % of A, ${100 - Math.round(share)} % of B`);
  };
  const follow = (event) => {
    const box = stack.getBoundingClientRect();
    slider.value = (event.clientX - box.left) / box.width * 100;
    show();
  };
  stack.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    stack.setPointerCapture(event.pointerId);
    follow(event);
  });
  stack.addEventListener('pointermove', (event) => {
    if (event.buttons & 1) follow(event);
  });
  show();
  return el('div', {class: 'cp-over'},
    el('div', {class: 'cp-names'}, el('span', {}, `A · ${nameOf(a, 'A')}`), el('span', {}, `B · ${nameOf(b, 'B')}`)),
    el('div', {class: 'cp-scroll'}, stack), labelled('Line between A and B', slider, {class: 'm-field cp-slider'}));
}

function parameters(a, b) {
  const {different, equal} = differences(readParameters(a.text), readParameters(b.text));
  const heading = el('h3', {id: newId('differences')}, 'Parameters that differ');
  const cell = (value, other) => {
    if (value === null) return el('td', {class: 'm-hint'}, 'not given');
    const pieces = other === null ? [{text: value, only: false}] : wordsOnlyIn(value, other);
    return el('td', {}, pieces.map((piece) => (piece.only ? el('mark', {}, piece.text) : piece.text)));
  };
  const head = (names) => el('thead', {}, el('tr', {}, names.map((name) => el('th', {scope: 'col'}, name))));
  const rows = (list) => el('tbody', {}, list);
  return el('section', {class: 'cp-parameters', tabindex: 0, 'aria-labelledby': heading.id}, heading,
    different.length === 0 ?
      el('p', {class: 'm-hint'},
        equal.length > 0 ? 'None: the two have the same parameters.' : 'Neither picture has any.') :
      el('table', {'aria-labelledby': heading.id}, head(['Name', 'A', 'B']), rows(different.map(([name, x, y]) =>
        el('tr', {}, el('th', {scope: 'row'}, name), cell(x, y), cell(y, x))))),
    equal.length === 0 ? null : el('details', {}, el('summary', {}, `The same in both (${equal.length})`),
      el('table', {}, head(['Name', 'A and B']), rows(equal.map(([name, value]) =>
        el('tr', {}, el('th', {scope: 'row'}, name), el('td', {}, value)))))));
}
