// Errors as sentences, beside the field that they are about.

const byId = (id) => document.getElementById(id);

// The input of a request's field: "steps", "hires.scale", "controls[1].weight", "prompts[0]".
function inputOf(field) {
  const control = /^controls\[(\d+)\](?:\.(\w+))?/.exec(field);
  if (control) {
    const item = document.querySelectorAll('#hint-list > li')[Number(control[1])];
    return item?.querySelector(`[data-part="${control[2] === 'image' ? 'file' : control[2] ?? 'model'}"]`) ?? item;
  }
  const name = field.replace(/\[.*$/, '');
  return document.querySelector(`[data-field="${CSS.escape(field)}"], [data-field="${CSS.escape(name)}"]`) ??
    {prompt: byId('prompt'), mask: byId('begin-some'), extend: byId('begin-some'), controls: byId('hint-add'),
      loras: byId('prompt'), embeddings: byId('prompt'), upscaler: byId('hires-upscaler')}[name] ?? null;
}

// The field that a sentence of the server is about: the first name in backquotes that has an input.
function fieldOf(message) {
  for (const [, name] of message.matchAll(/`([^`]+)`/g)) {
    const input = inputOf(name);
    if (input) return input;
  }
  if (/\bLoRA|embedding|prompt\b/i.test(message)) return byId('prompt');
  if (/\bautoencoder|VAE\b/.test(message)) return byId('vae');
  return null;
}

const labelOf = (input) => input?.labels?.[0]?.firstChild?.textContent.trim() || null;

// Names of fields as the page calls them, a capital, a full stop.
export function sentenceOf(message) {
  let text = message.replace(/`([^`]+)`/g, (_, name) => {
    const label = labelOf(inputOf(name));
    return label ? `“${label}”` : `“${name}”`;
  }).trim();
  text = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

export function showAt(input, message, {focus = true} = {}) {
  const id = `${input.id || input.dataset.part}-error`;
  const host = input.closest('.field, .hint-item, .begin-some') ?? input.parentElement;
  let place = host.querySelector(':scope > .error');
  if (!place) {
    place = document.createElement('p');
    place.className = 'error';
    place.id = id;
    place.setAttribute('role', 'alert');
    host.append(place);
  }
  place.textContent = message;
  input.setAttribute('aria-invalid', 'true');
  const described = (input.getAttribute('aria-describedby') ?? '').split(' ').filter((one) => one && one !== place.id);
  input.setAttribute('aria-describedby', [...described, place.id].join(' '));
  for (let fold = input.closest('details'); fold; fold = fold.parentElement.closest('details')) fold.open = true;
  if (!focus) return;
  input.focus();
  place.scrollIntoView({block: 'nearest'});
}

export function clearAt(input) {
  input.removeAttribute('aria-invalid');
  (input.closest('.field, .hint-item, .begin-some') ?? input.parentElement)?.querySelector(':scope > .error')?.remove();
}

export function clearErrors() {
  byId('form-error').textContent = '';
  for (const input of document.querySelectorAll('#form [aria-invalid]')) clearAt(input);
}

// What is wrong with the form: an Error with `input` (an element), or the server's.
export function showFormError(error, {focus = true} = {}) {
  const input = error.input ?? (error.status >= 400 && error.status < 429 ? fieldOf(error.message) : null);
  const text = sentenceOf(error.message);
  if (input) {
    showAt(input, text, {focus});
    return;
  }
  const wait = error.status === 429 && error.retryAfter ? ` Try again in ${error.retryAfter} s.` : '';
  byId('form-error').textContent = text + wait;
}
