// Elements and modal dialogs for the editor, the comparison and the grid.
//
//   const modal = openModal({title: 'Compare', name: 'compare', mayClose: async () => true, onClose() {}});
//   modal.body.append(el('p', {class: 'hint'}, 'text'));
//   modal.close();

// An element with attributes; `on` has listeners, null and false leave an attribute out, true sets it empty.
// Children are nodes or texts.
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'on') {
      for (const [event, call] of Object.entries(value)) element.addEventListener(event, call);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? '' : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function button(label, click, attributes = {}) {
  return el('button', {type: 'button', on: {click}, ...attributes}, label);
}

let count = 0;
export const newId = (stem) => `${stem}-${++count}`;

// A field with its label: labelled('Width', input).
export function labelled(label, input, attributes = {}) {
  input.id ||= newId('field');
  return el('span', {class: 'm-field', ...attributes}, el('label', {for: input.id}, label), input);
}

// A dialog over the whole window, opened. Escape and the close button ask `mayClose` first. The focus goes back to
// where it was. `head` is the place for buttons beside the title, `body` for the rest.
export function openModal({title, name, mayClose = async () => true, onClose = () => {}}) {
  const before = document.activeElement;
  const heading = el('h2', {id: newId('modal-title')}, title);
  const head = el('header', {class: 'm-head'}, heading);
  const body = el('div', {class: 'm-body'});
  const dialog = el('dialog', {class: `m-dialog m-${name}`, 'aria-labelledby': heading.id}, head, body);
  let closed = false, asking = false;

  const modal = {
    dialog, head, body,
    close() {
      if (closed) return;
      closed = true;
      dialog.close();
      dialog.remove();
      if (before && before.isConnected) before.focus();
      onClose();
    },
    async tryClose() {
      if (closed || asking) return;
      asking = true;
      try {
        if (await mayClose()) modal.close();
      } finally {
        asking = false;
      }
    },
  };
  // Not left to the dialog: browsers close it at a second Escape whatever `cancel` says.
  dialog.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented) return;
    event.preventDefault();
    modal.tryClose();
  });
  dialog.addEventListener('cancel', (event) => {
    if (event.target !== dialog) return;
    event.preventDefault();
    modal.tryClose();
  });
  dialog.addEventListener('close', () => modal.close());
  // The page's own keys (run, cancel) are not meant while a dialog is open.
  for (const type of ['keydown', 'keyup', 'paste', 'drop', 'dragover']) {
    dialog.addEventListener(type, (event) => {
      event.stopPropagation();
      // A file would be opened in place of the page.
      if (type === 'drop' || type === 'dragover') event.preventDefault();
    });
  }
  document.body.append(dialog);
  dialog.showModal();
  return modal;
}

// A question in the dialog, over its content. `answers` is {value: label}, the first the one with the focus; Escape
// gives null.
export function ask(modal, question, answers) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const text = el('p', {id: newId('question')}, question);
    const box = el('dialog', {class: 'm-ask', role: 'alertdialog', 'aria-labelledby': text.id}, text);
    const done = (value) => {
      if (!box.isConnected) return;
      box.close();
      box.remove();
      if (before && before.isConnected) before.focus();
      resolve(value);
    };
    const buttons = Object.entries(answers).map(([value, label]) => button(label, () => done(value)));
    box.append(el('div', {class: 'm-row'}, buttons));
    box.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        event.preventDefault();
        done(null);
      }
      event.stopPropagation();
    });
    box.addEventListener('cancel', (event) => {
      event.preventDefault();
      event.stopPropagation();
      done(null);
    });
    box.addEventListener('close', () => done(null));
    modal.dialog.append(box);
    box.showModal();
    buttons[0].focus();
  });
}
