// Reads the text of parameters that pictures carry, and finds where two of them differ.
//
//   a red apple
//   Negative prompt: blurry
//   Steps: 20, Sampler: Euler a, Lora hashes: "x: 12ab, y: 34cd"

// Map: name -> value, in the text's order.
export function readParameters(text) {
  const lines = (text ?? '').split(/\r?\n/), fields = new Map();
  const pairs = splitFields(lines.at(-1));
  if (pairs.length >= 3 || pairs[0]?.[0] === 'Steps') lines.pop();
  else pairs.length = 0;
  const at = lines.findIndex((line) => line.startsWith('Negative prompt:'));
  const prompt = (at < 0 ? lines : lines.slice(0, at)).join('\n').trim();
  const negative = at < 0 ? '' : lines.slice(at).join('\n').slice('Negative prompt:'.length).trim();
  if (prompt) fields.set('Prompt', prompt);
  if (negative) fields.set('Negative prompt', negative);
  for (const [name, value] of pairs) fields.set(name, value);
  return fields;
}

// "A: 1, B: "x, y"" -> [["A", "1"], ["B", "x, y"]]. A piece that has no name belongs to the value before it.
function splitFields(line) {
  const pairs = [];
  for (const piece of line.match(/(?:"(?:\\.|[^"\\])*"|[^,"]|")+/g) ?? []) {
    const colon = piece.indexOf(':'), name = piece.slice(0, colon).trim();
    if (colon > 0 && !name.includes('"')) pairs.push([name, unquoted(piece.slice(colon + 1).trim())]);
    else if (pairs.length > 0) pairs.at(-1)[1] += `,${piece}`;
    else return [];
  }
  return pairs;
}

function unquoted(text) {
  if (!/^".*"$/s.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

// {different: [[name, a or null, b or null]], equal: [[name, value]]}
export function differences(a, b) {
  const different = [], equal = [];
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    if (a.get(name) === b.get(name)) equal.push([name, a.get(name)]);
    else different.push([name, a.get(name) ?? null, b.get(name) ?? null]);
  }
  return {different, equal};
}

// The words of `text`, with whether `other` lacks them: [{text, only}], neighbours joined. By the longest common
// sequence; very long texts are one piece.
export function wordsOnlyIn(text, other) {
  const a = text.match(/\s+|[^\s,]+|,/g) ?? [], b = other.match(/\s+|[^\s,]+|,/g) ?? [];
  if (a.length * b.length > 1e6) return [{text, only: text !== other}];
  const longest = Array.from({length: a.length + 1}, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; --i) {
    for (let j = b.length - 1; j >= 0; --j)
      longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  }
  const pieces = [];
  for (let i = 0, j = 0; i < a.length; ++i) {
    while (j < b.length && a[i] !== b[j] && longest[i][j + 1] >= longest[i + 1][j]) ++j;
    const only = j >= b.length || a[i] !== b[j];
    if (!only) ++j;
    if (pieces.length > 0 && pieces.at(-1).only === only) pieces.at(-1).text += a[i];
    else pieces.push({text: a[i], only});
  }
  return pieces;
}
