// Values of a grid's axis, from the text that a person writes, and how they are put into a job.

const kMostValues = 1000;

// "20, 30" and "1-9 (+2)", "10-1 (-3)", "0-1 [5]" (so many, evenly apart) for numbers; anything between commas for
// texts, in "quotes" where it has commas itself. Throws an Error with a sentence.
export function parseValues(text, kind) {
  const pieces = splitCommas(text);
  const values = kind === 'number' ? pieces.flatMap(numbers) : pieces;
  if (values.length > kMostValues)
    throw new Error(`${values.length} values are too many; an axis takes ${kMostValues}.`);
  const once = [...new Set(values)];
  if (once.length === 0) throw new Error('Give at least one value.');
  return once;
}

function splitCommas(text) {
  const pieces = text.match(/(?:"(?:\\.|[^"\\])*"|[^,"]|")+/g) ?? [];
  return pieces.map((piece) => piece.trim()).filter(Boolean).map((piece) => {
    if (!/^"(?:\\.|[^"\\])*"$/.test(piece)) return piece;
    return piece.slice(1, -1).replace(/\\(["\\])/g, '$1');
  });
}

const kNumber = '[-+]?(?:\\d+\\.?\\d*|\\.\\d+)';
const kStep = `\\(\\s*(${kNumber})\\s*\\)`, kCount = '\\[\\s*(\\d+)\\s*\\]';
const kRange = new RegExp(`^(${kNumber})\\s*[-–]\\s*(${kNumber})\\s*(?:${kStep}|${kCount})?$`);

function numbers(piece) {
  if (new RegExp(`^${kNumber}$`).test(piece)) return [exact(piece)];
  const match = kRange.exec(piece);
  if (!match) throw new Error(`"${piece}" is not a number; write 20, or a range like 1-9 (+2) or 0-1 [5].`);
  const from = Number(match[1]), to = Number(match[2]);
  if (!Number.isSafeInteger(Math.trunc(from)) || !Number.isSafeInteger(Math.trunc(to)))
    throw new Error(`The numbers of the range "${piece}" are too large; name them one by one.`);
  if (match[4] !== undefined) return evenly(piece, from, to, Number(match[4]));
  const step = match[3] === undefined ? Math.sign(to - from) || 1 : Number(match[3]);
  if (step === 0) throw new Error(`The range "${piece}" has a step of 0.`);
  if ((to - from) * step < 0) throw new Error(`The range "${piece}" never gets from ${from} to ${to}.`);
  const count = Math.floor((to - from) / step + 1e-9) + 1;
  if (count > kMostValues) throw new Error(`The range "${piece}" has ${count} values; an axis takes ${kMostValues}.`);
  return Array.from({length: count}, (_, i) => tidy(from + i * step));
}

function evenly(piece, from, to, count) {
  if (count < 1 || count > kMostValues) throw new Error(`The range "${piece}" must have 1 to ${kMostValues} values.`);
  return Array.from({length: count}, (_, i) => tidy(count === 1 ? from : from + (to - from) * i / (count - 1)));
}

// Without the noise of binary fractions: 0.1 + 0.2.
const tidy = (value) => Number(value.toPrecision(12));

// Seeds may be larger than numbers of JavaScript hold: those stay digits, which a request takes too.
function exact(text) {
  const value = Number(text);
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? text.replace(/^\+/, '') : value;
}

export const isReplacement = (axis) => /replace/.test(axis.name);
const kOfJob = new Set(['model', 'vae']);

// A job's body with a value put in. `axis.name` is a field of the request ("steps", "hires.scale"), "model" or "vae",
// or one with "replace" in it: then the first of the axis's `values` is looked for in the prompts, and replaced.
export function withValue(body, axis, value, values) {
  const copy = {...body, request: {...body.request}};  // not deep: pictures in it may have megabytes
  if (isReplacement(axis)) {
    const search = String(values[0]);
    const {request} = copy;
    let found = false;
    const replaced = (text) => {
      found ||= text.includes(search);
      return text.replaceAll(search, value);
    };
    for (const name of ['prompt', 'negative_prompt']) if (request[name]) request[name] = replaced(request[name]);
    if (request.prompts) request.prompts = request.prompts.map(replaced);
    if (!found) throw new Error(`"${search}" is not in the prompt. The first value is what is replaced.`);
  } else if (kOfJob.has(axis.name)) {
    copy[axis.name] = value;
  } else {
    const path = axis.name.split('.'), last = path.pop();
    let at = copy.request;
    for (const name of path) at = at[name] = {...at[name]};
    at[last] = value;
  }
  return copy;
}

// All jobs of a grid, [{x, y, body}] with places on the axes; {axis, values} or null for each axis. Each draws one
// picture, all from one seed unless an axis says otherwise. Jobs of one model come one after the other.
export function jobsOf(base, x, y, seed) {
  const one = {...base, request: {...base.request}};
  for (const name of ['copies', 'batch', 'iterations']) delete one.request[name];
  if (one.request.prompts) one.request.prompts = one.request.prompts.slice(0, 1);
  if (one.request.seed === undefined || one.request.seed === null) one.request.seed = seed;
  const columns = x ? x.values : [null], rows = y ? y.values : [null], jobs = [];
  // A replacement comes first, so that it finds its words before others change them.
  const order = [x, y].filter(Boolean).sort((a, b) => isReplacement(b.axis) - isReplacement(a.axis));
  rows.forEach((row, yAt) => columns.forEach((column, xAt) => {
    let body = one;
    for (const side of order) body = withValue(body, side.axis, side === x ? column : row, side.values);
    jobs.push({x: xAt, y: yAt, body});
  }));
  if (x?.axis.name === 'model') jobs.sort((a, b) => a.x - b.x);
  return jobs;
}
