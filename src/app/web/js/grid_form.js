// The form of a grid: which field goes along X and which along Y, and their values.
import {el, labelled, newId} from './modal.js';
import {isReplacement, parseValues} from './grid_values.js';

const kHelp = {
  number: 'Commas between; 1-9 (+2) counts in twos, 0-1 [5] gives five.',
  text: 'Commas between; "in quotes" where there are commas inside.',
  replace: 'The first is looked for in the prompt; each value, the first too, takes its place.',
};

// One side: {element, read()}; read() gives {axis, values} or null for none, and throws where the values are wrong,
// having shown why. `changed()` is called at every input.
export function axisForm(name, axes, chosen, changed) {
  const select = el('select', {}, el('option', {value: ''}, 'nothing'),
    axes.map((axis) => el('option', {value: axis.name}, axis.label)));
  select.value = chosen ?? '';
  const input = el('input', {type: 'text', spellcheck: 'false', autocomplete: 'off'});
  const help = el('p', {class: 'm-hint', id: newId('help')});
  const error = el('p', {class: 'm-error', id: newId('error'), role: 'alert'});
  input.setAttribute('aria-describedby', `${help.id} ${error.id}`);
  const text = el('div', {}, labelled('Values', input), help);
  const choices = el('div', {class: 'gr-choices', role: 'group', 'aria-label': `Values of ${name}`});
  const element = el('fieldset', {class: 'gr-axis'}, el('legend', {}, name), labelled('Field', select), text, choices,
    error);
  const axisOf = () => axes.find((axis) => axis.name === select.value);

  function choose() {
    const axis = axisOf(), listed = axis?.values === 'choice';
    text.hidden = !axis || listed;
    choices.hidden = !listed;
    help.textContent = axis ? (isReplacement(axis) ? kHelp.replace : kHelp[axis.values] ?? '') : '';
    input.inputMode = 'text';
    input.value = '';
    choices.replaceChildren(...(listed ? (axis.choices ?? []).map(choice) : []));
    fail('');
    changed();
  }
  // A choice is a name, or {value, label}.
  function choice(one) {
    const value = typeof one === 'object' ? one.value ?? one.name : one;
    return el('label', {class: 'gr-choice'}, el('input', {type: 'checkbox', value, on: {change: changed}}),
      typeof one === 'object' ? one.label ?? value : one);
  }
  function fail(sentence) {
    error.textContent = sentence;
    if (sentence) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  }
  select.addEventListener('change', choose);
  input.addEventListener('input', () => {
    fail('');
    changed();
  });
  choose();

  return {
    element,
    focus: () => select.focus(),
    read({quietly = false} = {}) {
      const axis = axisOf();
      if (!axis) return null;
      try {
        if (axis.values !== 'choice') return {axis, values: parseValues(input.value, axis.values)};
        const values = [...choices.querySelectorAll('input:checked')].map((box) => box.value);
        if (values.length === 0) throw new Error('Choose at least one value.');
        return {axis, values};
      } catch (wrong) {
        if (!quietly) {
          fail(wrong.message);
          (axis.values === 'choice' ? choices.querySelector('input') ?? select : input).focus();
        }
        throw wrong;
      }
    },
  };
}
