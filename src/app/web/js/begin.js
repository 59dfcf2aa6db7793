// The picture to begin from, with its mask and border.
import {clearAt, showAt} from './errors.js';
import {blobOf, excerpt, readPicture} from './files.js';
import {openEditor} from './editor.js';
import {savedPictures, savePictures} from './saved.js';

const byId = (id) => document.getElementById(id);

export class Begin {
  value = null;  // {name, uri, width, height, mask, extend}
  #form;

  constructor(form) {
    this.#form = form;
    byId('begin-choose').addEventListener('click', () => byId('begin-file').click());
    byId('begin-file').addEventListener('change', () => {
      const [file] = byId('begin-file').files;
      byId('begin-file').value = '';
      if (file) this.takeFile(file);
    });
    byId('begin-edit').addEventListener('click', () => this.edit());
    byId('mask-remove').addEventListener('click', () => {
      this.set({...this.value, mask: null, extend: null});
      byId('begin-edit').focus();
    });
    byId('begin-remove').addEventListener('click', () => {
      this.set(null);
      byId('begin-choose').focus();
    });
  }
  async restore() {
    const kept = await savedPictures('begin');
    if (kept && !this.value) this.set(kept);
    else this.#show();
  }

  set(value) {
    const sizes = this.value?.uri !== value?.uri && value;
    this.value = value;
    savePictures('begin', value);
    clearAt(byId('begin-some'));
    this.#show();
    // The picture's own size, unless another is asked for from now on.
    if (sizes) this.#form.set({width: '', height: ''});
    else this.#form.changed();
  }

  async takeFile(file) {
    try {
      this.set({...await readPicture(file, file.name), mask: null, extend: null});
      byId('prompt').focus();
    } catch (error) {
      showAt(byId('begin-choose'), error.message);
    }
  }

  // The editor, on a picture {name, uri, …} that may be another than the present one.
  edit(picture = this.value) {
    openEditor({picture: blobOf(picture.uri), width: picture.width, height: picture.height, mask: picture.mask ?? null,
      extend: picture.extend ?? [0, 0, 0, 0],
      onDone: ({picture: uri, mask, extend}) => {
        this.set({...picture, uri, mask, extend});
        // What is drawn around a picture begins from nothing of its own.
        if (extend.some((side) => side > 0)) this.#form.set({strength: '1'});
        byId('prompt').focus();
      },
      onCancel() {}});
  }

  #show() {
    const {value} = this, some = value !== null;
    this.#form.showSize(value);
    byId('begin-none').hidden = some;
    byId('begin-some').hidden = !some;
    const border = Boolean(value?.extend?.some((side) => side > 0)), mask = Boolean(value?.mask);
    for (const part of document.querySelectorAll('.of-mask')) part.hidden = !mask && !border;
    byId('mask-remove').hidden = !mask && !border;
    if (!some) {
      byId('begin-picture').removeAttribute('src');
      return;
    }
    byId('begin-picture').src = value.uri;
    const [left, right, top, bottom] = value.extend ?? [];
    byId('begin-text').textContent = [`${excerpt(value.name || 'Picture', 40)}, ${value.width} × ${value.height}.`,
      mask && 'What is painted over is drawn anew.',
      border && `Extended by ${left} left, ${right} right, ${top} above, ${bottom} below.`].filter(Boolean).join(' ');
  }
}
