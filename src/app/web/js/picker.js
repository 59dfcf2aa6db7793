// Lists of LoRAs and embeddings, to put one into the prompt.
import {button, el, labelled} from './modal.js';
import {openDialog} from './dialogs.js';
import {bytesText} from './files.js';
import {insert} from './prompt.js';

const kKinds = {
  loras: {title: 'LoRAs', folder: 'loras', text: (name) => `<lora:${name}:1>`},
  embeddings: {title: 'Embeddings', folder: 'embeddings', text: (name) => `embedding:${name}`},
};

export function openPicker(kind, options) {
  const {title, folder, text} = kKinds[kind];
  const prompt = document.getElementById('prompt');
  const list = el('ul', {class: 'picker-list'}), status = el('p', {class: 'hint', role: 'status'}, 'Looking…');
  const search = el('input', {type: 'search', autocomplete: 'off', spellcheck: 'false', 'data-first': true});
  let close, chosen = '';
  const show = () => {
    const files = options.files[kind], words = search.value.toLowerCase().split(/\s+/);
    const found = files.filter(({name}) => words.every((word) => name.toLowerCase().includes(word)));
    list.replaceChildren(...found.map(({name, bytes}) => el('li', {}, button([el('span', {}, name),
      el('span', {class: 'hint'}, bytesText(bytes))], () => {
      chosen = name;
      close();
    }, {'data-name': name}))));
    status.textContent = files.length === 0 ?
      `There are none yet. Put files into the folder “${folder}” beside the model, then open this again.` :
      found.length === 0 ? 'No name has that in it.' : '';
  };
  ({close} = openDialog({id: 'picker', title, content: () => [labelled('Search', search), status, list],
    onClose: () => chosen && insert(prompt, text(chosen))}));
  search.addEventListener('input', show);
  search.addEventListener('keydown', (event) => {
    const [only] = list.querySelectorAll('button');
    if (event.key === 'Enter' && only) only.click();
    if (event.key === 'ArrowDown' && only) only.focus();
    if (['Enter', 'ArrowDown'].includes(event.key)) event.preventDefault();
  });
  options.reloadFiles().then(show, (error) => {
    show();
    status.textContent = error.message;
  });
}
