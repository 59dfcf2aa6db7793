// Small dialogs, questions, and messages at the edge of the window.
import {button, el, newId} from './modal.js';

// A dialog in the middle of the window; Escape, its close button and a click beside it close it. The focus goes back to
// where it was. `content(close)` gives what is in it.
export function openDialog({id, title, content, onClose = () => {}}) {
  const before = document.activeElement;
  const heading = el('h2', {id: newId('dialog-title')}, title);
  const dialog = el('dialog', {id, class: 'dialog', 'aria-labelledby': heading.id});
  const close = () => dialog.close();
  dialog.append(el('header', {class: 'dialog-head'}, heading,
    button('×', close, {class: 'icon', 'aria-label': 'Close', 'data-part': 'close'})), ...[content(close)].flat());
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) close();
  });
  // The page's own keys are not meant while a dialog is open.
  dialog.addEventListener('keydown', (event) => event.stopPropagation());
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
    onClose();
  });
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector('[data-first]')?.focus();
  return {dialog, close};
}

// A question with several answers, {value: label}; null for none of them.
export function askFor({id, title, text, answers}) {
  return new Promise((resolve) => {
    let given = null;
    openDialog({id, title, onClose: () => resolve(given), content: (close) => [el('p', {}, text),
      el('div', {class: 'row'}, Object.entries(answers).map(([value, label], i) => button(label, () => {
        given = value;
        close();
      }, {'data-answer': value, class: i === 0 ? 'primary' : null, 'data-first': i === 0})))]});
  });
}

// Tells screen readers; the same sentence twice too.
let turn = 0;
export function say(sentence) {
  document.getElementById('live').textContent = sentence + (++turn % 2 ? '\u00a0' : '');
}

// A message for some seconds, longer while it has the focus or the pointer. `action` is {label, call}. `onEnd(acted)`
// is called when it goes. Returns how to end it.
export function toast(sentence, {action = null, kind = '', seconds = 7, onEnd = () => {}} = {}) {
  let timer = 0, ended = false;
  const end = (acted = false) => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    box.remove();
    onEnd(acted);
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(end, seconds * 1000);
  };
  const box = el('div', {class: `toast ${kind}`, 'data-testid': 'toast', on: {
    mouseenter: () => clearTimeout(timer), mouseleave: wait, focusin: () => clearTimeout(timer), focusout: wait}},
  el('p', {role: kind === 'is-error' ? 'alert' : null}, sentence),
  action && button(action.label, () => {
    end(true);
    action.call();
  }, {class: 'small'}),
  button('×', () => end(), {class: 'icon small', 'aria-label': 'Dismiss'}));
  document.getElementById('toasts').append(box);
  if (kind !== 'is-error') say(sentence);
  wait();
  return end;
}

export const toastError = (error) => toast(error.message, {kind: 'is-error', seconds: 12});
