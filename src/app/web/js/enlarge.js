// A picture made larger: drawn again in a second pass, or enlarged as it is.
import {button, el, labelled} from './modal.js';
import {openDialog} from './dialogs.js';
import {sentenceOf} from './errors.js';
import {fetchPicture} from './files.js';

const kMost = 16384;

// A dialog with fields and a button that submits what `body(values)` gives.
function openForm({id, title, text, go, fields, picture, submit, body}) {
  const error = el('p', {class: 'error', role: 'alert'}), size = el('p', {class: 'hint', role: 'status'});
  const show = () => {
    const scale = Number(fields.scale.value);
    size.textContent = scale > 0 ? `${Math.floor(picture.width * scale)} × ${Math.floor(picture.height * scale)} pixels` : '';
  };
  openDialog({id, title, content(close) {
    const form = el('form', {novalidate: true, on: {async submit(event) {
      event.preventDefault();
      error.textContent = '';
      draw.disabled = true;
      try {
        await submit(await body());
        close();
      } catch (wrong) {
        error.textContent = sentenceOf(wrong.message);
        draw.disabled = false;
        fields.scale.focus();
      }
    }}}, el('p', {}, text), el('div', {class: 'columns'}, Object.values(fields).map((field) =>
      labelled(field.dataset.label, field, {class: 'field'}))), size, error);
    const draw = el('button', {type: 'submit', class: 'primary', 'data-part': 'go'}, go);
    form.append(el('div', {class: 'row'}, draw, button('Cancel', close)));
    return form;
  }});
  fields.scale.addEventListener('input', show);
  fields.scale.focus();
  show();
}

const number = (label, value, least, most, step) => el('input', {type: 'number', value, min: least, max: most, step, 'data-label': label});
const choice = (label, names) => el('select', {'data-label': label}, names.map((name) => el('option', {value: name}, name)));

// Of a picture that was begun from nothing: the same again with a second pass. Of another one, whose pictures the server
// does not keep: a drawing that begins from it, at a larger size.
export function openHires({job, picture}, {options, submit}) {
  const {request} = job, given = request.init || request.controls?.length > 0;
  const fields = {scale: number('Times as large', 2, 1, 16, 0.1), strength: number('Change, 0 to 1', given ? 0.4 : 0.7, 0, 1, 0.05)};
  if (!given) fields.upscaler = choice('Enlarged by', options.hiresUpscalers());
  openForm({id: 'hires-dialog', title: 'Second pass', go: 'Draw', fields, picture, submit,
    text: given ? 'It is drawn over at a larger size, beginning from this picture.' :
      'It is drawn again with its own seed, enlarged, and drawn over at the larger size.',
    async body() {
      const scale = Number(fields.scale.value), strength = Number(fields.strength.value);
      const one = structuredClone(request);
      for (const name of ['copies', 'batch', 'iterations', 'seeds', 'share', 'share_of']) delete one[name];
      Object.assign(one, {prompts: [picture.prompt || request.prompts?.[0] || ''], seed: picture.seed});
      if (!given) {
        one.hires = {...one.hires, scale, strength, upscaler: fields.upscaler.value};
      } else {
        for (const name of ['mask', 'extend', 'controls', 'hires', 'mask_invert', 'mask_blur', 'mask_content', 'mask_padding',
          'guess_mode', 'convention']) delete one[name];
        const multiple = 8, side = (pixels) => Math.min(Math.floor(pixels * scale / multiple) * multiple, kMost);
        Object.assign(one, {init: (await fetchPicture(picture.url, '')).uri, strength, width: side(picture.width),
          height: side(picture.height)});
      }
      return {request: one, model: job.model, ...(job.vae ? {vae: job.vae} : {}), previews: true};
    }});
}

export function openUpscale({picture}, {options, submit}) {
  const fields = {scale: number('Times as large', 2, 1, 64, 0.1), upscaler: choice('Enlarged by', options.upscalers())};
  openForm({id: 'upscale-dialog', title: 'Enlarge', go: 'Enlarge', fields, picture, submit,
    text: options.files.upscalers.length > 0 ? 'The picture itself, by a network or a filter; nothing is drawn anew.' :
      'The picture itself, by a filter; nothing is drawn anew. Networks (ESRGAN) go into the folder “upscalers” beside the model.',
    async body() {
      const {uri} = await fetchPicture(picture.url, '');
      return {upscaling: {picture: uri, upscaler: fields.upscaler.value, scale: Number(fields.scale.value)}};
    }});
}
