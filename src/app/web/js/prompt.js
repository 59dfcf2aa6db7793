// Weights in a prompt, "(word:1.1)", and texts put in where the caret is.

const kBreaks = /[\s,.;:|()[\]{}<>]/;

// The piece whose weight changes: what is selected, else the word at the caret; within "(…:1.2)" or "<lora:…>" all of
// that. {from, to, text, weight, kind}, or null where there is no word.
export function pieceAt(text, start, end) {
  for (const match of text.matchAll(/<lora:([^<>:]+):(-?\d*\.?\d+)>|\(([^()]*):(-?\d*\.?\d+)\)/g)) {
    const from = match.index, to = from + match[0].length;
    if (start < from || end > to) continue;
    if (match[1] !== undefined) return {from, to, text: match[1], weight: Number(match[2]), kind: 'lora'};
    return {from, to, text: match[3], weight: Number(match[4]), kind: 'weight'};
  }
  if (start === end) {
    while (start > 0 && !kBreaks.test(text[start - 1])) --start;
    while (end < text.length && !kBreaks.test(text[end])) ++end;
  } else {
    while (start < end && /\s/.test(text[start])) ++start;
    while (end > start && /\s/.test(text[end - 1])) --end;
  }
  return start === end ? null : {from: start, to: end, text: text.slice(start, end), weight: 1, kind: 'plain'};
}

// The text in place of a piece, and what of it is selected then.
export function weighted(piece, change) {
  const weight = Math.round((piece.weight + change) * 100) / 100;
  if (piece.kind === 'lora') {
    const text = `<lora:${piece.text}:${weight}>`;
    return {text, start: 0, end: text.length, weight};
  }
  const least = Math.max(weight, 0);
  if (least === 1) return {text: piece.text, start: 0, end: piece.text.length, weight: 1};
  return {text: `(${piece.text}:${least})`, start: 1, end: 1 + piece.text.length, weight: least};
}

// As if typed, so that the browser's own undo takes it back.
function replace(input, from, to, text) {
  input.focus();
  input.setSelectionRange(from, to);
  const done = text === '' ? document.execCommand('delete') : document.execCommand('insertText', false, text);
  if (done) return;
  input.setRangeText(text, from, to, 'end');
  input.dispatchEvent(new Event('input', {bubbles: true}));
}

export function changeWeight(input, change, say) {
  const piece = pieceAt(input.value, input.selectionStart, input.selectionEnd);
  if (!piece) {
    say('Put the caret into a word first.');
    return;
  }
  const {text, start, end, weight} = weighted(piece, change);
  replace(input, piece.from, piece.to, text);
  input.setSelectionRange(piece.from + start, piece.from + end);
  say(`Weight of ${piece.text}: ${weight}`);
}

// Puts a text in at the caret, apart from the words around it.
export function insert(input, text) {
  const {value, selectionEnd: at} = input;
  const before = at > 0 && !/\s/.test(value[at - 1]) ? ' ' : '';
  const after = at < value.length && !/[\s,]/.test(value[at]) ? ' ' : '';
  replace(input, at, at, before + text + after);
}

// Ctrl+Up and Ctrl+Down; with Shift in finer steps.
export function listenToWeights(input, say) {
  input.addEventListener('keydown', (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || !['ArrowUp', 'ArrowDown'].includes(event.key)) return;
    event.preventDefault();
    changeWeight(input, (event.key === 'ArrowUp' ? 1 : -1) * (event.shiftKey ? 0.05 : 0.1), say);
  });
}

// A field of text as tall as what is in it.
export function growing(input) {
  const least = input.rows, fit = () => {
    input.rows = least;
    while (input.scrollHeight > input.clientHeight && input.rows < 12) input.rows += 1;
  };
  input.addEventListener('input', fit);
  return fit;
}
